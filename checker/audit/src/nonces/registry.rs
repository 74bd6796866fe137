//! The file that remembers nonces for a whole campaign.
//!
//! One redb database. What an audit adds is one transaction, synced before [`NonceRegistry::add`]
//! returns: whoever is killed in the middle has added nothing. Who has it open holds its lock.

use std::io;
use std::path::{Path, PathBuf};

use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageError,
    Table, TableDefinition, TableHandle, WriteTransaction,
};
use thiserror::Error;

use super::block::{self, Entry, ROW_BYTES, Taken};
use super::names::Names;
use super::pair::KeyPrint;
use super::set::NonceSet;
use super::sighting::{Added, Reuse};
use crate::envelope::Nonce;

/// What is in the file: `format`, `pairs`.
const ABOUT: TableDefinition<&str, u64> = TableDefinition::new("about");
/// Digest of a key → its number here, and the id it goes by.
pub(super) const KEYS: TableDefinition<&[u8], (u32, u32)> = TableDefinition::new("keys");
/// Number → run, node, kind of place, path.
pub(super) const SOURCES: TableDefinition<u32, SourceWords> = TableDefinition::new("sources");
const SOURCE_NUMBERS: TableDefinition<SourceWords, u32> = TableDefinition::new("source-numbers");
/// Neighbouring pairs: see `block`.
const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");
/// Pairs that sealed two different things, each by its row and its place there.
const REUSED: TableDefinition<&[u8], ()> = TableDefinition::new("reused");

pub(super) type SourceWords = (&'static str, &'static str, &'static str, &'static str);

/// Of the file, kept in memory.
const CACHE_BYTES: usize = 128 << 20;

const FORMAT: &str = "format";
const FORMAT_NOW: u64 = 1;
const PAIRS: &str = "pairs";

/// Why a registry could not be opened, read or added to.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// Somebody else has it open.
    #[error(
        "the nonce registry {path} is in use by another process; wait until that is done, or \
         name another file"
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// It is some other file.
    #[error("{path} is no nonce registry ({found}); name another file, which need not be there")]
    NotARegistry {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// It could not be opened or made.
    #[error("failed to open the nonce registry {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the database or the system said.
        source: Box<redb::Error>,
    },
    /// It could not be read or added to. What was to be added is in it wholly or not at all.
    #[error(
        "failed to use the nonce registry {path}: {source}; mend that and audit once more (what \
         is in it already is not added twice)"
    )]
    Failed {
        /// The file.
        path: PathBuf,
        /// What the database or the system said.
        source: Box<redb::Error>,
    },
    /// A row is not what this suite writes.
    #[error("the nonce registry {path} is damaged: {what}; begin a new one")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
}

/// All nonces of a campaign, in a file.
pub struct NonceRegistry {
    path: PathBuf,
    database: Database,
}

/// What goes wrong inside, before it is known of which file.
pub(super) enum Trouble {
    Database(Box<redb::Error>),
    Damaged(String),
}

impl<E: Into<redb::Error>> From<E> for Trouble {
    fn from(error: E) -> Trouble {
        Trouble::Database(Box::new(error.into()))
    }
}

/// A tag seen under a pair, on its way in.
struct Coming {
    row: [u8; ROW_BYTES],
    entry: Entry,
}

impl NonceRegistry {
    /// Opens the registry in a file, and makes it if there is none.
    ///
    /// # Errors
    /// [`RegistryError`]: it is in use, is some other file, or can't be opened.
    pub fn open(path: &Path) -> Result<NonceRegistry, RegistryError> {
        let other = |found: &str| RegistryError::NotARegistry {
            path: path.to_owned(),
            found: found.to_owned(),
        };
        if path.is_dir() {
            return Err(other("it is a folder"));
        }
        let opened = Database::builder().set_cache_size(CACHE_BYTES).create(path);
        let database = opened.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => RegistryError::Locked {
                path: path.to_owned(),
            },
            DatabaseError::Storage(StorageError::Io(error))
                if error.kind() == io::ErrorKind::InvalidData =>
            {
                other(&error.to_string())
            }
            DatabaseError::UpgradeRequired(_) => other(&error.to_string()),
            error => RegistryError::Open {
                path: path.to_owned(),
                source: Box::new(error.into()),
            },
        })?;
        let path = path.to_owned();
        let registry = NonceRegistry { path, database };
        match registry
            .begin()
            .map_err(|trouble| registry.error(trouble))?
        {
            Ok(()) => Ok(registry),
            Err(found) => Err(other(&found)),
        }
    }

    /// Makes an empty database a registry; says what another one is.
    fn begin(&self) -> Result<Result<(), String>, Trouble> {
        let reading = self.database.begin_read()?;
        let names: Vec<String> = reading
            .list_tables()?
            .map(|t| t.name().to_owned())
            .collect();
        if !names.is_empty() {
            if !names.iter().any(|name| name == ABOUT.name()) {
                return Ok(Err(format!("its tables are {}", names.join(", "))));
            }
            let format = reading.open_table(ABOUT)?.get(FORMAT)?.map(|it| it.value());
            return Ok(match format {
                Some(FORMAT_NOW) => Ok(()),
                format => Err(format!(
                    "its format is {format:?}, this suite's is {FORMAT_NOW}"
                )),
            });
        }
        let writing = self.database.begin_write()?;
        {
            writing.open_table(ABOUT)?.insert(FORMAT, FORMAT_NOW)?;
            writing.open_table(KEYS)?;
            writing.open_table(SOURCES)?;
            writing.open_table(SOURCE_NUMBERS)?;
            writing.open_table(ROWS)?;
            writing.open_table(REUSED)?;
        }
        writing.commit()?;
        Ok(Ok(()))
    }

    /// How many different pairs it holds.
    ///
    /// # Errors
    /// [`RegistryError::Failed`].
    pub fn pairs(&self) -> Result<u64, RegistryError> {
        let read = || -> Result<u64, Trouble> {
            let reading = self.database.begin_read()?;
            let pairs = reading.open_table(ABOUT)?.get(PAIRS)?;
            Ok(pairs.map_or(0, |pairs| pairs.value()))
        };
        read().map_err(|trouble| self.error(trouble))
    }

    /// Adds what the audits of a run met: all of it or, on an error, nothing.
    ///
    /// # Errors
    /// [`RegistryError::Failed`], [`RegistryError::Damaged`].
    pub fn add(&mut self, run: &str, set: &NonceSet) -> Result<Added, RegistryError> {
        self.try_add(run, set)
            .map_err(|trouble| self.error(trouble))
    }

    fn try_add(&self, run: &str, set: &NonceSet) -> Result<Added, Trouble> {
        let mut writing = self.database.begin_write()?;
        // A registry that was not closed opens at once, however large it is.
        writing.set_quick_repair(true);
        let coming = coming(&writing, run, set)?;
        let mut added = Added::default();
        let mut reused = Vec::new();
        {
            let mut rows = writing.open_table(ROWS)?;
            let mut marks = writing.open_table(REUSED)?;
            for row in coming.chunk_by(|one, other| one.row == other.row) {
                take_row(&mut rows, &mut marks, row, &mut added, &mut reused)?;
            }
            let mut about = writing.open_table(ABOUT)?;
            let before = about.get(PAIRS)?.map_or(0, |pairs| pairs.value());
            about.insert(PAIRS, before + added.new)?;
        }
        writing.commit()?;
        if reused.is_empty() {
            return Ok(added);
        }
        let names = Names::of(&self.database.begin_read()?)?;
        let reuse = |(row, seen): &([u8; ROW_BYTES], Vec<Entry>)| names.reuse(row, seen);
        added.reuses = reused.iter().map(reuse).collect::<Result<_, _>>()?;
        Ok(added)
    }

    /// Every reuse under these keys, of whichever run: over the lifetime of the clusters that
    /// have them.
    ///
    /// # Errors
    /// [`RegistryError::Failed`], [`RegistryError::Damaged`].
    pub fn reuses_under(
        &self,
        keys: impl IntoIterator<Item = KeyPrint>,
    ) -> Result<Vec<Reuse>, RegistryError> {
        let read = |wanted: Vec<KeyPrint>| -> Result<Vec<Reuse>, Trouble> {
            let reading = self.database.begin_read()?;
            let numbers = reading.open_table(KEYS)?;
            let (marks, rows) = (reading.open_table(REUSED)?, reading.open_table(ROWS)?);
            let names = Names::of(&reading)?;
            let mut reuses = Vec::new();
            for print in wanted {
                let Some(number) = numbers.get(&print.0[..])?.map(|key| key.value().0) else {
                    continue;
                };
                let (from, to) = (number.to_be_bytes(), number.saturating_add(1).to_be_bytes());
                for mark in marks.range(&from[..]..&to[..])? {
                    reuses.push(marked(mark?.0.value(), &rows, &names)?);
                }
            }
            Ok(reuses)
        };
        read(keys.into_iter().collect()).map_err(|trouble| self.error(trouble))
    }

    /// Every reuse there is.
    ///
    /// # Errors
    /// [`RegistryError::Failed`], [`RegistryError::Damaged`].
    pub fn reuses(&self) -> Result<Vec<Reuse>, RegistryError> {
        let read = || -> Result<Vec<Reuse>, Trouble> {
            let reading = self.database.begin_read()?;
            let (marks, rows) = (reading.open_table(REUSED)?, reading.open_table(ROWS)?);
            let names = Names::of(&reading)?;
            let all = marks.iter()?;
            all.map(|mark| marked(mark?.0.value(), &rows, &names))
                .collect()
        };
        read().map_err(|trouble| self.error(trouble))
    }

    fn error(&self, trouble: Trouble) -> RegistryError {
        let path = self.path.clone();
        match trouble {
            Trouble::Database(source) => RegistryError::Failed { path, source },
            Trouble::Damaged(what) => RegistryError::Damaged { path, what },
        }
    }
}

/// Everything in a set, with the registry's numbers, in the order of the rows.
fn coming(writing: &WriteTransaction, run: &str, set: &NonceSet) -> Result<Vec<Coming>, Trouble> {
    let mut keys = writing.open_table(KEYS)?;
    let mut key_numbers = Vec::new();
    for (print, id) in set.numbered_keys() {
        let known = keys.get(&print.0[..])?.map(|key| key.value().0);
        key_numbers.push(match known {
            Some(number) => number,
            None => {
                let number = next(keys.len()?)?;
                keys.insert(&print.0[..], (number, *id))?;
                number
            }
        });
    }
    let mut sources = writing.open_table(SOURCES)?;
    let mut numbers = writing.open_table(SOURCE_NUMBERS)?;
    let mut source_numbers = Vec::new();
    for (node, place, path) in set.sources() {
        let (place, path) = (place.to_string(), path.to_string_lossy());
        let words = (run, node.as_str(), place.as_str(), path.as_ref());
        let known = numbers.get(words)?.map(|number| number.value());
        source_numbers.push(match known {
            Some(number) => number,
            None => {
                let number = next(numbers.len()?)?;
                numbers.insert(words, number)?;
                sources.insert(number, words)?;
                number
            }
        });
    }
    let one = |(key, nonce, seen): (u32, Nonce, super::set::Seen)| {
        let (row, low) = block::row_of(key_numbers[key as usize], nonce);
        let entry = Entry {
            low,
            tag: seen.tag,
            source: source_numbers[seen.source as usize],
        };
        Coming { row, entry }
    };
    let mut coming: Vec<Coming> = set.seen().map(one).collect();
    // Stable: what a pair sealed first stays before the rest.
    coming.sort_by_key(|one| (one.row, one.entry.low));
    Ok(coming)
}

fn next(len: u64) -> Result<u32, Trouble> {
    u32::try_from(len).map_err(|_| Trouble::Damaged(format!("it has {len} numbers of one kind")))
}

/// Takes what belongs in one row.
fn take_row(
    rows: &mut Table<'_, &'static [u8], &'static [u8]>,
    marks: &mut Table<'_, &'static [u8], ()>,
    coming: &[Coming],
    added: &mut Added,
    reused: &mut Vec<([u8; ROW_BYTES], Vec<Entry>)>,
) -> Result<(), Trouble> {
    let Some(Coming { row, .. }) = coming.first() else {
        return Ok(());
    };
    let mut entries = match rows.get(&row[..])? {
        Some(value) => read_row(value.value())?,
        None => Vec::new(),
    };
    let mut changed = false;
    let mut broken = Vec::new();
    for Coming { entry, .. } in coming {
        match block::take(&mut entries, *entry) {
            Taken::New => {
                added.new += 1;
                changed = true;
            }
            Taken::Known => added.known += 1,
            Taken::Reused { kept } => {
                changed |= kept;
                broken.push(entry.low);
            }
        }
    }
    if changed {
        rows.insert(&row[..], &block::value(&entries)[..])?;
    }
    broken.dedup();
    for low in broken {
        marks.insert(&mark(row, low)[..], ())?;
        let seen = entries.iter().filter(|entry| entry.low == low);
        reused.push((*row, seen.copied().collect()));
    }
    Ok(())
}

fn mark(row: &[u8; ROW_BYTES], low: u8) -> [u8; ROW_BYTES + 1] {
    let mut mark = [low; ROW_BYTES + 1];
    mark[..ROW_BYTES].copy_from_slice(row);
    mark
}

fn read_row(value: &[u8]) -> Result<Vec<Entry>, Trouble> {
    block::entries(value)
        .ok_or_else(|| Trouble::Damaged(format!("a row has {} bytes", value.len())))
}

fn marked(
    mark: &[u8],
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
    names: &Names,
) -> Result<Reuse, Trouble> {
    let damaged = || Trouble::Damaged("a reuse without its row".to_owned());
    let (row, low) = mark.split_first_chunk::<ROW_BYTES>().ok_or_else(damaged)?;
    let low = *low.first().ok_or_else(damaged)?;
    let mut entries = match rows.get(&row[..])? {
        Some(value) => read_row(value.value())?,
        None => return Err(damaged()),
    };
    entries.retain(|entry| entry.low == low);
    names.reuse(row, &entries)
}
