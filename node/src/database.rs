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

/// A database on its way; only a whole one gets its name.
const UNFINISHED: &str = "new";

/// Opens a database and its one keyspace, or makes it beside its place and moves it there: what a
/// kill has cut short in the making is no database to fjall ever after.
///
/// # Errors
/// As [`open`].
pub fn open_or_make(path: &Path) -> Result<(Database, Keyspace), fjall::Error> {
    if !path.exists() {
        make(path)?;
    }
    open(path)
}

fn make(path: &Path) -> Result<(), fjall::Error> {
    let unfinished = path.with_extension(UNFINISHED);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    drop(open(&unfinished)?);
    fs::rename(&unfinished, path)?;
    if let Some(folder) = path.parent() {
        sync_dir(folder)?;
    }
    Ok(())
}

/// Opens or creates a database and its one keyspace.
///
/// # Errors
/// A disk that fails, a database another process holds, or one that is half made.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_making_that_was_cut_short_is_begun_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        let unfinished = path.with_extension(UNFINISHED);
        fs::create_dir_all(&unfinished).expect("a folder");
        fs::write(unfinished.join("version"), "").expect("a file");
        assert!(open(&unfinished).is_err(), "fjall takes none such");
        let (database, rows) = open_or_make(&path).expect("a database");
        rows.insert("a", "1").expect("a row");
        drop((database, rows));
        assert!(!unfinished.exists());
        let (_database, rows) = open_or_make(&path).expect("the database again");
        assert_eq!(rows.get("a").expect("a look").as_deref(), Some(&b"1"[..]));
    }
}
