//! How keys and values of a history are spelled on the wire, and read back.

use elle_rs::history::{Key, Value};
use keyquake_formats::canary::Canary;
use keyquake_workloads::CORRUPT_VALUE;

/// At most this many of the bytes that could not be understood are shown.
const SHOWN_MAX: usize = 64;

/// The wire's name of a register.
pub(super) fn register(key: Key) -> String {
    format!("kq-r-{key}")
}

/// The wire's name of a list.
pub(super) fn list(key: Key) -> String {
    format!("kq-a-{key}")
}

/// Reads values back, and remembers what was none.
///
/// Bytes that this suite never writes under that key become [`CORRUPT_VALUE`], which no
/// workload writes: the checker sees a value from thin air, and the note says what was there.
pub(super) struct Reader<'a> {
    canary: &'a Canary,
    corrupt: Vec<String>,
}

impl<'a> Reader<'a> {
    /// A reader of what was written with these canaries.
    pub(super) fn new(canary: &'a Canary) -> Self {
        Self {
            canary,
            corrupt: Vec::new(),
        }
    }

    /// The value that these bytes spell under this key.
    pub(super) fn value(&mut self, key: Key, bytes: &[u8]) -> Value {
        let value = self.canary.read(key, bytes);
        value
            .filter(|value| *value != CORRUPT_VALUE)
            .unwrap_or_else(|| {
                let shown = &bytes[..bytes.len().min(SHOWN_MAX)];
                self.corrupt.push(format!(
                    "{:?} ({} bytes)",
                    String::from_utf8_lossy(shown),
                    bytes.len()
                ));
                CORRUPT_VALUE
            })
    }

    /// What could not be understood, if anything.
    pub(super) fn note(self) -> Option<String> {
        let first = self.corrupt.first()?;
        Some(match self.corrupt.len() {
            1 => format!("corrupt-value: read back {first}, which no one wrote"),
            more => format!(
                "corrupt-value: read back {first} and {} more, which no one wrote",
                more - 1
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelled_reads_back() {
        let canary = Canary::of_seed(1);
        for number in [0, 1, 42, CORRUPT_VALUE - 1] {
            let mut reader = Reader::new(&canary);
            let text = canary.text(3, number);
            assert_eq!(reader.value(3, text.as_bytes()), number);
            assert_eq!(reader.note(), None);
        }
        assert_eq!((register(3), list(17)), ("kq-r-3".into(), "kq-a-17".into()));
    }

    #[test]
    fn anything_else_is_from_thin_air_and_shown() {
        let canary = Canary::of_seed(1);
        let reserved = canary.text(3, CORRUPT_VALUE);
        let elsewhere = canary.text(4, 7);
        let older = Canary::of_seed(2).text(3, 7);
        for bytes in [&b""[..], b"v7", b"v7.", b"\xff\xfe"]
            .into_iter()
            .chain([&reserved, &elsewhere, &older].map(|text| text.as_bytes()))
        {
            let mut reader = Reader::new(&canary);
            assert_eq!(reader.value(3, bytes), CORRUPT_VALUE, "{bytes:?}");
            let note = reader.note().unwrap();
            assert!(note.starts_with("corrupt-value: "), "{note}");
        }
        let mut reader = Reader::new(&canary);
        reader.value(3, &[b'x'; 100_000]);
        reader.value(3, b"y");
        let note = reader.note().unwrap();
        assert!(note.contains("(100000 bytes) and 1 more"), "{note}");
        assert!(note.len() < 200);
    }
}
