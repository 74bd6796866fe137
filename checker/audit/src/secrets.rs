//! The bytes of bare keys, in every spelling that a leak is likely to have.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// One spelling of one key.
pub struct Secret {
    /// Whose bytes: `KEK`, `storage DEK 7`.
    pub(crate) name: String,
    /// How they are spelled.
    pub(crate) spelling: &'static str,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// Every spelling of a key.
pub fn spellings(name: &str, key: &[u8; 32]) -> Vec<Secret> {
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
    for style in JsonStyle::all() {
        add("JSON escapes", json(key, style).into_bytes());
    }
    for between in [",", ", "] {
        let numbers: Vec<String> = key.iter().map(u8::to_string).collect();
        add("a list of numbers", numbers.join(between).into_bytes());
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

/// Where JSON's encoders differ.
#[derive(Clone, Copy)]
struct JsonStyle {
    /// Digits of escapes in upper case.
    upper: bool,
    /// What is escaped as `\u00XX` beside the controls.
    escaped: Escaped,
    /// Backspace and form feed as `\b` and `\f`.
    short: bool,
    /// A slash as `\/` (PHP).
    slash: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escaped {
    /// Nothing: the rest stands in UTF-8.
    Controls,
    /// What means something in HTML (Go).
    Html,
    /// All that is not ASCII.
    BeyondAscii,
    /// All that is not printable ASCII (Python).
    BeyondPrintable,
    /// Every character.
    All,
}

impl JsonStyle {
    fn all() -> impl Iterator<Item = JsonStyle> {
        use Escaped::{All, BeyondAscii, BeyondPrintable, Controls, Html};
        let styles = [Controls, Html, BeyondAscii, BeyondPrintable, All].into_iter();
        styles.flat_map(|escaped| {
            (0..8).map(move |bits| JsonStyle {
                upper: bits & 1 != 0,
                escaped,
                short: bits & 2 != 0,
                slash: bits & 4 != 0,
            })
        })
    }
}

/// A key as a JSON string, without its quotes: each byte is the character of that number.
fn json(key: &[u8], style: JsonStyle) -> String {
    let mut text = String::new();
    for byte in key {
        let short = match byte {
            b'"' => Some("\\\""),
            b'\\' => Some("\\\\"),
            b'\n' => Some("\\n"),
            b'\r' => Some("\\r"),
            b'\t' => Some("\\t"),
            0x08 if style.short => Some("\\b"),
            0x0c if style.short => Some("\\f"),
            b'/' if style.slash => Some("\\/"),
            _ => None,
        };
        let long = match style.escaped {
            Escaped::All => true,
            Escaped::BeyondAscii => *byte < 0x20 || *byte >= 0x80,
            Escaped::BeyondPrintable => *byte < 0x20 || *byte >= 0x7f,
            Escaped::Html => *byte < 0x20 || b"<>&".contains(byte),
            Escaped::Controls => *byte < 0x20,
        };
        match short.filter(|_| style.escaped != Escaped::All) {
            Some(short) => text.push_str(short),
            // Writing to a string does not fail.
            None if long && style.upper => drop(write!(text, "\\u{byte:04X}")),
            None if long => drop(write!(text, "\\u{byte:04x}")),
            None => text.push(char::from(*byte)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(all: &[Secret], text: &[u8]) -> Vec<&'static str> {
        let within = |secret: &&Secret| {
            let bytes = &secret.bytes[..];
            text.windows(bytes.len()).any(|window| window == bytes)
        };
        all.iter()
            .filter(within)
            .map(|secret| secret.spelling)
            .collect()
    }

    #[test]
    fn base64_is_found_wherever_in_a_text_the_key_begins() {
        let key = std::array::from_fn(|i| i as u8 * 7 + 3);
        let all = spellings("KEK", &key);
        for before in 0..7 {
            for behind in 0..4 {
                let around = [&vec![0xa5; before][..], &key, &vec![0x5a; behind]].concat();
                let text = STANDARD_NO_PAD.encode(&around).into_bytes();
                assert!(
                    !found(&all, &text).is_empty(),
                    "{before} before, {behind} behind"
                );
            }
        }
        assert!(all.iter().all(|secret| secret.bytes.len() >= 32));
        assert!(all.iter().any(|secret| *secret.bytes == key));
    }

    #[test]
    fn json_is_found_as_an_encoder_writes_it() {
        for first in [0, 0x22, 0x3c, 0x5c, 0x7f, 0x90, 0xe0] {
            let key: [u8; 32] = std::array::from_fn(|i| first + i as u8);
            let all = spellings("KEK", &key);
            let text: String = key.iter().map(|byte| char::from(*byte)).collect();
            let encoded = serde_json::to_string(&text).unwrap();
            assert!(!found(&all, encoded.as_bytes()).is_empty(), "{encoded}");
            let numbers = serde_json::to_string(&key).unwrap();
            assert_eq!(found(&all, numbers.as_bytes()), ["a list of numbers"]);
            let debug = format!("{key:?}");
            assert_eq!(found(&all, debug.as_bytes()), ["a list of numbers"]);
            let escapes: String = key.iter().map(|byte| format!("\\u00{byte:02X}")).collect();
            assert!(found(&all, escapes.as_bytes()).contains(&"JSON escapes"));
        }
        // By a run of Python's json.dumps and Go's json.Marshal.
        let key = *b"\x00\x08\x0c\n\r\t\x1f<>&\"\\aZ0~\x80\x9f\xa0\xe9\xff0123456789a";
        let all = spellings("KEK", &key);
        for text in [PYTHON, GO, OLD_GO] {
            assert_eq!(found(&all, text.as_bytes()), ["JSON escapes"], "{text}");
        }
    }

    const PYTHON: &str =
        r#""\u0000\b\f\n\r\t\u001f<>&\"\\aZ0~\u0080\u009f\u00a0\u00e9\u00ff0123456789a""#;
    const GO: &str = "\"\\u0000\\b\\f\\n\\r\\t\\u001f\\u003c\\u003e\\u0026\\\"\\\\aZ0~\
                      \u{80}\u{9f}\u{a0}\u{e9}\u{ff}0123456789a\"";
    const OLD_GO: &str = "\"\\u0000\\u0008\\u000c\\n\\r\\t\\u001f\\u003c\\u003e\\u0026\\\"\\\\aZ0~\
                          \u{80}\u{9f}\u{a0}\u{e9}\u{ff}0123456789a\"";
}
