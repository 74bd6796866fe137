//! The log's database in generations, `wal/%016x/`: when one's journal has grown, what
//! is still needed moves to the next and the old one goes whole. A generation under its
//! final name is complete; anything else is removed at the next start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, OwnedWriteBatch, PersistMode};

use super::LogError;
use crate::database;

/// A journal longer than this is left behind at the next chance.
const LONG_JOURNAL: u64 = 3 << 20;

/// The generation in use.
pub struct Generation {
    pub(super) database: Database,
    pub(super) rows: Keyspace,
    wal: PathBuf,
    number: u64,
}

fn disk(path: &Path) -> impl Fn(io::Error) -> LogError + '_ {
    move |source| LogError::Disk {
        path: path.to_owned(),
        source,
    }
}

impl Generation {
    /// Opens the newest generation of `wal`, or creates the first.
    ///
    /// # Errors
    /// A disk that fails, or a log another process holds.
    pub fn open(wal: &Path) -> Result<Self, LogError> {
        fs::create_dir_all(wal).map_err(disk(wal))?;
        let mut newest = None;
        let mut others = Vec::new();
        for entry in fs::read_dir(wal).map_err(disk(wal))? {
            let path = entry.map_err(disk(wal))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            match name.and_then(|name| u64::from_str_radix(name, 16).ok()) {
                Some(number) => {
                    if let Some(older) = newest.replace(number.max(newest.unwrap_or(0))) {
                        others.push(wal.join(dir_name(older.min(number))));
                    }
                }
                None => others.push(path),
            }
        }
        let generation = match newest {
            Some(number) => Self::open_number(wal, number)?,
            None => Self::create(wal, 1, |_, _| Ok(()))?,
        };
        // What was half made under the first one's name is gone by now.
        for path in others.into_iter().filter(|path| path.exists()) {
            fs::remove_dir_all(&path).map_err(disk(&path))?;
        }
        Ok(generation)
    }

    fn open_number(wal: &Path, number: u64) -> Result<Self, LogError> {
        let (database, rows) = database::open(&wal.join(dir_name(number)))?;
        Ok(Self {
            database,
            rows,
            wal: wal.to_owned(),
            number,
        })
    }

    fn create(
        wal: &Path,
        number: u64,
        fill: impl FnOnce(&mut OwnedWriteBatch, &Keyspace) -> Result<(), LogError>,
    ) -> Result<Self, LogError> {
        let temporary = wal.join(format!("{}.tmp", dir_name(number)));
        // A kill may have cut an earlier one short, and then it is no database.
        if temporary.exists() {
            fs::remove_dir_all(&temporary).map_err(disk(&temporary))?;
        }
        let (database, rows) = database::open(&temporary)?;
        let mut batch = database.batch().durability(Some(PersistMode::SyncAll));
        fill(&mut batch, &rows)?;
        batch.commit()?;
        // Closed before it is renamed: an open database goes by its path.
        drop(rows);
        drop(database);
        let path = wal.join(dir_name(number));
        fs::rename(&temporary, &path).map_err(disk(&path))?;
        database::sync_dir(wal).map_err(disk(wal))?;
        Self::open_number(wal, number)
    }

    /// Whether it is time to move on.
    ///
    /// # Errors
    /// The disk said no.
    pub fn is_long(&self) -> Result<bool, LogError> {
        let path = self.wal.join(dir_name(self.number));
        let bytes = database::journal_bytes(&path).map_err(disk(&path))?;
        Ok(bytes > LONG_JOURNAL)
    }

    /// Moves on to a new generation that holds exactly what `fill` puts into it.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn replace(
        &mut self,
        fill: impl FnOnce(&mut OwnedWriteBatch, &Keyspace) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let next = Self::create(&self.wal, self.number + 1, fill)?;
        let old = self.wal.join(dir_name(self.number));
        *self = next;
        fs::remove_dir_all(&old).map_err(disk(&old))
    }
}

fn dir_name(number: u64) -> String {
    format!("{number:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_that_was_cut_short_is_begun_anew() {
        let wal = tempfile::tempdir().expect("a folder");
        let temporary = wal.path().join(format!("{}.tmp", dir_name(1)));
        fs::create_dir_all(&temporary).expect("a folder");
        fs::write(temporary.join("version"), "").expect("a file");
        let generation = Generation::open(wal.path()).expect("a log");
        assert_eq!(generation.number, 1);
        assert!(!temporary.exists());
    }
}
