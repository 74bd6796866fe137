//! How both of the node's databases (log and state) are opened: one worker thread,
//! small memtables. And how long opening them again would take: fjall replays its
//! journal, which it cuts only at 64 MB, so both keep theirs shorter by other means.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions};

const MEMTABLE_BYTES: u64 = 2 << 20;
const CACHE_BYTES: u64 = 32 << 20;
const JOURNAL_BYTES: u64 = 64 << 20;
const BLOCK_BYTES: u64 = 512;

/// Opens or creates a database and its one keyspace.
///
/// # Errors
/// A disk that fails, or a database another process holds.
pub fn open(path: &Path) -> Result<(Database, Keyspace), fjall::Error> {
    let database = Database::builder(path)
        .worker_threads(1)
        .cache_size(CACHE_BYTES)
        .max_journaling_size(JOURNAL_BYTES)
        .open()?;
    let keyspace = database.keyspace("main", || {
        KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES)
    })?;
    Ok((database, keyspace))
}

/// Bytes of journal the next opening has to replay (0 when there is no database).
///
/// # Errors
/// The disk said no.
pub fn journal_bytes(path: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut bytes = 0;
    for entry in entries {
        let entry = entry?;
        if entry.path().extension().is_some_and(|e| e == "jnl") {
            // Journals are sparse: what counts is what was written.
            bytes += entry.metadata()?.blocks() * BLOCK_BYTES;
        }
    }
    Ok(bytes)
}

/// Makes a folder's entries durable.
///
/// # Errors
/// The disk said no.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}
