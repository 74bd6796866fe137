//! The history on disk: `history.kqh`, version 2.
//!
//! Append-only, written while the run goes on, and readable after a crash at any byte.
//! All integers are little-endian.
//!
//! ```text
//! file    = magic version chunk*
//! magic   = "KQHIST\r\n"                   8 bytes; the line end shows a text-mode copy
//! version = u32                            2
//! chunk   = mark length raw_length payload_crc header_crc payload
//!   mark        = "KQCH"                   4 bytes
//!   length      = u32                      bytes of payload, 1 … 64 MiB
//!   raw_length  = u32                      bytes of payload once unpacked, 1 … 64 MiB
//!   payload_crc = u32                      CRC-32C (Castagnoli) of payload
//!   header_crc  = u32                      CRC-32C of the 16 bytes before it
//!   payload     = one zstd frame           of raw_length bytes: event event* …
//! event   = postcard (its stable wire format 1) of `history::Event`
//! ```
//!
//! Postcard writes integers as LEB128 varints, an `Option` as 0 or 1 and the value, a
//! sequence or string as its length and contents, an enum as the varint number of its
//! variant in the order of declaration, and a struct as its fields in that order. So the
//! declarations in [`crate::history`] are part of this format: adding a variant at the end
//! of an enum, or anything else that changes these bytes, raises [`VERSION`]. A reader
//! reads every version up to its own, and refuses a newer one by name. Version 2 added the
//! events `Outcome` and `Outage`; what version 1 holds is the same in both.
//!
//! **Torn tail.** A writer that dies leaves a cut chunk, or (power loss) garbled bytes at the
//! end. A reader that meets a bad chunk looks for a whole chunk header behind it: if there is
//! none, the tail was torn, and reading ends there and says so; if there is one, the damage is
//! in the middle, bytes that were once whole are lost, and that is an error. The header has a
//! checksum of its own so that this is decided in one pass over the rest of the file.

use std::path::PathBuf;

mod reader;
mod writer;

pub use reader::{Reader, TornTail, load};
pub use writer::Writer;

/// The first eight bytes of every history.
pub const MAGIC: [u8; 8] = *b"KQHIST\r\n";

/// The version written, and the newest one read.
pub const VERSION: u32 = 2;

/// Raw bytes after which a writer cuts a chunk.
const CHUNK_RAW_BYTES: usize = 256 * 1024;

/// No chunk is larger, packed or unpacked: what a reader allocates is bounded by it.
const CHUNK_BYTES_MAX: usize = 64 * 1024 * 1024;

/// No event is larger, so that with what waits before it, and packed badly, it fits a chunk.
const EVENT_BYTES_MAX: usize = CHUNK_BYTES_MAX / 2;

/// zstd level: 1 packs a history to about a fifth and costs less than encoding it.
const ZSTD_LEVEL: i32 = 1;

/// Why a history could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refused.
    #[error("failed to read the history {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file does not begin as a history does.
    #[error("{}: not a keyquake history ({what})", path.display())]
    NotAHistory {
        /// The file.
        path: PathBuf,
        /// What was found in place of the header.
        what: String,
    },
    /// The file was written by a later release.
    #[error(
        "{}: this history has format version {found}, and this release reads up to {VERSION}; \
         read it with the release that wrote it, or a later one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version in its header.
        found: u32,
    },
    /// A chunk before the last is damaged: what follows cannot be trusted to be the whole.
    #[error(
        "{}: corrupt chunk at byte {offset} ({reason}); more of the history stands behind it, so this \
         is damage and not a torn tail; restore the file from a copy",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damaged chunk begins.
        offset: u64,
        /// What was wrong with it.
        reason: String,
    },
    /// A chunk has the right checksum, and yet holds no events: its writer was wrong.
    #[error(
        "{}: the chunk at byte {offset} is whole but holds no valid events ({reason}); the program \
         that wrote it does not follow the format",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where the chunk begins.
        offset: u64,
        /// What was wrong with it.
        reason: String,
    },
}

/// The fixed part before each payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ChunkHeader {
    length: u32,
    raw_length: u32,
    payload_crc: u32,
}

const CHUNK_MARK: [u8; 4] = *b"KQCH";
const CHUNK_HEADER_BYTES: usize = 20;

impl ChunkHeader {
    fn encode(self) -> [u8; CHUNK_HEADER_BYTES] {
        let mut bytes = [0; CHUNK_HEADER_BYTES];
        bytes[..4].copy_from_slice(&CHUNK_MARK);
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.raw_length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..16]);
        bytes[16..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header in these bytes, or why there is none.
    fn decode(bytes: &[u8; CHUNK_HEADER_BYTES]) -> Result<Self, &'static str> {
        if bytes[..4] != CHUNK_MARK {
            return Err("no chunk begins here");
        }
        if crc32c::crc32c(&bytes[..16]) != word(bytes, 16) {
            return Err("wrong checksum of its header");
        }
        let header = ChunkHeader {
            length: word(bytes, 4),
            raw_length: word(bytes, 8),
            payload_crc: word(bytes, 12),
        };
        let in_bounds = |n: u32| n > 0 && n as usize <= CHUNK_BYTES_MAX;
        if in_bounds(header.length) && in_bounds(header.raw_length) {
            Ok(header)
        } else {
            Err("a length out of bounds")
        }
    }
}

/// The little-endian word at `at`.
fn word(bytes: &[u8; CHUNK_HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
