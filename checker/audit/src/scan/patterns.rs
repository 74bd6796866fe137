//! Any patterns of at least 32 bytes, found by looking at one window in every 24 bytes: for
//! bare keys, which have no shape.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::STRIDE_BYTES;
use super::shape::WINDOW_BYTES;
use super::sieve::Sieve;

/// Patterns, and every piece of them that a window may hold.
pub(super) struct Patterns {
    sieve: Sieve,
    /// Which patterns have a piece, and where, the last place first.
    places: FxHashMap<u64, Vec<(u32, u8)>>,
    longest: usize,
}

/// Where the last of each pattern ended: of those that overlap themselves, the first counts.
pub(super) type Ends = FxHashMap<u32, usize>;

impl Patterns {
    /// Of patterns that have at least 32 bytes each.
    pub(super) fn new<'a>(patterns: impl Iterator<Item = &'a [u8]> + Clone) -> Patterns {
        let mut sieve = Sieve::new(patterns.clone().count() * STRIDE_BYTES, 64);
        let mut places: FxHashMap<u64, Vec<(u32, u8)>> = FxHashMap::default();
        let mut longest = 0;
        for (number, pattern) in patterns.enumerate() {
            longest = longest.max(pattern.len());
            let pieces = pattern.windows(WINDOW_BYTES).take(STRIDE_BYTES);
            for (offset, piece) in pieces.enumerate() {
                let mut window = [0; WINDOW_BYTES];
                window.copy_from_slice(piece);
                let piece = u64::from_le_bytes(window);
                sieve.add(piece);
                let known = places.entry(piece).or_default();
                known.insert(0, (number as u32, offset as u8));
            }
        }
        Patterns {
            sieve,
            places,
            longest,
        }
    }

    /// Bytes of the longest.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    #[inline]
    pub(super) fn may_be_at(&self, window: &[u8; WINDOW_BYTES]) -> bool {
        self.sieve.may_hold(u64::from_le_bytes(*window))
    }

    /// The patterns whose first 24 bytes hold the begin of the window at this place. `pattern`
    /// gives the bytes of one.
    pub(super) fn at<'a>(
        &self,
        bytes: &[u8],
        at: usize,
        window: &[u8; WINDOW_BYTES],
        pattern: impl Fn(usize) -> &'a [u8],
        ends: &mut Ends,
        mut met: impl FnMut(usize, Range<usize>),
    ) {
        let places = self.places.get(&u64::from_le_bytes(*window));
        for (number, offset) in places.into_iter().flatten() {
            let Some(begin) = at.checked_sub(usize::from(*offset)) else {
                continue;
            };
            let whole = pattern(*number as usize);
            let range = begin..begin + whole.len();
            let free = ends.get(number).is_none_or(|end| begin >= *end);
            if free && bytes.get(range.clone()) == Some(whole) {
                ends.insert(*number, range.end);
                met(*number as usize, range);
            }
        }
    }
}
