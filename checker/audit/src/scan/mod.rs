//! All bytes of all files, in one pass for everything that is looked for: every canary and every
//! bare key, in every spelling.
//!
//! Nothing that is looked for is shorter than 32 bytes, so only every 24th place has to be looked
//! at: eight bytes from there lie within whatever begins in the 24 bytes up to it. `shape` and
//! `planted` find canaries, `patterns` finds keys, `file` brings the bytes.

mod file;
mod patterns;
mod planted;
mod shape;
mod sieve;
#[cfg(test)]
mod tests;

use std::io;
use std::ops::Range;
use std::path::Path;

use crate::canaries::Canaries;
use crate::secrets::Secret;

use patterns::{Ends, Patterns};
use planted::{Noted, PlantedCanaries};
pub use shape::Spelling;
use shape::WINDOW_BYTES;

/// From one place that is looked at to the next.
const STRIDE_BYTES: usize = 24;
/// So many windows are noted before they are settled.
const NOTED_MAX: usize = 256;
/// Nothing that is looked for is shorter.
const SHORTEST_BYTES: usize = STRIDE_BYTES + WINDOW_BYTES;

/// Everything that is looked for: canaries, and bare keys.
pub struct Needles {
    canaries: PlantedCanaries,
    secrets: Vec<Secret>,
    patterns: Patterns,
}

/// What was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hit {
    /// The canary at this position of those planted, in this spelling.
    Canary(usize, Spelling),
    /// The secret at this position.
    Secret(usize),
}

impl Needles {
    /// All canaries of a run, and spellings of keys.
    pub fn new(canaries: Option<&Canaries>, secrets: Vec<Secret>) -> Needles {
        let canaries = canaries.into_iter().flat_map(Canaries::needles).collect();
        // Every spelling of 32 bytes has at least as many.
        let long = |secret: &Secret| secret.bytes.len() >= SHORTEST_BYTES;
        let secrets: Vec<Secret> = secrets.into_iter().filter(long).collect();
        Needles {
            canaries: PlantedCanaries::new(canaries),
            patterns: Patterns::new(secrets.iter().map(|secret| &secret.bytes[..])),
            secrets,
        }
    }

    pub(crate) fn secret(&self, position: usize) -> &Secret {
        &self.secrets[position]
    }

    /// Everything that stands in these bytes, and where, each once, in no certain order. What is
    /// cut off by their begin or their end is not there; of a key that overlaps itself the first
    /// counts.
    pub fn each_in(&self, bytes: &[u8], mut met: impl FnMut(Hit, Range<usize>)) {
        let mut ends = Ends::default();
        let mut noted = Vec::new();
        let mut at = 0;
        while let Some(window) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let shapes = self.canaries.shapes.of(window);
            if shapes != 0 {
                self.canaries.note(bytes, at, window, shapes, &mut noted);
                if noted.len() >= NOTED_MAX {
                    self.settle(bytes, &mut noted, &mut met);
                }
            }
            if self.patterns.may_be_at(window) {
                let pattern = |number: usize| &self.secrets[number].bytes[..];
                let met = |number, range| met(Hit::Secret(number), range);
                self.patterns.at(bytes, at, window, pattern, &mut ends, met);
            }
            at += STRIDE_BYTES;
        }
        self.settle(bytes, &mut noted, &mut met);
    }

    fn settle(
        &self,
        bytes: &[u8],
        noted: &mut Vec<Noted>,
        met: &mut impl FnMut(Hit, Range<usize>),
    ) {
        let met = |(number, spelling), range| met(Hit::Canary(number, spelling), range);
        self.canaries.settle(bytes, noted, met);
    }

    /// Everything that stands in a file, and at which byte. Returns how many bytes were looked
    /// at: holes are not.
    ///
    /// # Errors
    /// What the disk said.
    pub fn each_in_file(&self, path: &Path, met: impl FnMut(Hit, u64)) -> io::Result<u64> {
        file::each_in(self, path, met)
    }

    fn longest(&self) -> usize {
        shape::LONGEST_BYTES.max(self.patterns.longest())
    }
}
