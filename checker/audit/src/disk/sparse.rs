//! The parts of a file that hold data. A store's journals are made large and mostly empty;
//! holes are neither copied nor scanned.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

const CHUNK_BYTES: usize = 1 << 20;

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

/// The bytes of all files below a folder, without holes.
///
/// # Errors
/// What the disk said.
pub(crate) fn bytes_below(folder: &Path) -> io::Result<u64> {
    const BLOCK_BYTES: u64 = 512;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += match about.is_dir() {
            true => bytes_below(&entry.path())?,
            false => about.blocks() * BLOCK_BYTES,
        };
    }
    Ok(bytes)
}

/// Copies a file to where none is, its holes left out; gives the bytes that were copied. One that
/// gets shorter meanwhile is copied as far as it goes.
///
/// # Errors
/// What the disk said.
pub fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    copy_file(&File::open(from)?, &File::create_new(to)?)
}

fn copy_file(from: &File, to: &File) -> io::Result<u64> {
    to.set_len(from.metadata()?.len())?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut copied = 0;
    for range in data(from)? {
        let mut at = range.start;
        while at < range.end {
            let wanted = (range.end - at).min(CHUNK_BYTES as u64) as usize;
            let read = from.read_at(&mut buffer[..wanted], at)?;
            if read == 0 {
                break;
            }
            to.write_all_at(&buffer[..read], at)?;
            at += read as u64;
            copied += read as u64;
        }
    }
    Ok(copied)
}

fn seek(file: &File, at: u64, whence: Whence) -> Result<u64, Errno> {
    let at = i64::try_from(at).map_err(|_| Errno::EOVERFLOW)?;
    let found = lseek(file, at, whence)?;
    u64::try_from(found).map_err(|_| Errno::EOVERFLOW)
}

#[cfg(test)]
mod tests {
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
