//! The run store: one folder per run under one root, no index to go stale.

mod error;
mod files;
mod find;
mod folder;
mod id;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

pub use error::StoreError;
pub use files::digest_file;
pub use folder::{ListedRun, RunFolder, VERDICT_FORMAT};

/// The store of runs under one root folder (by default `results/runs`).
#[derive(Clone, Debug)]
pub struct Runs {
    root: PathBuf,
}

impl Runs {
    /// The store at `root`. Nothing is read or made until it is used.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Runs { root: root.into() }
    }

    /// Where the runs are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the folder of a new run, with its `logs/` and `nodes/`.
    ///
    /// Fails when the folder can't be made, naming it.
    pub fn create(&self, seed: u64, now: Timestamp) -> Result<RunFolder, StoreError> {
        fs::create_dir_all(&self.root)
            .map_err(StoreError::io("create the results folder", &self.root))?;
        let base = id::of(seed, now);
        // Two runs in the same millisecond with the same seed: count up. A folder
        // that exists is never taken over.
        for attempt in 1..=1000 {
            let id = match attempt {
                1 => base.clone(),
                n => format!("{base}-{n}"),
            };
            let path = self.root.join(&id);
            match fs::create_dir(&path) {
                Ok(()) => return RunFolder::new(path, id).with_rooms(),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(StoreError::io("create the run folder", &path)(error)),
            }
        }
        Err(StoreError::Crowded {
            id: base,
            root: self.root.clone(),
        })
    }

    /// Finds a run by its id, a unique beginning of it, its folder's path, or `latest`.
    pub fn find(&self, name: &str) -> Result<RunFolder, StoreError> {
        find::find(&self.root, name)
    }

    /// All runs, newest first. Reads each run's `run.json` and the head of its
    /// verdict, never a history. A root that does not exist yet holds no runs.
    pub fn list(&self) -> Result<Vec<ListedRun>, StoreError> {
        Ok(find::folders(&self.root)?
            .iter()
            .map(RunFolder::listed)
            .collect())
    }
}
