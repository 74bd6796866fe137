//! What lies on a node's disk, read and never written: tables, log, snapshots.
//!
//! The rest of the auditor sees [`Found`], whatever store wrote it. `reference` and `elastickv`
//! know where each store keeps things; `database` reads the first one's engine, `pebble` and
//! `etcd` the second one's.

mod bundle;
mod bytes;
pub(crate) mod command;
mod database;
mod elastickv;
mod entry;
mod etcd;
mod journal;
pub(crate) mod key_entry;
mod pebble;
mod reference;
pub(crate) mod registry;
mod snapshot;
pub(crate) mod sparse;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::finding::Place;

pub(crate) use entry::Data;
pub(crate) use pebble::listed::Account;
pub(crate) use reference::entry as parse_entry;
pub(crate) use registry::Registered;

/// Why something on a disk could not be looked at.
#[derive(Debug, Error)]
pub enum DiskError {
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The storage engine could not open a copy of these files.
    #[error("{path}: the storage engine can't read a copy of it: {source}")]
    Engine {
        /// The database's folder.
        path: PathBuf,
        /// What the engine said.
        source: fjall::Error,
    },
    /// The bytes are not of the form that the contract gives.
    #[error("{path}: {what}")]
    Form {
        /// The file or database.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
}

/// A row of the state.
pub(crate) struct Row {
    /// The whole key as stored.
    pub(crate) key: Vec<u8>,
    /// The whole value as stored.
    pub(crate) value: Vec<u8>,
    /// Where the value begins in its file, if it lies there as it is; where its block begins,
    /// if that is compressed.
    pub(crate) offset: Option<u64>,
    /// The engine's own count of writes, where it says it: the higher is the newer.
    pub(crate) seq: u64,
}

/// The state's rows in one place.
pub(crate) struct Table {
    /// The database's folder, or the file.
    pub(crate) path: PathBuf,
    /// Every row.
    pub(crate) rows: Vec<Row>,
    /// Deletions in it, which have no value.
    pub(crate) bare: u64,
    /// Whether the state is made of it; if not, the engine has left it over.
    pub(crate) live: bool,
    /// Its blocks that lie compressed, opened: a scan of the file's bytes can't see into them.
    pub(crate) inflated: Vec<Inflated>,
}

impl Table {
    fn at(path: &Path, live: bool) -> Table {
        Table {
            path: path.to_owned(),
            rows: Vec::new(),
            bare: 0,
            live,
            inflated: Vec::new(),
        }
    }
}

/// A block that lies compressed, as it is when opened.
pub(crate) struct Inflated {
    /// Where it lies in its file.
    pub(crate) offset: u64,
    /// What it holds.
    pub(crate) bytes: Vec<u8>,
}

/// An entry of the Raft log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its index.
    pub(crate) index: u64,
    /// The term of the leader that proposed it; 0 if that is not known.
    pub(crate) term: u64,
    /// What it carries.
    pub(crate) data: Data,
    /// Where it lies in its file, if that is known.
    pub(crate) offset: Option<u64>,
    /// A later entry of the same log has taken its place: it was never committed.
    pub(crate) overwritten: bool,
}

/// One generation of a Raft log, or one segment.
pub(crate) struct Log {
    /// Its folder, or its file.
    pub(crate) path: PathBuf,
    /// Every entry.
    pub(crate) entries: Vec<Entry>,
}

/// Rows of a database that were deleted, or that something newer took the place of.
pub(crate) struct Gone {
    /// The database's folder.
    pub(crate) path: PathBuf,
    /// Whether it is a Raft log.
    pub(crate) of_log: bool,
    pub(crate) rows: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Bytes that are not as they were written: a checksum does not fit, or what it covers.
pub(crate) struct Damage {
    pub(crate) place: Place,
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    pub(crate) what: String,
}

/// What the last eight bytes of a row's key say of the write that made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stamps {
    /// Its log index.
    #[default]
    Indexes,
    /// The time of a clock that all nodes share; the log says which entry has which.
    Clock,
}

/// A snapshot file.
pub(crate) struct Snapshot {
    /// The log index it stands for.
    pub(crate) index: u64,
    /// Version of its header.
    pub(crate) version: u8,
    /// The raft cutover that its header names, 0 if none.
    pub(crate) cutover: u64,
    /// Whether its checksum is right.
    pub(crate) checksum_fits: bool,
    /// Its rows.
    pub(crate) table: Table,
    /// What of it is damaged, beside its checksum.
    pub(crate) damage: Vec<(u64, String)>,
}

/// Everything that could be read of a node, and what could not.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) tables: Vec<Table>,
    /// What the engine wrote down before it makes tables of it, where it is read on its own.
    pub(crate) table_logs: Vec<Table>,
    pub(crate) logs: Vec<Log>,
    pub(crate) snapshots: Vec<Snapshot>,
    /// Snapshots that were being made or received when the node ended.
    pub(crate) half_snapshots: Vec<Table>,
    /// What journals hold that is no row any more.
    pub(crate) gone: Vec<Gone>,
    /// The writer registry, the newest row of each writer. Of the live state only.
    pub(crate) registry: Vec<Registered>,
    /// What stamps of rows are.
    pub(crate) stamps: Stamps,
    pub(crate) damage: Vec<Damage>,
    /// Whole tables that are others than their engine's own account says, and how.
    pub(crate) other_tables: Vec<(PathBuf, String)>,
    /// What its engine says of the state, where that can be read.
    pub(crate) accounts: Vec<Account>,
    /// The index of the snapshot that the Raft log goes on behind; 0 if none.
    pub(crate) log_begins_behind: u64,
    /// Where a file ends in the middle of something, as kills and power losses leave it.
    pub(crate) cuts: Vec<String>,
    pub(crate) gaps: Vec<DiskError>,
}

/// Begins to read the data directory of a node, whichever store's it is: only the Raft log, if its rows
/// can't be placed in the log without it.
pub(crate) fn begin(data_dir: &Path) -> Found {
    match elastickv::is_its(data_dir) {
        true => elastickv::read_logs(data_dir),
        false => Found::default(),
    }
}

/// Reads the rest of a data directory that was begun.
pub(crate) fn read_on(data_dir: &Path, begun: Found) -> Found {
    let mut found = match elastickv::is_its(data_dir) {
        true => elastickv::read_rest(data_dir, begun),
        false => reference::read(data_dir),
    };
    found.registry = registry::newest(found.tables.iter().chain(&found.table_logs));
    found
}

/// Reads the data directory of a node as a whole.
pub(crate) fn read(data_dir: &Path) -> Found {
    read_on(data_dir, begin(data_dir))
}

/// A whole file, but for the hole at its end: a log's is made large before it is written.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, DiskError> {
    let read = || {
        let file = File::open(path)?;
        let mut bytes = Vec::new();
        for range in sparse::data(&file)? {
            let end = usize::try_from(range.end).map_err(io::Error::other)?;
            let begin = usize::try_from(range.start).map_err(io::Error::other)?;
            bytes.resize(end, 0);
            file.read_exact_at(&mut bytes[begin..], range.start)?;
        }
        Ok(bytes)
    };
    read().map_err(|source| DiskError::Io {
        path: path.to_owned(),
        source,
    })
}

/// The paths in a folder, sorted, so that two audits of the same disk say the same.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let listed = fs::read_dir(folder).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()
    });
    let mut paths = listed.map_err(|source| DiskError::Io {
        path: folder.to_owned(),
        source,
    })?;
    paths.sort_unstable();
    Ok(paths)
}

/// Every file in these folders and below them, sorted. Links are not followed.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            found.append(&mut files(&path)?);
        } else if path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}
