//! Writes a history as it happens: events are packed into chunks, chunks are only appended.

use std::io;

use super::{
    CHUNK_BYTES_MAX, CHUNK_RAW_BYTES, ChunkHeader, EVENT_BYTES_MAX, MAGIC, VERSION, ZSTD_LEVEL,
};
use crate::history::Event;

/// Appends events to a history.
///
/// Events wait in memory until a chunk is full (about 256 KiB raw) or [`Writer::flush`] is
/// called; dropping the writer without [`Writer::finish`] loses what waits. After an error the
/// writer refuses everything: a half-written chunk must stay the last one in its file.
pub struct Writer<W: io::Write> {
    out: W,
    raw: Vec<u8>,
    packed: Vec<u8>,
    packer: zstd::bulk::Compressor<'static>,
    broken: bool,
}

impl<W: io::Write> Writer<W> {
    /// Begins a new history: writes its magic and version.
    pub fn new(mut out: W) -> io::Result<Self> {
        let mut header = [0; 12];
        header[..8].copy_from_slice(&MAGIC);
        header[8..].copy_from_slice(&VERSION.to_le_bytes());
        out.write_all(&header)?;
        Ok(Writer {
            out,
            raw: Vec::with_capacity(CHUNK_RAW_BYTES + 4096),
            packed: Vec::new(),
            packer: zstd::bulk::Compressor::new(ZSTD_LEVEL)?,
            broken: false,
        })
    }

    /// Adds one event; cuts a chunk when enough have gathered.
    pub fn append(&mut self, event: &Event) -> io::Result<()> {
        self.refuse_if_broken()?;
        let before = self.raw.len();
        let mut raw = std::mem::take(&mut self.raw);
        raw = postcard::to_extend(event, raw).map_err(|error| {
            self.broken = true;
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("failed to encode event {}: {error}", event.index()),
            )
        })?;
        self.raw = raw;
        if self.raw.len() - before > EVENT_BYTES_MAX {
            let bytes = self.raw.len() - before;
            self.raw.truncate(before);
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "event {} has {bytes} bytes, more than a history can hold",
                    event.index()
                ),
            ));
        }
        if self.raw.len() >= CHUNK_RAW_BYTES {
            self.cut()?;
        }
        Ok(())
    }

    /// Cuts a chunk now, even a small one, and flushes the underlying writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.refuse_if_broken()?;
        self.cut()?;
        self.out.flush().inspect_err(|_| self.broken = true)
    }

    /// Writes what waits and gives the underlying writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.out)
    }

    fn refuse_if_broken(&self) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other(
                "the history is closed: writing it failed before",
            ));
        }
        Ok(())
    }

    /// One chunk in one write, so that a crash cuts at most one.
    fn cut(&mut self) -> io::Result<()> {
        if self.raw.is_empty() {
            return Ok(());
        }
        let result = self
            .pack()
            .and_then(|bytes| self.out.write_all(&self.packed[..bytes]));
        self.broken = result.is_err();
        self.raw.clear();
        result
    }

    /// Makes the chunk at the front of `packed`, and says how long it is.
    fn pack(&mut self) -> io::Result<usize> {
        const HEADER: usize = super::CHUNK_HEADER_BYTES;
        let bound = HEADER + zstd::zstd_safe::compress_bound(self.raw.len());
        // Only ever grows: a chunk costs no allocation and no clearing.
        if self.packed.len() < bound {
            self.packed.resize(bound, 0);
        }
        let length = self
            .packer
            .compress_to_buffer(&self.raw, &mut self.packed[HEADER..])?;
        let header = ChunkHeader {
            length: bounded(length)?,
            raw_length: bounded(self.raw.len())?,
            payload_crc: crc32c::crc32c(&self.packed[HEADER..HEADER + length]),
        };
        self.packed[..HEADER].copy_from_slice(&header.encode());
        Ok(HEADER + length)
    }
}

fn bounded(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes)
        .ok()
        .filter(|&n| n as usize <= CHUNK_BYTES_MAX)
        .ok_or_else(|| io::Error::other(format!("a chunk of {bytes} bytes is too large")))
}
