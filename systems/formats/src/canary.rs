//! The canary in every value the suite writes: random-looking bytes that a disk scan can
//! recognize, in `v17.` followed by 32 letters and digits.
//!
//! They come from the run's seed, the key and the value by ChaCha8, so that whoever knows the
//! seed and the history knows every canary, no two writes of a run share one, and no
//! compressor makes them shorter than their 160 bits. The key is in it so that a value that
//! turns up under another key is not mistaken for one that was written there.

use std::fmt;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Letters and digits of a canary.
pub const CANARY_BYTES: usize = 32;

/// Keeps these streams apart from all others that a seed feeds.
const DOMAIN: &[u8; 24] = b"keyquake: canaries (v1)\0";
/// Words of a ChaCha block: each value has a block of its own.
const BLOCK_WORDS: u128 = 16;
/// RFC 4648's alphabet in lower case: five bits a byte.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The canaries of one run.
#[derive(Clone)]
pub struct Canary {
    source: ChaCha8Rng,
}

impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Canary")
    }
}

impl Canary {
    /// The canaries of the run with this seed.
    pub fn of_seed(seed: u64) -> Canary {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..].copy_from_slice(DOMAIN);
        Canary {
            source: ChaCha8Rng::from_seed(key),
        }
    }

    /// The canary of a value written under a key.
    pub fn canary(&self, key: u64, value: u64) -> [u8; CANARY_BYTES] {
        let mut source = self.source.clone();
        source.set_stream(key);
        source.set_word_pos(u128::from(value) * BLOCK_WORDS);
        let mut random = [0; CANARY_BYTES / 8 * 5];
        source.fill_bytes(&mut random);
        let mut canary = [0; CANARY_BYTES];
        for (five, eight) in random.chunks_exact(5).zip(canary.chunks_exact_mut(8)) {
            let bits = five
                .iter()
                .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            for (at, letter) in eight.iter_mut().enumerate() {
                *letter = ALPHABET[(bits >> (35 - 5 * at)) as usize & 31];
            }
        }
        canary
    }

    /// The whole text of a value written under a key.
    pub fn text(&self, key: u64, value: u64) -> String {
        let canary = self.canary(key, value);
        format!(
            "v{value}.{}",
            canary.map(char::from).iter().collect::<String>()
        )
    }

    /// The value that these bytes are the text of, under this key: exactly, with nothing
    /// around it.
    pub fn read(&self, key: u64, bytes: &[u8]) -> Option<u64> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (number, _) = text.strip_prefix('v')?.split_once('.')?;
        let value = number.parse().ok()?;
        (self.text(key, value) == text).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_seed_means_the_same_for_ever_and_to_an_independent_program() {
        // By thirty lines of Python that do ChaCha8 by RFC 8439's figures.
        let text = Canary::of_seed(42).text(3, 17);
        assert_eq!(text, "v17.wzeh5plhe6elhq5ajxeugnhcbsc2nxef");
        let far = Canary::of_seed(u64::MAX).canary((1 << 40) + 1, (1 << 63) + 5);
        assert_eq!(&far, b"ujc6mnhlkhfzxseefzd3735grlbfnfzc");
    }

    #[test]
    fn what_is_spelled_reads_back_and_nothing_else_does() {
        let canary = Canary::of_seed(7);
        for value in [0, 1, 42, u64::MAX - 1, u64::MAX] {
            for key in [0, 1, 10_000_000, u64::MAX] {
                let text = canary.text(key, value);
                assert_eq!(canary.read(key, text.as_bytes()), Some(value));
                assert_eq!(canary.read(key ^ 1, text.as_bytes()), None, "another key");
                let other = Canary::of_seed(8);
                assert_eq!(other.read(key, text.as_bytes()), None, "another run");
                for at in 0..text.len() {
                    let mut bytes = text.clone().into_bytes();
                    bytes[at] ^= 1;
                    assert_eq!(canary.read(key, &bytes), None, "byte {at} of {text}");
                }
            }
        }
        let text = canary.text(1, 7);
        let suffix = &text[2..];
        for wrong in [
            String::new(),
            "v".to_owned(),
            "v7".to_owned(),
            text.to_uppercase(),
            format!("v07{suffix}"),
            format!("v+7{suffix}"),
            format!("{text} "),
            format!("{text}\n"),
            format!("v18446744073709551616{suffix}"),
            text[..text.len() - 1].to_owned(),
        ] {
            assert_eq!(canary.read(1, wrong.as_bytes()), None, "{wrong:?}");
        }
        assert_eq!(canary.read(1, b"\xff\xfe"), None);
    }

    #[test]
    fn canaries_are_distinct_and_use_the_whole_alphabet() {
        let mut seen = HashSet::new();
        let mut letters = [0_u32; 256];
        for seed in 0..4 {
            let canary = Canary::of_seed(seed);
            for key in 0..8 {
                for value in 0..256 {
                    let bytes = canary.canary(key, value);
                    bytes
                        .iter()
                        .for_each(|byte| letters[usize::from(*byte)] += 1);
                    assert!(seen.insert(bytes), "seed {seed} key {key} value {value}");
                }
            }
        }
        let (least, most) = ALPHABET
            .iter()
            .fold((u32::MAX, 0), |(least, most), letter| {
                let count = letters[usize::from(*letter)];
                (least.min(count), most.max(count))
            });
        // 8192 of each are expected; five standard deviations are 450.
        assert!(least > 7_700 && most < 8_700, "{least} to {most}");
        assert_eq!(
            letters.iter().sum::<u32>(),
            4 * 8 * 256 * CANARY_BYTES as u32
        );
    }
}
