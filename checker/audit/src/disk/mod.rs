//! What lies on a node's disk, read and never written: tables, log, snapshots.
//!
//! The rest of the auditor sees [`Found`], whatever store wrote it; `reference` knows where
//! the reference store keeps things. A second store is a second file beside it.

mod database;
mod entry;
pub(crate) mod key_entry;
mod reference;
pub(crate) mod registry;
mod snapshot;
pub(crate) mod sparse;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub(crate) use entry::Data;

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
    /// Where the value begins in its file, if the file is plain.
    pub(crate) offset: Option<u64>,
}

/// The state's rows in one place.
pub(crate) struct Table {
    /// The database's folder, or the snapshot file.
    pub(crate) path: PathBuf,
    /// Every row.
    pub(crate) rows: Vec<Row>,
}

/// An entry of the Raft log.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its index.
    pub(crate) index: u64,
    /// The term of the leader that proposed it; 0 if that is not known.
    pub(crate) term: u64,
    /// What it carries.
    pub(crate) data: Data,
}

/// One generation of a Raft log.
pub(crate) struct Log {
    /// Its folder.
    pub(crate) path: PathBuf,
    /// Every entry.
    pub(crate) entries: Vec<Entry>,
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
}

/// Everything that could be read of a node, and what could not.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) tables: Vec<Table>,
    pub(crate) logs: Vec<Log>,
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) gaps: Vec<DiskError>,
}

/// Reads the data directory of a node of the reference store.
pub(crate) fn read(data_dir: &Path) -> Found {
    reference::read(data_dir)
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
