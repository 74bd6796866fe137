//! The parts of a file that hold data. A store's journals are made large and mostly empty;
//! holes are neither copied nor scanned.

use std::fs::File;
use std::io;
use std::ops::Range;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

/// The ranges of a file that are not holes, in order. Where the file system does not know
/// holes it is one range.
///
/// # Errors
/// What the disk said.
pub(crate) fn data(file: &File) -> io::Result<Vec<Range<u64>>> {
    let length = file.metadata()?.len();
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < length {
        let start = match seek(file, at, Whence::SeekData) {
            Ok(start) => start,
            // No data behind this point.
            Err(Errno::ENXIO) => break,
            Err(Errno::EINVAL) => at,
            Err(errno) => return Err(errno.into()),
        };
        let end = match seek(file, start, Whence::SeekHole) {
            Ok(end) => end.min(length),
            Err(Errno::EINVAL) => length,
            Err(Errno::ENXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        if start < end {
            ranges.push(start..end);
        }
        at = end.max(start + 1);
    }
    Ok(ranges)
}

fn seek(file: &File, at: u64, whence: Whence) -> Result<u64, Errno> {
    let at = i64::try_from(at).map_err(|_| Errno::EOVERFLOW)?;
    let found = lseek(file, at, whence)?;
    u64::try_from(found).map_err(|_| Errno::EOVERFLOW)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn what_was_written_is_found_and_holes_are_not() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(data(&file).unwrap(), []);
        file.set_len(64 << 20).unwrap();
        file.write_all_at(b"here", 40 << 20).unwrap();
        let ranges = data(&file).unwrap();
        assert!(ranges.iter().any(|range| range.contains(&(40 << 20))));
        let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        assert!(bytes >= 4, "{ranges:?}");
    }
}
