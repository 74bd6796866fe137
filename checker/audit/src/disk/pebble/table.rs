//! A table, `*.sst`: footer, metaindex, properties, an index of one or two levels, blocks of
//! rows, blocks of values. Every block's checksum is verified, every byte accounted for.

use std::collections::BTreeMap;

use super::block::{self, Block, Checksum, Handle, Shut};
use super::footer::{self, Footer, Version};
use super::rows::{self, RowAt};
use crate::disk::bytes::{Cursor, Read};
use crate::disk::database::KeyValue;
use crate::disk::{Inflated, Row};

const PROPERTIES: &[u8] = b"rocksdb.properties";
const RANGE_DELETIONS: [&[u8]; 2] = [b"rocksdb.range_del", b"rocksdb.range_del2"];
const RANGE_KEYS: &[u8] = b"pebble.range_key";
const VALUE_INDEX: &[u8] = b"pebble.value_index";
const ENTRIES: &[u8] = b"rocksdb.num.entries";
const RANGES: &[u8] = b"rocksdb.num.range-deletions";
const INDEX_KIND: &[u8] = b"rocksdb.block.based.table.index.type";
const TWO_LEVELS: u8 = 2;

/// Set in the kind of a row that a newer one in the same table hides.
const HIDDEN: u8 = 0x40;
const DELETE: u8 = 0;
pub(super) const SET: u8 = 1;
const SINGLE_DELETE: u8 = 7;
const SET_OVER_DELETED: u8 = 18;
const SIZED_DELETE: u8 = 23;

/// Bits of the byte before a value.
const VALUE_PLACE: u8 = 0xc0;
const VALUE_HERE: u8 = 0x00;
const VALUE_IN_BLOCK: u8 = 0x80;

/// What a table holds.
#[derive(Default)]
pub(in crate::disk) struct Content {
    /// Everything that was set, whether or not something newer hides it.
    pub(in crate::disk) rows: Vec<Row>,
    /// Rows without a value: deletions of a key or a range.
    pub(in crate::disk) deletions: u64,
    /// Blocks that lie compressed, as they are when opened, with where they lie.
    pub(in crate::disk) inflated: Vec<Inflated>,
    /// What is not as it was written, and where.
    pub(in crate::disk) damage: Vec<(u64, String)>,
    /// What is of a kind that is not read.
    pub(in crate::disk) unread: Vec<String>,
}

/// Takes a table apart.
///
/// # Errors
/// Why these bytes are no whole table.
pub(in crate::disk) fn parse(file: &[u8]) -> Read<Content> {
    let footer = footer::parse(file)?;
    let mut reader = Reader {
        file,
        version: footer.version,
        checksum: footer.checksum,
        footer_at: footer.offset,
        content: Content::default(),
        seen: BTreeMap::new(),
        values: Vec::new(),
    };
    if let Some(what) = &footer.damage {
        reader.damage(footer.offset, what);
    }
    if let Checksum::Unread(kind) = footer.checksum {
        let what = format!("its checksums are of kind {kind}, and none of them is verified");
        reader.content.unread.push(what);
    }
    match footer.version {
        Version::Pebble(number) if footer.version.has_columns() => {
            let what = format!("it is of table version {number}, whose blocks are in columns");
            reader.content.unread.push(what);
        }
        _ => reader.table(&footer),
    }
    Ok(reader.content)
}

struct Reader<'a> {
    file: &'a [u8],
    version: Version,
    checksum: Checksum,
    footer_at: usize,
    content: Content,
    /// Every block that was opened, by where it begins, with where it ends.
    seen: BTreeMap<usize, usize>,
    /// Blocks of values, by number.
    values: Vec<Vec<u8>>,
}

impl<'a> Reader<'a> {
    fn damage(&mut self, at: usize, what: impl Into<String>) {
        self.content.damage.push((at as u64, what.into()));
    }

    fn table(&mut self, footer: &Footer) {
        let meta = self.rows_of(footer.metaindex, "the metaindex");
        let mut properties = Vec::new();
        let (mut range_deletions, mut value_index) = (0, None);
        for (name, value) in &meta {
            let mut cursor = Cursor::new(value);
            let Ok(handle) = Handle::read(&mut cursor) else {
                let what = format!("the metaindex has no place for {}", shown(name));
                self.damage(footer.metaindex.offset, what);
                continue;
            };
            match name.as_slice() {
                PROPERTIES => properties = self.rows_of(handle, "the properties"),
                VALUE_INDEX => value_index = Some((handle, cursor.rest().to_vec())),
                RANGE_KEYS => {
                    if !self.rows_of(handle, "the range keys").is_empty() {
                        let what = "it has keys for ranges, whose values are not read";
                        self.content.unread.push(what.to_owned());
                    }
                }
                name if RANGE_DELETIONS.contains(&name) => {
                    range_deletions += self.rows_of(handle, "the range deletions").len() as u64;
                }
                // A filter holds hashes of keys: it is checked, and nothing else.
                _ => _ = self.open(handle, "a block that the metaindex names"),
            }
        }
        if let Some((handle, widths)) = value_index {
            self.value_blocks(handle, &widths);
        }
        let property = |name: &[u8]| properties.iter().find(|(key, _)| key == name);
        let two_levels =
            property(INDEX_KIND).and_then(|(_, value)| value.first().copied()) == Some(TWO_LEVELS);
        let mut index = self.rows_of(footer.index, "the index");
        if two_levels {
            let parts = std::mem::take(&mut index);
            for part in self.handles(footer.index, &parts) {
                let mut rows = self.rows_of(part, "a part of the index");
                index.append(&mut rows);
            }
        }
        for handle in self.handles(footer.index, &index) {
            self.data(handle);
        }
        self.content.deletions += range_deletions;
        let number = |name: &[u8]| {
            let (_, value) = property(name)?;
            Cursor::new(value).varint().ok()
        };
        // Deletions of ranges count among the entries.
        let points = number(ENTRIES)
            .and_then(|entries| entries.checked_sub(number(RANGES).unwrap_or_default()));
        let read = self.content.rows.len() as u64 + self.content.deletions - range_deletions;
        if points != Some(read) {
            let stated = points.map_or("does not say how many".to_owned(), |n| n.to_string());
            let what = format!("{read} rows were read, and its properties say {stated}");
            self.damage(footer.metaindex.offset, what);
        }
        self.account_for_all();
    }

    /// Rows of a block with owned values, for all that are few.
    fn rows_of(&mut self, handle: Handle, what: &str) -> Vec<KeyValue> {
        let Some(block) = self.open(handle, what) else {
            return Vec::new();
        };
        let rows = self.parsed(handle, &block, what);
        let owned = rows
            .into_iter()
            .map(|(key, value)| (key, block.bytes[value].to_vec()));
        owned.collect()
    }

    fn handles(&mut self, index: Handle, rows: &[KeyValue]) -> Vec<Handle> {
        let mut handles = Vec::new();
        for (_, value) in rows {
            // Properties of the block may stand behind its place.
            match Handle::read(&mut Cursor::new(value)) {
                Ok(handle) => handles.push(handle),
                Err(what) => self.damage(index.offset, format!("a row of the index: {what}")),
            }
        }
        handles
    }

    fn open(&mut self, handle: Handle, what: &str) -> Option<Block<'a>> {
        if let Some(end) = handle.end().filter(|end| *end <= self.footer_at)
            && self.seen.insert(handle.offset, end).is_some()
        {
            let at = handle.offset;
            self.damage(at, format!("two things are said to lie at byte {at}"));
            return None;
        }
        let file = self.file;
        match block::open(file, handle, self.checksum) {
            Ok(block) => {
                if block.fits == Some(false) {
                    let what = format!("the checksum of {what} is not that of its bytes");
                    self.damage(handle.offset, what);
                }
                if block.was_compressed() {
                    self.content.inflated.push(Inflated {
                        offset: handle.offset as u64,
                        bytes: block.bytes.to_vec(),
                    });
                }
                Some(block)
            }
            Err(Shut::Damaged(why)) => {
                self.damage(handle.offset, format!("{what} does not open: {why}"));
                None
            }
            Err(Shut::Unknown(why)) => {
                let at = handle.offset;
                self.content
                    .unread
                    .push(format!("{what} at byte {at}: {why}"));
                None
            }
        }
    }

    fn parsed(&mut self, handle: Handle, block: &Block<'_>, what: &str) -> Vec<RowAt> {
        rows::parse(&block.bytes).unwrap_or_else(|(rows, why)| {
            self.damage(handle.offset, format!("{what}: {why}"));
            rows
        })
    }

    fn data(&mut self, handle: Handle) {
        let Some(block) = self.open(handle, "a block of rows") else {
            return;
        };
        for (key, value) in self.parsed(handle, &block, "a block of rows") {
            let Some((user, trailer)) = key.split_last_chunk::<8>() else {
                self.damage(handle.offset, "a row's key has no trailer");
                continue;
            };
            let [kind, ..] = *trailer;
            let seq = u64::from_le_bytes(*trailer) >> 8;
            // In a compressed block a value has no place of its own.
            let offset = match block.was_compressed() {
                true => handle.offset,
                false => handle.offset + value.start,
            };
            let behind_mark = offset + usize::from(!block.was_compressed());
            let bytes = &block.bytes[value];
            match kind & !HIDDEN {
                SET if self.version.marks_values() => self.marked(user, bytes, behind_mark, seq),
                SET | SET_OVER_DELETED => self.row(user, bytes.to_vec(), offset, seq),
                DELETE | SINGLE_DELETE | SIZED_DELETE => self.content.deletions += 1,
                kind => {
                    // Still an entry, so that the count fits.
                    self.content.deletions += 1;
                    let what = format!("a row of kind {kind}, which is not read");
                    self.content.unread.push(what);
                }
            }
        }
    }

    fn row(&mut self, user: &[u8], value: Vec<u8>, offset: usize, seq: u64) {
        self.content.rows.push(Row {
            key: user.to_vec(),
            value,
            offset: Some(offset as u64),
            seq,
        });
    }

    /// A value behind the byte that says where it stands.
    fn marked(&mut self, user: &[u8], bytes: &[u8], offset: usize, seq: u64) {
        let Some((mark, rest)) = bytes.split_first() else {
            return self.damage(offset, "a value lacks the byte before it");
        };
        match mark & VALUE_PLACE {
            VALUE_HERE => self.row(user, rest.to_vec(), offset, seq),
            VALUE_IN_BLOCK => match self.value_elsewhere(rest) {
                Ok(value) => self.row(user, value, offset, seq),
                Err(what) => self.damage(offset, what),
            },
            _ => {
                let what = "a value stands in a blob file, which is not read";
                self.content.unread.push(what.to_owned());
                self.content.deletions += 1;
            }
        }
    }

    fn value_elsewhere(&self, place: &[u8]) -> Read<Vec<u8>> {
        let mut cursor = Cursor::new(place);
        let (length, number, at) = (cursor.length()?, cursor.length()?, cursor.length()?);
        let block = self.values.get(number);
        let block = block.ok_or_else(|| format!("there is no block of values {number}"))?;
        let value = at.checked_add(length).and_then(|end| block.get(at..end));
        let value = value.ok_or_else(|| format!("a value ends behind block of values {number}"))?;
        Ok(value.to_vec())
    }

    /// The places of all blocks of values, in numbers of fixed widths.
    fn value_blocks(&mut self, index: Handle, widths: &[u8]) {
        let Some(block) = self.open(index, "the index of values") else {
            return;
        };
        let widths: Vec<_> = widths.iter().map(|width| usize::from(*width)).collect();
        let total: usize = widths.iter().sum();
        if widths.len() != 3 || widths.iter().any(|width| *width > 8) || total == 0 {
            return self.damage(index.offset, "the index of values has no known widths");
        }
        for row in block.bytes.chunks(total) {
            let mut cursor = Cursor::new(row);
            let mut next = |width| -> Read<usize> {
                let mut number = [0; 8];
                number[..width].copy_from_slice(cursor.take(width)?);
                usize::try_from(u64::from_le_bytes(number)).map_err(|error| error.to_string())
            };
            let parts = next(widths[0]).and_then(|_| Ok((next(widths[1])?, next(widths[2])?)));
            let Ok((offset, length)) = parts else {
                return self.damage(index.offset, "the index of values is cut short");
            };
            let handle = Handle { offset, length };
            let values = self.open(handle, "a block of values");
            self.values.push(
                values
                    .map(|block| block.bytes.into_owned())
                    .unwrap_or_default(),
            );
        }
    }

    /// Blocks lie behind each other without a gap: what none of them names was not looked at.
    fn account_for_all(&mut self) {
        let mut at = 0;
        let seen: Vec<_> = self
            .seen
            .iter()
            .map(|(begin, end)| (*begin, *end))
            .collect();
        for (begin, end) in seen.into_iter().chain([(self.footer_at, self.footer_at)]) {
            if begin != at {
                let what = format!("no index names what lies from byte {at} to {begin}");
                self.damage(at.min(begin), what);
            }
            at = end;
        }
    }
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
