//! A file's bytes, piece by piece.
//!
//! They are read and not mapped. A file that somebody cuts short, and a sector that can't be
//! read, are errors of a `read`; of a mapping they are a SIGBUS, which ends the audit and with
//! it the verdict, and no check beforehand helps against what happens afterwards. Read into a
//! buffer that stays in the processor's cache, the copy costs less than the page faults of a
//! mapping do: `benches/scan.rs` measures both.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Hit, Needles};
use crate::disk::sparse;

/// Bytes read at once.
pub(super) const CHUNK_BYTES: usize = 256 << 10;

pub(super) fn each_in(
    needles: &Needles,
    path: &Path,
    mut met: impl FnMut(Hit, u64),
) -> io::Result<u64> {
    let file = File::open(path)?;
    let overlap = needles.longest() - 1;
    let mut buffer = vec![0; CHUNK_BYTES + overlap];
    let mut bytes = 0;
    for range in with_rims(
        &sparse::data(&file)?,
        overlap as u64,
        file.metadata()?.len(),
    ) {
        let mut at = range.start;
        // What is kept of the chunk before, so that nothing is missed across the edge.
        let mut kept = 0;
        while at < range.end {
            let wanted = (range.end - at).min(CHUNK_BYTES as u64) as usize;
            let read = file.read_at(&mut buffer[kept..kept + wanted], at)?;
            if read == 0 {
                let error = "it became shorter while it was read";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error));
            }
            let filled = kept + read;
            let begins = at - kept as u64;
            needles.each_in(&buffer[..filled], |hit, range| {
                // What ends in the kept bytes was met with the chunk before.
                if range.end > kept {
                    met(hit, begins + range.start as u64);
                }
            });
            at += read as u64;
            bytes += read as u64;
            kept = filled.min(overlap);
            buffer.copy_within(filled - kept..filled, 0);
        }
    }
    Ok(bytes)
}

/// Ranges of data with a rim of the holes around them: a hole reads as zeros, and a key may
/// begin or end with some.
fn with_rims(data: &[Range<u64>], rim: u64, length: u64) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for range in data {
        let start = range.start.saturating_sub(rim);
        let end = (range.end + rim).min(length);
        match ranges.last_mut() {
            Some(last) if last.end >= start => last.end = end,
            _ => ranges.push(start..end),
        }
    }
    ranges
}
