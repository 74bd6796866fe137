//! How keys and values of a history are spelled on the wire, and read back.

use elle_rs::history::{Key, Value};
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

/// The wire's bytes of a value.
pub(super) fn value(value: Value) -> String {
    format!("v{value}")
}

/// Reads values back, and remembers what was none.
///
/// Bytes that this suite never writes become [`CORRUPT_VALUE`], which no workload writes: the
/// checker sees a value from thin air, and the note says what was there.
#[derive(Default)]
pub(super) struct Reader {
    corrupt: Vec<String>,
}

impl Reader {
    /// The value that these bytes spell.
    pub(super) fn value(&mut self, bytes: &[u8]) -> Value {
        strict(bytes).unwrap_or_else(|| {
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

/// Exactly what [`value`] spells: no sign, no leading zero, nothing around it.
fn strict(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let parsed = text.strip_prefix('v')?.parse().ok()?;
    (parsed != CORRUPT_VALUE && value(parsed) == text).then_some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelled_reads_back() {
        for number in [0, 1, 42, CORRUPT_VALUE - 1] {
            let mut reader = Reader::default();
            assert_eq!(reader.value(value(number).as_bytes()), number);
            assert_eq!(reader.note(), None);
        }
        assert_eq!((register(3), list(17)), ("kq-r-3".into(), "kq-a-17".into()));
    }

    #[test]
    fn anything_else_is_from_thin_air_and_shown() {
        for bytes in [
            &b""[..],
            b"v",
            b"7",
            b"v07",
            b"v+7",
            b"V7",
            b"v7 ",
            b"v7\n",
            b"v18446744073709551615",
            b"v18446744073709551616",
            b"\xff\xfe",
        ] {
            let mut reader = Reader::default();
            assert_eq!(reader.value(bytes), CORRUPT_VALUE, "{bytes:?}");
            let note = reader.note().unwrap();
            assert!(note.starts_with("corrupt-value: "), "{note}");
        }
        let mut reader = Reader::default();
        reader.value(&[b'x'; 100_000]);
        reader.value(b"y");
        let note = reader.note().unwrap();
        assert!(note.contains("(100000 bytes) and 1 more"), "{note}");
        assert!(note.len() < 200);
    }
}
