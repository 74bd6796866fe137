//! The rows of a fjall database, read from a copy.
//!
//! Opening a database writes to it: the engine takes a lock, cuts a torn journal, makes and
//! deletes files. So the files are copied into a temporary folder first, which is gone
//! afterwards; the original is opened for reading only, file by file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fjall::{Database, KeyspaceCreateOptions};
use rustc_hash::FxHashSet;

use super::{DiskError, journal, sparse};

/// A key and what stands under it.
pub(crate) type KeyValue = (Vec<u8>, Vec<u8>);

/// Where a copy is opened if it is small: an engine syncs whenever it opens a database, and a run's
/// evidence has hundreds of them. It need not be there.
const IN_MEMORY: &str = "/dev/shm";
const IN_MEMORY_BYTES_MAX: u64 = 16 << 20;

/// Every row of every keyspace, as the engine finds them when it opens these files.
pub(crate) fn rows(database: &Path) -> Result<Vec<KeyValue>, DiskError> {
    if super::sparse::bytes_below(database).is_ok_and(|bytes| bytes <= IN_MEMORY_BYTES_MAX)
        && let Ok(copy) = tempfile::tempdir_in(IN_MEMORY)
        && let Ok(rows) = rows_of_copy(database, copy.path())
    {
        return Ok(rows);
    }
    let copy = tempfile::tempdir().map_err(|source| DiskError::Io {
        path: std::env::temp_dir(),
        source,
    })?;
    rows_of_copy(database, copy.path())
}

/// What a database's journals hold beside these rows: what was deleted, or written over. A journal stays
/// until the engine needs it for nothing, whatever became of what is in it.
///
/// # Errors
/// [`DiskError::Io`].
pub(crate) fn gone(database: &Path, rows: &[KeyValue]) -> Result<Vec<KeyValue>, DiskError> {
    let mut known: FxHashSet<(&[u8], &[u8])> = FxHashSet::default();
    known.extend(rows.iter().map(|(key, value)| (&key[..], &value[..])));
    let mut sets = Vec::new();
    for path in super::entries(database)? {
        if path.extension().is_some_and(|ending| ending == "jnl") {
            sets.append(&mut journal::sets(&super::read_file(&path)?));
        }
    }
    let mut gone = Vec::new();
    for (key, value) in &sets {
        if known.insert((key, value)) {
            gone.push((key.clone(), value.clone()));
        }
    }
    Ok(gone)
}

fn rows_of_copy(database: &Path, copy: &Path) -> Result<Vec<KeyValue>, DiskError> {
    copy_folder(database, copy)?;
    let engine = |source| DiskError::Engine {
        path: database.to_owned(),
        source,
    };
    let opened = Database::builder(copy)
        .worker_threads(1)
        .open()
        .map_err(engine)?;
    let mut rows = Vec::new();
    for name in opened.list_keyspace_names() {
        let keyspace = opened
            .keyspace(&name, KeyspaceCreateOptions::default)
            .map_err(engine)?;
        for item in keyspace.iter() {
            let (key, value) = item.into_inner().map_err(engine)?;
            rows.push((key.to_vec(), value.to_vec()));
        }
    }
    Ok(rows)
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), DiskError> {
    for path in super::entries(from)? {
        let Some(name) = path.file_name() else {
            continue;
        };
        let target = to.join(name);
        if path.is_dir() {
            fs::create_dir(&target).map_err(io_error(&target))?;
            copy_folder(&path, &target)?;
        } else if path.is_file() {
            sparse::copy(&path, &target).map_err(io_error(&path))?;
        }
    }
    Ok(())
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> DiskError + use<> {
    let path: PathBuf = path.to_owned();
    move |source| DiskError::Io { path, source }
}
