//! The end of a table: which version it is of, how its blocks are checksummed, and where its
//! two indexes begin. Versions as in Pebble's `sstable/table.go`.

use super::block::{Checksum, Handle, masked_crc};
use crate::disk::bytes::{Cursor, Read};

const LEVELDB_MAGIC: &[u8; 8] = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb";
const ROCKSDB_MAGIC: &[u8; 8] = b"\xf7\xcf\xf4\x85\xb7\x41\xe2\x88";
const PEBBLE_MAGIC: &[u8; 8] = b"\xf0\x9f\xaa\xb3\xf0\x9f\xaa\xb3";
const LEVELDB_BYTES: usize = 48;
const PLAIN_BYTES: usize = 53;
const CHECKED_BYTES: usize = PLAIN_BYTES + 4;
const ATTRIBUTED_BYTES: usize = CHECKED_BYTES + 4;
/// Version and magic, which end every footer but the oldest.
const END_BYTES: usize = 12;

/// Versions in the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    LevelDb,
    RocksDb2,
    /// 1 .. 7: block properties, range keys, value blocks, sized deletions, columns, a
    /// checksum of the footer, attributes.
    Pebble(u32),
}

impl Version {
    /// Blocks in columns instead of rows.
    pub(super) fn has_columns(self) -> bool {
        self >= Version::Pebble(5)
    }

    /// A byte before every value that was set: whether it stands there or in a value block.
    pub(super) fn marks_values(self) -> bool {
        self >= Version::Pebble(3)
    }
}

#[derive(Debug)]
pub(super) struct Footer {
    pub(super) version: Version,
    pub(super) checksum: Checksum,
    pub(super) metaindex: Handle,
    pub(super) index: Handle,
    /// Where it begins in the file.
    pub(super) offset: usize,
    /// What of it is not as it was written, though it could be read.
    pub(super) damage: Option<String>,
}

/// Reads the footer of a table.
///
/// # Errors
/// What does not fit: these bytes are no whole table.
pub(super) fn parse(file: &[u8]) -> Read<Footer> {
    let magic = file
        .last_chunk::<8>()
        .ok_or("it is too short for a table")?;
    let (version, length) = match magic {
        LEVELDB_MAGIC => (Version::LevelDb, LEVELDB_BYTES),
        ROCKSDB_MAGIC => (Version::RocksDb2, PLAIN_BYTES),
        PEBBLE_MAGIC => match numbered(file)? {
            number @ 1..=5 => (Version::Pebble(number), PLAIN_BYTES),
            6 => (Version::Pebble(6), CHECKED_BYTES),
            7 => (Version::Pebble(7), ATTRIBUTED_BYTES),
            number => {
                return Err(format!(
                    "its footer is of version {number}, which is not known"
                ));
            }
        },
        _ => return Err("it does not end as a table does".to_owned()),
    };
    let offset = file
        .len()
        .checked_sub(length)
        .ok_or("its footer is cut short")?;
    let footer = &file[offset..];
    let mut cursor = Cursor::new(footer);
    let checksum = match version {
        Version::LevelDb => Checksum::Crc32c,
        _ => Checksum::of(cursor.byte()?),
    };
    let metaindex = Handle::read(&mut cursor)?;
    let index = Handle::read(&mut cursor)?;
    for (what, handle) in [("its metaindex", metaindex), ("its index", index)] {
        if handle.end().is_none_or(|end| end > offset) {
            return Err(format!("{what} ends behind the file"));
        }
    }
    let padding_end = match version {
        Version::LevelDb => LEVELDB_BYTES - 8,
        _ => PLAIN_BYTES - END_BYTES,
    };
    let padding = footer.get(cursor.at()..padding_end).unwrap_or_default();
    let mut damage = None;
    if version == Version::RocksDb2 && numbered(file)? != 2 {
        damage = Some("the version in its footer is not one of RocksDB's".to_owned());
    }
    if padding.iter().any(|byte| *byte != 0) {
        damage = Some("its footer is not padded with zeros".to_owned());
    }
    if version >= Version::Pebble(6) && !checksum_fits(footer) {
        damage = Some("the checksum in its footer is not that of its bytes".to_owned());
    }
    Ok(Footer {
        version,
        checksum,
        metaindex,
        index,
        offset,
        damage,
    })
}

fn numbered(file: &[u8]) -> Read<u32> {
    let at = file.len().checked_sub(END_BYTES);
    let end = at.and_then(|at| file.get(at..)).unwrap_or_default();
    Cursor::new(end).u32_little()
}

/// The checksum stands before version and magic, and is over all but itself.
fn checksum_fits(footer: &[u8]) -> bool {
    let Some(at) = footer.len().checked_sub(END_BYTES + 4) else {
        return false;
    };
    let (before, stated) = (&footer[..at], &footer[at..at + 4]);
    let crc = crc32c::crc32c_append(crc32c::crc32c(before), &footer[at + 4..]);
    stated == masked_crc(crc).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_table_is_said() {
        for file in [&b""[..], b"\xf0\x9f\xaa\xb3", PEBBLE_MAGIC, &[0; 100]] {
            assert!(parse(file).is_err());
        }
        let mut newer = vec![0; 60];
        newer.extend_from_slice(&9_u32.to_le_bytes());
        newer.extend_from_slice(PEBBLE_MAGIC);
        let error = parse(&newer).unwrap_err();
        assert!(error.contains("version 9"), "{error}");
    }
}
