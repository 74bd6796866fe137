//! The bytes of bare keys, in every spelling that a leak is likely to have.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// One spelling of one key.
pub(crate) struct Secret {
    /// Whose bytes: `KEK`, `storage DEK 7`.
    pub(crate) name: String,
    /// How they are spelled.
    pub(crate) spelling: &'static str,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// Every spelling of a key.
pub(crate) fn spellings(name: &str, key: &[u8]) -> Vec<Secret> {
    let mut all: Vec<Secret> = Vec::new();
    let mut add = |spelling, bytes: Vec<u8>| {
        // A key may look the same in two alphabets.
        if all.iter().all(|known| *known.bytes != bytes) {
            all.push(Secret {
                name: name.to_owned(),
                spelling,
                bytes: Zeroizing::new(bytes),
            });
        }
    };
    add("raw", key.to_vec());
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    add("hex", hex.to_uppercase().into_bytes());
    add("hex", hex.into_bytes());
    for before in 0..3 {
        add("base64", inside(&STANDARD_NO_PAD, key, before));
        add("base64", inside(&URL_SAFE_NO_PAD, key, before));
    }
    all
}

/// The characters that a key alone decides when it is encoded with `before` (modulo 3) bytes
/// in front of it, and any behind it.
fn inside(engine: &impl Engine, key: &[u8], before: usize) -> Vec<u8> {
    let padded = [&[0; 3][..before], key].concat();
    let text = engine.encode(&padded).into_bytes();
    // A character holds six bits: those in front mix in up to the next whole one.
    let first = (before * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    text[first..end].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_found_wherever_in_a_text_the_key_begins() {
        let key: Vec<u8> = (0..32).map(|i| i * 7 + 3).collect();
        let all = spellings("KEK", &key);
        for before in 0..7 {
            for behind in 0..4 {
                let around = [&vec![0xa5; before][..], &key, &vec![0x5a; behind]].concat();
                let text = STANDARD_NO_PAD.encode(&around).into_bytes();
                let found = all.iter().any(|secret| {
                    text.windows(secret.bytes.len())
                        .any(|window| window == &secret.bytes[..])
                });
                assert!(found, "{before} before, {behind} behind");
            }
        }
        assert!(all.iter().all(|secret| secret.bytes.len() >= 32));
        assert!(all.iter().any(|secret| *secret.bytes == key));
    }
}
