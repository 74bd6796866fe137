//! Canaries, all spellings of all of them, found by looking at one window in every 24 bytes.
//!
//! The shortest spelling has 32 bytes, so wherever it stands, exactly one of the windows of
//! eight bytes at the places 0, 24, 48, … begins in its first 24 bytes and lies within it. A
//! window that has the shape of a spelling is read back to letters; eight of them are looked up
//! in a sieve of all such pieces of all canaries; what passes is looked up by the sixteen
//! letters in the middle of the canary that it would belong to, and compared as a whole.

use std::collections::hash_map::Entry;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keyquake_formats::canary::CANARY_BYTES;
use rustc_hash::FxHashMap;

use super::STRIDE_BYTES;
use super::shape::{
    BASE64_CHARACTERS, Frame, Guess, Shapes, Spelling, WINDOW_BYTES, guesses, is_letter,
};
use super::sieve::Sieve;

/// The letters that a canary is looked up by: those in its middle, which are whole in every
/// spelling.
const MIDDLE: std::ops::Range<usize> = 8..24;
const MIDDLE_BYTES: usize = MIDDLE.end - MIDDLE.start;

type Letters = [u8; CANARY_BYTES];

/// A canary's place among those planted, and how it is spelled here.
pub(super) type Met = (usize, Spelling);

/// A window that may hold a piece of a canary.
pub(super) struct Noted {
    at: usize,
    guess: Guess,
    /// Its first eight letters.
    piece: u64,
}

/// All canaries of a run.
pub(super) struct PlantedCanaries {
    pub(super) shapes: Shapes,
    canaries: Vec<Letters>,
    /// Every eight letters in a row that begin in the first 24.
    pieces: Sieve,
    middles: Sieve,
    by_middle: FxHashMap<[u8; MIDDLE_BYTES], u32>,
    /// Those whose middle another one has.
    twins: FxHashMap<[u8; MIDDLE_BYTES], Vec<u32>>,
}

impl PlantedCanaries {
    pub(super) fn new(canaries: Vec<Letters>) -> PlantedCanaries {
        let mut pieces = Sieve::new(canaries.len() * STRIDE_BYTES, 16);
        let mut middles = Sieve::new(canaries.len(), 32);
        let mut by_middle = FxHashMap::default();
        let mut twins: FxHashMap<_, Vec<u32>> = FxHashMap::default();
        by_middle.reserve(canaries.len());
        for (number, canary) in canaries.iter().enumerate() {
            for piece in canary.windows(WINDOW_BYTES).take(STRIDE_BYTES) {
                pieces.add(word(piece));
            }
            let middle = middle_of(canary);
            middles.add(folded(&middle));
            match by_middle.entry(middle) {
                Entry::Vacant(free) => {
                    free.insert(number as u32);
                }
                Entry::Occupied(_) => twins.entry(middle).or_default().push(number as u32),
            }
        }
        PlantedCanaries {
            shapes: Shapes::new(!canaries.is_empty()),
            canaries,
            pieces,
            middles,
            by_middle,
            twins,
        }
    }

    /// Notes what a window of these shapes may be a piece of.
    pub(super) fn note(
        &self,
        bytes: &[u8],
        at: usize,
        window: &[u8; WINDOW_BYTES],
        shapes: u16,
        noted: &mut Vec<Noted>,
    ) {
        for guess in guesses(shapes) {
            let mut piece = *window;
            if guess.spelling != Spelling::Raw {
                Frame::of(bytes, at, guess).letters(0, &mut piece);
                if !piece.iter().all(|letter| is_letter(*letter)) {
                    continue;
                }
            }
            let piece = word(&piece);
            noted.push(Noted { at, guess, piece });
        }
    }

    /// Gives the canaries that noted windows are a piece of: those whose first 24 bytes hold the
    /// window's begin. The sieve is larger than the processor's caches: asked for many pieces
    /// in a row, it waits for memory once and not for each.
    pub(super) fn settle(
        &self,
        bytes: &[u8],
        noted: &mut Vec<Noted>,
        mut met: impl FnMut(Met, std::ops::Range<usize>),
    ) {
        noted.retain(|noted| self.pieces.may_hold(noted.piece));
        for Noted { at, guess, .. } in noted.drain(..) {
            self.around(&Frame::of(bytes, at, guess), at, &mut met);
        }
    }

    /// The canaries that a piece at a frame's begin may belong to.
    fn around(
        &self,
        frame: &Frame<'_>,
        at: usize,
        met: &mut impl FnMut(Met, std::ops::Range<usize>),
    ) {
        const BEFORE: usize = STRIDE_BYTES;
        let mut letters = [0; BEFORE + CANARY_BYTES];
        frame.letters(-(BEFORE as isize), &mut letters);
        for before in 0..STRIDE_BYTES {
            let first = BEFORE - before;
            let candidate = &letters[first..first + CANARY_BYTES];
            let middle = middle_of(candidate);
            if !self.middles.may_hold(folded(&middle)) {
                continue;
            }
            let Some(begin) = frame.first_character(before) else {
                break;
            };
            // Else it is another window's.
            if begin > at || at - begin >= STRIDE_BYTES {
                continue;
            }
            let numbers = self.by_middle.get(&middle).into_iter();
            for number in numbers.chain(self.twins.get(&middle).into_iter().flatten()) {
                let number = *number as usize;
                if self.stands(number, frame, candidate, before, begin) {
                    met(
                        (number, frame.spelling),
                        begin..begin + frame.canary_bytes(),
                    );
                }
            }
        }
    }

    /// Whether the whole of a canary is here.
    fn stands(
        &self,
        number: usize,
        frame: &Frame<'_>,
        candidate: &[u8],
        before: usize,
        begin: usize,
    ) -> bool {
        let canary = &self.canaries[number];
        if frame.spelling != Spelling::Base64 {
            return candidate == canary;
        }
        // Its outer letters may be in part in characters that are not here, or not its own.
        let lead = (3 - before % 3) % 3;
        let text = STANDARD_NO_PAD.encode([&[0; 3][..lead], canary].concat());
        let first = (lead * 8).div_ceil(6);
        let text = &text.as_bytes()[first..first + BASE64_CHARACTERS];
        let here = frame.bytes.get(begin..begin + BASE64_CHARACTERS);
        here == Some(text)
    }
}

/// The first eight letters as one number.
fn word(letters: &[u8]) -> u64 {
    letters
        .first_chunk()
        .map_or(0, |eight| u64::from_le_bytes(*eight))
}

fn middle_of(canary: &[u8]) -> [u8; MIDDLE_BYTES] {
    let mut middle = [0; MIDDLE_BYTES];
    middle.copy_from_slice(&canary[MIDDLE]);
    middle
}

fn folded(middle: &[u8; MIDDLE_BYTES]) -> u64 {
    let (one, other) = middle.split_at(MIDDLE_BYTES / 2);
    word(one) ^ word(other).rotate_left(5)
}
