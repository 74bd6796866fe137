//! Files of records, `*.log` and `MANIFEST-*`: blocks of 32 KiB, in them chunks of three forms
//! (legacy, recyclable, with a sync offset), of which one or more make a record. As in Pebble's
//! `record/record.go`.
//!
//! The engine stops at the first chunk that does not fit. This reader goes on: what stands
//! behind it may be the rest of a file that was used before, whose records lie on the disk all
//! the same; and if it is a later record of this file, the chunk was damaged and not torn.

use super::block::masked_crc;
use crate::disk::bytes::{Cursor, Read, is_torn};

const BLOCK_BYTES: usize = 32 * 1024;
/// `crc LE32 ‖ length LE16 ‖ kind`.
const LEGACY_BYTES: usize = 7;
/// And the log's number, LE32.
const RECYCLABLE_BYTES: usize = LEGACY_BYTES + 4;
/// And up to where the log was synced, LE64.
const SYNCED_BYTES: usize = RECYCLABLE_BYTES + 8;

/// Where a log ends without anything being wrong.
const NOTHING: &str = "nothing was written here";
const ENDS_HERE: &str = "the log ends here";
const OLDER: &str = "what follows is of an older log";

/// A record, put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) bytes: Vec<u8>,
    /// Where the parts of it lie: place in the record, place in the file.
    parts: Vec<(usize, usize)>,
    /// It belongs to a log that this file was before.
    pub(super) is_old: bool,
    /// Whether the checksums of all its parts fit.
    pub(super) fits: bool,
}

impl Record {
    /// Where a byte of it lies in the file.
    pub(super) fn offset(&self, at: usize) -> u64 {
        let part = self.parts.iter().rev().find(|(begin, _)| *begin <= at);
        part.map_or(0, |(begin, offset)| (offset + at - begin) as u64)
    }
}

/// What a file of records holds.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) records: Vec<Record>,
    /// What is not as it was written, and where.
    pub(super) damage: Vec<(u64, String)>,
    /// Where the file ends in the middle of a record, and how.
    pub(super) cut: Option<(u64, String)>,
}

/// Every record of a file. `number` is that of a log; a manifest has none.
pub(super) fn parse(file: &[u8], number: Option<u32>) -> Records {
    let mut reader = Reader {
        file,
        number,
        found: Records::default(),
        open: None,
        open_old: None,
        broken: None,
        has_old: false,
    };
    let mut at = 0;
    while at < file.len() {
        at = reader.step(at);
    }
    reader.finish()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Full,
    First,
    Middle,
    Last,
}

struct Chunk<'a> {
    part: Part,
    number: Option<u32>,
    payload: &'a [u8],
    payload_at: usize,
    end: usize,
    fits: bool,
}

/// A place where nothing fits.
struct Broken {
    at: usize,
    what: String,
    torn: bool,
}

struct Reader<'a> {
    file: &'a [u8],
    number: Option<u32>,
    found: Records,
    /// A record of which the last part is still to come: this log's, and an older one's.
    open: Option<Record>,
    open_old: Option<Record>,
    broken: Option<Broken>,
    has_old: bool,
}

impl<'a> Reader<'a> {
    /// Looks at what stands at `at`, and says where to look next.
    fn step(&mut self, at: usize) -> usize {
        let block_end = (at / BLOCK_BYTES + 1) * BLOCK_BYTES;
        let end = block_end.min(self.file.len());
        let rest = &self.file[at..end];
        if rest.iter().all(|byte| *byte == 0) {
            // The end of a block that had no room for one more header, or of the log.
            if rest.len() >= SYNCED_BYTES {
                self.breaks(at, NOTHING, true);
            }
            return end;
        }
        match chunk(self.file, at, end) {
            // The trailer at a log's end says the number of the next, and has no checksum.
            Ok(chunk) if self.is_trailer(&chunk) => {
                self.breaks(at, ENDS_HERE, true);
                chunk.end
            }
            Ok(chunk) if chunk.fits => {
                let next = chunk.end;
                self.take(at, chunk);
                next
            }
            Ok(chunk) => {
                // Only its checksum is wrong: it is looked at, and so is what stands behind it.
                let torn = is_torn(&self.file[at..chunk.end], at);
                self.breaks(
                    at,
                    "the checksum of a record is not that of its bytes",
                    torn,
                );
                let next = self.next_fitting(at + 1, end);
                if next.is_none_or(|next| next == chunk.end) && !torn {
                    self.take_part(chunk);
                }
                next.unwrap_or(end)
            }
            Err(what) => {
                let reaches_end = end == self.file.len() && end < block_end;
                let torn = reaches_end || is_torn(rest, at);
                self.breaks(at, &what, torn);
                self.next_fitting(at + 1, end).unwrap_or(end)
            }
        }
    }

    fn breaks(&mut self, at: usize, what: &str, torn: bool) {
        if self.broken.is_none() {
            let what = what.to_owned();
            self.broken = Some(Broken { at, what, torn });
        }
    }

    /// The first chunk behind this place that fits, in the same block.
    fn next_fitting(&self, from: usize, end: usize) -> Option<usize> {
        (from..end).find(|at| chunk(self.file, *at, end).is_ok_and(|chunk| chunk.fits))
    }

    fn is_trailer(&self, chunk: &Chunk<'_>) -> bool {
        let next = self.number.map(|number| number.wrapping_add(1));
        chunk.payload.is_empty() && chunk.number.is_some() && chunk.number == next
    }

    fn is_mine(&self, chunk: &Chunk<'_>) -> bool {
        match (chunk.number, self.number) {
            (Some(of_chunk), Some(mine)) => of_chunk == mine,
            _ => true,
        }
    }

    fn take(&mut self, at: usize, chunk: Chunk<'a>) {
        if self.is_mine(&chunk) {
            if let Some(broken) = self.broken.take() {
                let what = format!("{}, and later records stand behind it", broken.what);
                self.found.damage.push((broken.at as u64, what));
                self.open = None;
            }
        } else {
            self.has_old = true;
            self.breaks(at, OLDER, true);
        }
        self.take_part(chunk);
    }

    fn take_part(&mut self, chunk: Chunk<'a>) {
        let is_old = !self.is_mine(&chunk);
        let open = if is_old {
            &mut self.open_old
        } else {
            &mut self.open
        };
        if matches!(chunk.part, Part::Full | Part::First) {
            *open = Some(Record {
                is_old,
                fits: true,
                ..Record::default()
            });
        }
        // The beginning of what was cut off in front is lost.
        let Some(record) = open.as_mut() else { return };
        record.parts.push((record.bytes.len(), chunk.payload_at));
        record.bytes.extend_from_slice(chunk.payload);
        record.fits &= chunk.fits;
        if matches!(chunk.part, Part::Full | Part::Last) {
            self.found.records.extend(open.take());
        }
    }

    fn finish(mut self) -> Records {
        if let Some(Broken { at, what, torn }) = self.broken.take() {
            // In a file that was used before, older bytes stand where a torn record ends.
            let is_cut = torn || self.has_old;
            let is_end = [NOTHING, ENDS_HERE, OLDER].contains(&what.as_str());
            if !is_cut {
                self.found.damage.push((at as u64, what));
            } else if !is_end {
                self.found.cut = Some((at as u64, what));
            }
        }
        if let Some(record) = self.open.take() {
            let what = "the last record has no end".to_owned();
            self.found.cut.get_or_insert((record.offset(0), what));
        }
        self.found
    }
}

/// The chunk that begins at a place of a file and ends in its block.
fn chunk(file: &[u8], at: usize, end: usize) -> Read<Chunk<'_>> {
    let bytes = file.get(at..end).unwrap_or_default();
    let mut cursor = Cursor::new(bytes);
    let crc = cursor.u32_little()?;
    let length = usize::from(cursor.u16_little()?);
    let kind = cursor.byte()?;
    let (part, header) = match kind {
        1..=4 => (kind - 1, LEGACY_BYTES),
        5..=8 => (kind - 5, RECYCLABLE_BYTES),
        9..=12 => (kind - 9, SYNCED_BYTES),
        kind => return Err(format!("a record of kind {kind}, which is not known")),
    };
    let part = match part {
        0 => Part::Full,
        1 => Part::First,
        2 => Part::Middle,
        _ => Part::Last,
    };
    let number = match header {
        LEGACY_BYTES => None,
        _ => Some(cursor.u32_little()?),
    };
    let payload = bytes.get(header..header + length);
    let payload = payload.ok_or("a record is longer than its block")?;
    let checked = &bytes[LEGACY_BYTES - 1..header + length];
    Ok(Chunk {
        part,
        number,
        payload,
        payload_at: at + header,
        end: at + header + length,
        fits: masked_crc(crc32c::crc32c(checked)) == crc,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: u8, number: u32, payload: &[u8]) -> Vec<u8> {
        let mut checked = vec![kind];
        if kind > 4 {
            checked.extend_from_slice(&number.to_le_bytes());
        }
        if kind > 8 {
            checked.extend_from_slice(&[0; 8]);
        }
        checked.extend_from_slice(payload);
        let crc = masked_crc(crc32c::crc32c(&checked)).to_le_bytes();
        [&crc[..], &(payload.len() as u16).to_le_bytes(), &checked].concat()
    }

    fn texts(found: &Records) -> Vec<(String, bool)> {
        let text = |record: &Record| {
            let text = String::from_utf8_lossy(&record.bytes).into_owned();
            (text, record.is_old)
        };
        found.records.iter().map(text).collect()
    }

    #[test]
    fn all_forms_are_read_across_blocks() {
        for base in [1, 5, 9] {
            let first = chunk(base + 1, 7, &[b'x'; 30_000]);
            let room = BLOCK_BYTES - first.len();
            let header = chunk(base, 7, b"").len();
            let middle = chunk(base + 2, 7, &vec![b'y'; room - header]);
            let file = [
                first,
                middle,
                chunk(base + 3, 7, b"z"),
                chunk(base, 7, b"short"),
                vec![0; 100],
            ]
            .concat();
            let found = parse(&file, Some(7));
            assert_eq!(found.records.len(), 2, "{base}");
            assert!(found.damage.is_empty() && found.cut.is_none());
            let long = &found.records[0];
            assert_eq!(long.bytes.len(), 30_000 + room - header + 1);
            let last = long.offset(long.bytes.len() - 1) as usize;
            assert_eq!(file[last], b'z', "{base}");
            assert_eq!(found.records[1].bytes, b"short");
        }
    }

    #[test]
    fn a_torn_end_is_told_from_damage() {
        let whole = [chunk(5, 7, b"one"), chunk(5, 7, b"two")].concat();
        let torn = parse(&whole[..whole.len() - 1], Some(7));
        assert_eq!(texts(&torn), [("one".to_owned(), false)]);
        assert!(torn.cut.is_some() && torn.damage.is_empty(), "{torn:?}");
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            let found = parse(&flipped, Some(7));
            assert!(found.cut.is_some() || !found.damage.is_empty(), "{at}");
            if at < whole.len() / 2 {
                assert!(!found.damage.is_empty(), "{at}: a record stands behind it");
                assert!(found.records.iter().any(|record| record.bytes == b"two"));
            }
        }
    }

    #[test]
    fn what_a_log_was_before_is_read_too() {
        let mut file = vec![0; BLOCK_BYTES + 200];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        let mut end = chunk(5, 10, b"");
        end[..4].fill(0);
        let new = [chunk(5, 9, b"new"), end].concat();
        put(new.len() + 5, &chunk(5, 7, b"old"));
        put(
            BLOCK_BYTES,
            &chunk(8, 7, b"the end of what began in the block before"),
        );
        put(BLOCK_BYTES + 60, &chunk(5, 7, b"older"));
        put(0, &new);
        let found = parse(&file, Some(9));
        let old = |text: &str| (text.to_owned(), true);
        assert_eq!(
            texts(&found),
            [("new".to_owned(), false), old("old"), old("older")]
        );
        assert!(found.damage.is_empty() && found.cut.is_none(), "{found:?}");
    }
}
