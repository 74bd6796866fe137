//! A set of eight-byte pieces that answers at once, and errs on one side only: of a piece that
//! is not in it, it may say that it is.

/// An odd number without pattern (Knuth's, of the golden ratio): its products mix upwards.
const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;

/// One bit per hash.
pub(super) struct Sieve {
    words: Vec<u64>,
    /// How far down a hash's highest bits lie.
    shift: u32,
}

impl Sieve {
    /// Room for so many pieces, with so many bits for each: of strangers one in that many passes.
    pub(super) fn new(pieces: usize, bits_each: usize) -> Sieve {
        let bits = (pieces * bits_each).next_power_of_two().max(4096);
        Sieve {
            words: vec![0; bits / 64],
            shift: 64 - bits.trailing_zeros(),
        }
    }

    pub(super) fn add(&mut self, piece: u64) {
        let bit = self.bit(piece);
        self.words[bit / 64] |= 1 << (bit % 64);
    }

    #[inline]
    pub(super) fn may_hold(&self, piece: u64) -> bool {
        let bit = self.bit(piece);
        self.words[bit / 64] >> (bit % 64) & 1 == 1
    }

    #[inline]
    fn bit(&self, piece: u64) -> usize {
        ((piece ^ piece >> 32).wrapping_mul(MIXER) >> self.shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_it_passes_and_strangers_seldom_do() {
        let piece = |number: u64| u64::from_le_bytes(*b"abcdefgh").wrapping_add(number << 20);
        let mut sieve = Sieve::new(10_000, 16);
        (0..10_000).for_each(|number| sieve.add(piece(number)));
        assert!((0..10_000).all(|number| sieve.may_hold(piece(number))));
        let strangers = (10_000..110_000).filter(|number| sieve.may_hold(piece(*number)));
        let passed = strangers.count();
        assert!(passed < 15_000, "{passed} of 100000");
    }
}
