//! Reads a history as a stream, one chunk in memory at a time, and tells a torn tail from damage.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{CHUNK_HEADER_BYTES, CHUNK_MARK, ChunkHeader, MAGIC, ReadError, VERSION};
use crate::history::Event;

/// What was cut from the end of a history whose writer died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TornTail {
    /// Where the torn chunk begins: everything before it is whole.
    pub offset: u64,
    /// How many bytes from there to the end of the file were dropped.
    pub bytes: u64,
}

/// A history as an iterator over its events. After the first error it ends.
pub struct Reader<R = BufReader<File>> {
    input: R,
    path: PathBuf,
    /// Where the chunk in hand begins, and where the next one does.
    offset: u64,
    next_offset: u64,
    packed: Vec<u8>,
    raw: Vec<u8>,
    /// How much of `raw` has been handed out.
    taken: usize,
    unpacker: zstd::bulk::Decompressor<'static>,
    torn: Option<TornTail>,
    ended: bool,
}

/// Reads a whole history into memory, with what was torn from its end.
pub fn load(path: &Path) -> Result<(Vec<Event>, Option<TornTail>), ReadError> {
    let mut reader = Reader::open(path)?;
    let events = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
    Ok((events, reader.torn))
}

impl Reader {
    /// Opens a history and checks its magic and version.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let file = File::open(path).map_err(|source| ReadError::Io {
            path: path.to_owned(),
            source,
        })?;
        Reader::from_read(BufReader::with_capacity(256 * 1024, file), path)
    }
}

impl<R: Read> Reader<R> {
    /// Reads a history from anything; `path` is only for messages.
    pub fn from_read(mut input: R, path: &Path) -> Result<Self, ReadError> {
        let io_error = |source| ReadError::Io {
            path: path.to_owned(),
            source,
        };
        let mut header = [0; 12];
        let got = fill(&mut input, &mut header).map_err(io_error)?;
        if got < header.len() || header[..8] != MAGIC {
            return Err(ReadError::NotAHistory {
                path: path.to_owned(),
                what: describe_start(&header[..got]),
            });
        }
        let found = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        if found > VERSION {
            return Err(ReadError::Newer {
                path: path.to_owned(),
                found,
            });
        }
        if found == 0 {
            return Err(ReadError::NotAHistory {
                path: path.to_owned(),
                what: "its version is 0, which never was".to_owned(),
            });
        }
        Ok(Reader {
            input,
            path: path.to_owned(),
            offset: 12,
            next_offset: 12,
            packed: Vec::new(),
            raw: Vec::new(),
            taken: 0,
            unpacker: zstd::bulk::Decompressor::new().map_err(io_error)?,
            torn: None,
            ended: false,
        })
    }

    /// What was torn off; known once the iterator has ended.
    pub fn torn(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// Loads the next chunk; `false` at the end of the history, torn or not.
    fn next_chunk(&mut self) -> Result<bool, ReadError> {
        self.offset = self.next_offset;
        let mut head = [0; CHUNK_HEADER_BYTES];
        let got = fill(&mut self.input, &mut head).map_err(|e| self.io(e))?;
        if got == 0 {
            return Ok(false);
        }
        self.packed.clear();
        if got < head.len() {
            return self.torn_or_corrupt(&head[..got], "its header is cut short");
        }
        let header = match ChunkHeader::decode(&head) {
            Ok(header) => header,
            Err(reason) => return self.torn_or_corrupt(&head, reason),
        };
        // `take` and not `resize`: a lying length allocates no more than the file has.
        let mut packed = std::mem::take(&mut self.packed);
        let read = (&mut self.input)
            .take(u64::from(header.length))
            .read_to_end(&mut packed);
        self.packed = packed;
        read.map_err(|e| self.io(e))?;
        if self.packed.len() < header.length as usize {
            return self.torn_or_corrupt(&head, "it is cut short");
        }
        if crc32c::crc32c(&self.packed) != header.payload_crc {
            return self.torn_or_corrupt(&head, "wrong checksum");
        }
        self.unpack(header)?;
        self.next_offset += (CHUNK_HEADER_BYTES + self.packed.len()) as u64;
        Ok(true)
    }

    fn unpack(&mut self, header: ChunkHeader) -> Result<(), ReadError> {
        self.raw.clear();
        self.taken = 0;
        let wanted = header.raw_length as usize;
        self.raw.reserve_exact(wanted);
        let unpacked = self
            .unpacker
            .decompress_to_buffer(&self.packed, &mut self.raw);
        match unpacked {
            Ok(bytes) if bytes == wanted && self.raw.len() == wanted => Ok(()),
            Ok(bytes) => Err(self.malformed(format!(
                "it unpacks to {bytes} bytes where its header says {wanted}"
            ))),
            Err(error) => Err(self.malformed(format!("zstd: {error}"))),
        }
    }

    /// A bad chunk: damage if a whole chunk header stands anywhere behind it, else a torn tail.
    /// `head` and `self.packed` are what was read of it.
    fn torn_or_corrupt(&mut self, head: &[u8], reason: &str) -> Result<bool, ReadError> {
        let mut window = head.to_vec();
        window.append(&mut self.packed);
        let mut total = window.len() as u64;
        // The bad chunk's own header, should it be whole, does not count.
        let mut from = 1;
        loop {
            if let Some(bytes) = window.get(from..)
                && header_within(bytes)
            {
                return Err(ReadError::Corrupt {
                    path: self.path.clone(),
                    offset: self.offset,
                    reason: reason.to_owned(),
                });
            }
            // Keep what may be the beginning of a header that the next block completes.
            let keep = window
                .len()
                .saturating_sub(from)
                .min(CHUNK_HEADER_BYTES - 1);
            window.drain(..window.len() - keep);
            from = 0;
            let more = (&mut self.input)
                .take(256 * 1024)
                .read_to_end(&mut window)
                .map_err(|e| self.io(e))?;
            if more == 0 {
                self.torn = Some(TornTail {
                    offset: self.offset,
                    bytes: total,
                });
                return Ok(false);
            }
            total += more as u64;
        }
    }

    fn io(&self, source: io::Error) -> ReadError {
        ReadError::Io {
            path: self.path.clone(),
            source,
        }
    }

    fn malformed(&self, reason: String) -> ReadError {
        ReadError::Malformed {
            path: self.path.clone(),
            offset: self.offset,
            reason,
        }
    }

    fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        if self.taken == self.raw.len() && !self.next_chunk()? {
            return Ok(None);
        }
        match postcard::take_from_bytes::<Event>(&self.raw[self.taken..]) {
            Ok((event, rest)) => {
                self.taken = self.raw.len() - rest.len();
                Ok(Some(event))
            }
            Err(error) => Err(self.malformed(format!("byte {} unpacked: {error}", self.taken))),
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_event().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Reads until `buffer` is full or the input ends; says how much came.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match input.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Whether a whole chunk header stands anywhere in these bytes.
fn header_within(bytes: &[u8]) -> bool {
    bytes.windows(CHUNK_HEADER_BYTES).any(|window| {
        window[0] == CHUNK_MARK[0]
            && <&[u8; CHUNK_HEADER_BYTES]>::try_from(window)
                .is_ok_and(|head| ChunkHeader::decode(head).is_ok())
    })
}

/// The first bytes of a file that is no history, for a person.
fn describe_start(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "the file is empty".to_owned();
    }
    if MAGIC.starts_with(bytes) || bytes.starts_with(&MAGIC) {
        return format!("it ends within its header, after {} bytes", bytes.len());
    }
    format!("it begins with \"{}\"", bytes.escape_ascii())
}
