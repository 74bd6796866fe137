//! All bytes of all files, in one pass for everything that is looked for.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::canaries::Canaries;
use crate::disk::sparse;
use crate::secrets::Secret;
use crate::subject::AuditError;

/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Everything that is looked for: canaries, and bare keys.
pub(crate) struct Needles {
    automaton: AhoCorasick,
    canaries: usize,
    secrets: Vec<Secret>,
    longest: usize,
}

/// What was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// The canary at this position of those planted.
    Canary(usize),
    /// The secret at this position.
    Secret(usize),
}

impl Needles {
    pub(crate) fn new(
        canaries: Option<&Canaries>,
        secrets: Vec<Secret>,
    ) -> Result<Needles, AuditError> {
        let mut patterns: Vec<&[u8]> = Vec::new();
        let canaries: Vec<_> = canaries.into_iter().flat_map(Canaries::needles).collect();
        patterns.extend(canaries.iter().map(|canary| &canary[..]));
        patterns.extend(secrets.iter().map(|secret| &secret.bytes[..]));
        let longest = patterns.iter().map(|pattern| pattern.len()).max();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(&patterns)
            .map_err(|error| AuditError::Search {
                patterns: patterns.len(),
                reason: error.to_string(),
            })?;
        Ok(Needles {
            automaton,
            canaries: canaries.len(),
            longest: longest.unwrap_or(1),
            secrets,
        })
    }

    pub(crate) fn secret(&self, position: usize) -> &Secret {
        &self.secrets[position]
    }

    /// Everything that stands in these bytes, and where.
    pub(crate) fn each_in(&self, bytes: &[u8], mut met: impl FnMut(Hit, Range<usize>)) {
        for found in self.automaton.find_iter(bytes) {
            let pattern = found.pattern().as_usize();
            let hit = match pattern.checked_sub(self.canaries) {
                None => Hit::Canary(pattern),
                Some(secret) => Hit::Secret(secret),
            };
            met(hit, found.range());
        }
    }

    /// Everything that stands in a file. Returns how many bytes it has, without holes.
    ///
    /// # Errors
    /// What the disk said.
    pub(crate) fn each_in_file(
        &self,
        path: &Path,
        mut met: impl FnMut(Hit, u64),
    ) -> io::Result<u64> {
        let file = File::open(path)?;
        let mut buffer = vec![0; CHUNK_BYTES + self.longest];
        let mut bytes = 0;
        for range in sparse::data(&file)? {
            let mut at = range.start;
            // What is kept of the chunk before, so that nothing is missed across the edge.
            let mut kept = 0;
            while at < range.end {
                let wanted = (range.end - at).min(CHUNK_BYTES as u64) as usize;
                let read = file.read_at(&mut buffer[kept..kept + wanted], at)?;
                if read == 0 {
                    break;
                }
                let filled = kept + read;
                let begins = at - kept as u64;
                self.each_in(&buffer[..filled], |hit, range| {
                    // What ends in the kept bytes was met with the chunk before.
                    if range.end > kept {
                        met(hit, begins + range.start as u64);
                    }
                });
                at += read as u64;
                bytes += read as u64;
                kept = filled.min(self.longest - 1);
                buffer.copy_within(filled - kept..filled, 0);
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use keyquake_formats::canary::Canary;

    use super::*;
    use crate::canaries::MayStand;
    use crate::secrets;

    #[test]
    fn everything_is_met_once_also_across_the_edges_of_chunks() {
        let mut canaries = Canaries::new(Canary::of_seed(3));
        (0..50).for_each(|value| canaries.plant(1, value, MayStand::Nowhere));
        let needles = Needles::new(Some(&canaries), secrets::spellings("KEK", &[9; 32])).unwrap();
        let texts: Vec<_> = canaries.needles().collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut expected = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            // Around the first edge, byte by byte, and far behind a hole.
            let place = match at {
                0..40 => (at as u64 + 1) * CHUNK_BYTES as u64 - at as u64,
                _ => (1 << 30) + at as u64 * 40,
            };
            file.as_file().write_all_at(text, place).unwrap();
            expected.push((Hit::Canary(at), place));
        }
        file.as_file().write_all_at(&[9; 32], 2 << 30).unwrap();
        let mut seen = Vec::new();
        let bytes = needles
            .each_in_file(file.path(), |hit, at| seen.push((hit, at)))
            .unwrap();
        let secret = seen.pop();
        assert!(
            matches!(secret, Some((Hit::Secret(_), at)) if at == 2 << 30),
            "{secret:?}"
        );
        assert_eq!(seen, expected);
        assert!(bytes < 1 << 30, "holes were read");
    }
}
