//! Blocks of a table: `bytes ‖ compression(1) ‖ checksum LE32`, the checksum being over the
//! bytes as they lie there and the byte that says how they are compressed.

use std::borrow::Cow;

use crate::disk::bytes::{Cursor, Read};

const TRAILER_BYTES: usize = 5;
/// No compressor that is read makes a byte out of more than this many.
const EXPANSION_MAX: usize = 4096;
/// No block grows beyond this, whatever it says: a damaged length must not eat the memory.
const OPENED_BYTES_MAX: usize = 256 << 20;

/// Where a block lies in its file, without its trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Handle {
    pub(super) offset: usize,
    pub(super) length: usize,
}

impl Handle {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Read<Handle> {
        let (offset, length) = (cursor.length()?, cursor.length()?);
        Ok(Handle { offset, length })
    }

    /// Where its trailer ends.
    pub(super) fn end(self) -> Option<usize> {
        self.offset
            .checked_add(self.length)?
            .checked_add(TRAILER_BYTES)
    }
}

/// How blocks are checksummed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    Crc32c,
    /// Of a kind that is not read (3 is xxHash64, which nobody has been seen to use).
    Unread(u8),
}

impl Checksum {
    pub(super) fn of(byte: u8) -> Checksum {
        match byte {
            1 => Checksum::Crc32c,
            other => Checksum::Unread(other),
        }
    }

    fn fits(self, checked: &[u8], stated: u32) -> Option<bool> {
        match self {
            Checksum::Crc32c => Some(masked_crc(crc32c::crc32c(checked)) == stated),
            Checksum::Unread(_) => None,
        }
    }
}

/// A CRC as LevelDB and its heirs store it.
pub(super) fn masked_crc(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A block with its compression undone.
pub(super) struct Block<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// Whether its checksum is that of its bytes; `None` if it is of a kind that is not read.
    pub(super) fits: Option<bool>,
}

impl Block<'_> {
    /// Whether its bytes lie in the file otherwise than they are here.
    pub(super) fn was_compressed(&self) -> bool {
        matches!(self.bytes, Cow::Owned(_))
    }
}

/// Why a block gives no bytes.
#[derive(Debug)]
pub(super) enum Shut {
    /// It is not as it was written.
    Damaged(String),
    /// It is of a kind that is not read.
    Unknown(String),
}

/// Opens a block.
///
/// # Errors
/// Why it could not be. A wrong checksum alone is no error: what the block holds is still
/// looked at, and the checksum is in [`Block::fits`].
pub(super) fn open(file: &[u8], handle: Handle, checksum: Checksum) -> Result<Block<'_>, Shut> {
    let whole = handle.end().and_then(|end| file.get(handle.offset..end));
    let whole = whole.ok_or_else(|| Shut::Damaged("it ends behind the file".to_owned()))?;
    let (bytes, trailer) = whole.split_at(handle.length);
    let stated = u32::from_le_bytes([trailer[1], trailer[2], trailer[3], trailer[4]]);
    let fits = checksum.fits(&whole[..handle.length + 1], stated);
    let opened = match trailer[0] {
        0 => Ok(Cow::Borrowed(bytes)),
        1 => snappy(bytes).map(Cow::Owned),
        7 => zstandard(bytes).map(Cow::Owned),
        // Bytes that are not what was written may say anything of their compression.
        other if fits == Some(false) => Err(format!("it says to be compressed in way {other}")),
        other => {
            let names = ["zlib", "bzip2", "lz4", "lz4hc", "xpress", "", "minlz"];
            let name = usize::from(other)
                .checked_sub(2)
                .and_then(|at| names.get(at));
            let name = name.unwrap_or(&"a way that has no name");
            return Err(Shut::Unknown(format!(
                "it is compressed with {name} (way {other}), which is not opened"
            )));
        }
    };
    match opened {
        Ok(bytes) => Ok(Block { bytes, fits }),
        Err(what) => Err(Shut::Damaged(what)),
    }
}

fn bounded(length: usize, compressed: &[u8]) -> Read<usize> {
    let most = compressed.len().saturating_mul(EXPANSION_MAX);
    match length <= most.min(OPENED_BYTES_MAX) {
        true => Ok(length),
        false => Err(format!(
            "its {} bytes say to be {length} when opened",
            compressed.len()
        )),
    }
}

fn snappy(bytes: &[u8]) -> Read<Vec<u8>> {
    let failed = |error: snap::Error| format!("Snappy does not open it: {error}");
    bounded(snap::raw::decompress_len(bytes).map_err(failed)?, bytes)?;
    snap::raw::Decoder::new()
        .decompress_vec(bytes)
        .map_err(failed)
}

/// Pebble puts the length before the frame.
fn zstandard(bytes: &[u8]) -> Read<Vec<u8>> {
    let mut cursor = Cursor::new(bytes);
    let length = bounded(cursor.length()?, bytes)?;
    let opened = zstd::bulk::decompress(cursor.rest(), length)
        .map_err(|error| format!("Zstandard does not open it: {error}"))?;
    match opened.len() == length {
        true => Ok(opened),
        false => Err(format!(
            "it opens to {} bytes and says {length}",
            opened.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(bytes: &[u8], way: u8) -> Vec<u8> {
        let mut whole = [bytes, &[way]].concat();
        let crc = masked_crc(crc32c::crc32c(&whole));
        whole.extend_from_slice(&crc.to_le_bytes());
        whole
    }

    fn opened(file: &[u8]) -> Result<(Vec<u8>, Option<bool>), Shut> {
        let length = file.len() - TRAILER_BYTES;
        let handle = Handle { offset: 0, length };
        open(file, handle, Checksum::Crc32c).map(|block| (block.bytes.into_owned(), block.fits))
    }

    #[test]
    fn every_compression_is_opened_or_named() {
        let text = b"the same words the same words the same words".repeat(50);
        let packed = snap::raw::Encoder::new().compress_vec(&text).unwrap();
        let mut framed = vec![(text.len() as u8 & 0x7f) | 0x80, (text.len() >> 7) as u8];
        framed.extend(zstd::bulk::compress(&text, 3).unwrap());
        for (bytes, way) in [(&text, 0), (&packed, 1), (&framed, 7)] {
            let (content, fits) = opened(&block(bytes, way)).unwrap();
            assert!(content == text && fits == Some(true), "{way}");
        }
        for (way, name) in [(2, "zlib"), (8, "minlz"), (99, "no name")] {
            match opened(&block(&text, way)) {
                Err(Shut::Unknown(what)) => assert!(what.contains(name), "{what}"),
                _ => panic!("way {way} is not opened"),
            }
        }
    }

    #[test]
    fn a_block_that_lies_about_its_length_takes_no_memory() {
        let huge = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        for way in [1, 7] {
            assert!(matches!(opened(&block(&huge, way)), Err(Shut::Damaged(_))));
        }
    }
}
