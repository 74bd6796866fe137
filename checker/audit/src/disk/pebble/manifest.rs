//! Which tables and logs of a folder make up the state: `MANIFEST-*`, a file of records of
//! changes. The others are left over. As in Pebble's `internal/manifest/version_edit.go`.

use std::collections::{BTreeMap, BTreeSet};

use super::records;
use crate::disk::bytes::{Cursor, Read};
use crate::disk::pebble::listed::Listed;

const COMPARATOR: u64 = 1;
const LOG_NUMBER: u64 = 2;
const NEXT_FILE: u64 = 3;
const LAST_SEQUENCE: u64 = 4;
const COMPACTED_TO: u64 = 5;
const DELETED_TABLE: u64 = 6;
const NEW_TABLE: [u64; 5] = [7, 100, 102, 103, 104];
const PREVIOUS_LOG: u64 = 9;
const NEW_BACKING: u64 = 105;
const REMOVED_BACKING: u64 = 106;
const NEW_BLOB_FILE: u64 = 107;
const DELETED_BLOB_FILE: u64 = 108;
/// Of the forms of a new table: without sequence numbers, with an unused field, with tags, and
/// with tags and range keys.
const PLAIN: u64 = 7;
const WITH_PATH: u64 = 102;
const TAGGED: u64 = 103;
const RANGED: u64 = 104;
const HAS_POINTS: u8 = 1;
/// Of the tags behind a new table.
const END: u64 = 1;
const CREATED: u64 = 6;
const VIRTUAL: u64 = 66;
const IN_BLOB_FILES: u64 = 69;

/// What a manifest comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Live {
    /// The tables, by number and the level they are in.
    tables: BTreeMap<(u64, u64), Listed>,
    /// Virtual tables: number to the file that holds them.
    backing: BTreeMap<u64, u64>,
    /// Logs below this number are in tables already.
    first_log: u64,
    /// The highest number that no file had yet, and the highest of a write.
    pub(super) reached: (u64, u64),
}

impl Live {
    /// Where nothing is part of the state.
    pub(super) fn none() -> Live {
        Live {
            first_log: u64::MAX,
            ..Live::default()
        }
    }

    pub(super) fn has_table(&self, file: u64) -> bool {
        let numbers = self.tables.keys().map(|(number, _)| number);
        let mut files = numbers.map(|number| self.backing.get(number).unwrap_or(number));
        files.any(|of| *of == file)
    }

    /// What it says of the table that is this file, if that is a table of its own.
    pub(super) fn listed(&self, file: u64) -> Option<&Listed> {
        let of_it = |((number, _), _): &(&(u64, u64), _)| {
            *number == file && !self.backing.contains_key(number)
        };
        self.tables.iter().find(of_it).map(|(_, listed)| listed)
    }

    pub(super) fn has_log(&self, number: u64) -> bool {
        number >= self.first_log
    }

    /// The files that must be there.
    pub(super) fn tables(&self) -> BTreeSet<u64> {
        let numbers = self.tables.keys().map(|(number, _)| number);
        numbers
            .map(|number| *self.backing.get(number).unwrap_or(number))
            .collect()
    }
}

/// What a manifest holds, and what of it is not as it was written.
pub(super) struct Manifest {
    /// `None` if a change could not be understood: then nothing is known to be left over.
    pub(super) live: Option<Live>,
    pub(super) damage: Vec<(u64, String)>,
    pub(super) cut: Option<(u64, String)>,
}

pub(super) fn parse(file: &[u8]) -> Manifest {
    let found = records::parse(file, None);
    let mut live = Live::default();
    let mut damage = found.damage;
    // A change that is cut off may have made a table live.
    let mut understood = damage.is_empty() && found.cut.is_none();
    if found.records.is_empty() {
        understood = false;
        damage.push((0, "the manifest in force says nothing".to_owned()));
    }
    for record in &found.records {
        if let Err(what) = edit(&record.bytes, &mut live) {
            understood = false;
            let what = format!("a change in the manifest is not understood: {what}");
            damage.push((record.offset(0), what));
        }
    }
    Manifest {
        live: understood.then_some(live),
        damage,
        cut: found.cut,
    }
}

fn edit(record: &[u8], live: &mut Live) -> Read<()> {
    let mut cursor = Cursor::new(record);
    // A table that moves to another level is deleted and made anew in one change.
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    while !cursor.is_done() {
        match cursor.varint()? {
            COMPARATOR => _ = cursor.prefixed()?,
            LOG_NUMBER => live.first_log = cursor.varint()?,
            NEXT_FILE => live.reached.0 = live.reached.0.max(cursor.varint()?),
            LAST_SEQUENCE => live.reached.1 = live.reached.1.max(cursor.varint()?),
            PREVIOUS_LOG | REMOVED_BACKING => _ = cursor.varint()?,
            COMPACTED_TO => {
                cursor.varint()?;
                cursor.prefixed()?;
            }
            DELETED_TABLE => {
                let level = cursor.varint()?;
                gone.push((cursor.varint()?, level));
            }
            NEW_BACKING | DELETED_BLOB_FILE => {
                cursor.varint()?;
                cursor.varint()?;
            }
            NEW_BLOB_FILE => {
                for _ in 0..5 {
                    cursor.varint()?;
                }
            }
            form if NEW_TABLE.contains(&form) => {
                let (table, listed, backing) = new_table(&mut cursor, form)?;
                if let Some(backing) = backing {
                    live.backing.insert(table.0, backing);
                }
                new.push((table, listed));
            }
            tag => return Err(format!("a field of kind {tag}")),
        }
    }
    for table in gone {
        live.tables.remove(&table);
    }
    live.tables.extend(new);
    Ok(())
}

/// Number and level of a new table, what is said of it, and the file that holds it if it is not
/// its own.
type NewTable = ((u64, u64), Listed, Option<u64>);

fn new_table(cursor: &mut Cursor<'_>, form: u64) -> Read<NewTable> {
    let level = cursor.varint()?;
    let number = cursor.varint()?;
    if form == WITH_PATH {
        cursor.varint()?;
    }
    let mut listed = Listed {
        bytes: cursor.varint()?,
        ..Listed::default()
    };
    if form != RANGED || cursor.byte()? & HAS_POINTS != 0 {
        let bounds = (cursor.prefixed()?, cursor.prefixed()?);
        listed.keys = Some((bounds.0.to_vec(), bounds.1.to_vec()));
    }
    if form == RANGED {
        cursor.prefixed()?;
        cursor.prefixed()?;
    }
    if form != PLAIN {
        listed.writes = Some((cursor.varint()?, cursor.varint()?));
    }
    let mut backing = None;
    if form != TAGGED && form != RANGED {
        return Ok(((number, level), listed, backing));
    }
    loop {
        match cursor.varint()? {
            END => break,
            CREATED => listed.created = Cursor::new(cursor.prefixed()?).varint()?,
            VIRTUAL => backing = Some(cursor.varint()?),
            IN_BLOB_FILES => {
                cursor.varint()?;
                for _ in 0..cursor.varint()? {
                    cursor.varint()?;
                    cursor.varint()?;
                }
            }
            _ => _ = cursor.prefixed()?,
        }
    }
    Ok(((number, level), listed, backing))
}
