//! Where the cells are run: one folder under the results, locked for one matrix at a time. Runs that
//! were as they had to be are removed; the others are kept, to be looked at.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use keyquake_cluster::journal;
use keyquake_docker::ContainerUndoer;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::cells::Cell;
use super::one_run::runs_of;
use crate::wiring;

/// The folder of a matrix.
pub struct Workshop {
    root: PathBuf,
    _lock: Flock<File>,
}

impl Workshop {
    /// Takes the folder below this results root, and clears away what a matrix that was killed left.
    pub fn open(results: &Path) -> anyhow::Result<Workshop> {
        let root = results.join(".matrix");
        let failed = || format!("failed to make {}", root.display());
        fs::create_dir_all(root.join("now")).with_context(failed)?;
        fs::create_dir_all(root.join("kept")).with_context(failed)?;
        // Runs are started elsewhere than here.
        let root = root.canonicalize().with_context(failed)?;
        let file = File::create(root.join("lock")).with_context(failed)?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock);
        let lock = lock.map_err(|(_, error)| match error {
            Errno::EWOULDBLOCK => anyhow!(
                "another matrix is under way in {}; wait for it, or give another --results",
                root.display()
            ),
            error => anyhow!("failed to lock {}: {error}", root.display()),
        })?;
        let workshop = Workshop { root, _lock: lock };
        workshop.clear()?;
        Ok(workshop)
    }

    /// The file that says what is done.
    pub fn state(&self) -> PathBuf {
        self.root.join("cells.json")
    }

    /// Where a cell is run.
    pub fn folder(&self, cell: &Cell) -> PathBuf {
        self.root.join("now").join(cell.key())
    }

    /// Where a cell's run is kept, if it is.
    pub fn kept(&self, cell: &Cell) -> PathBuf {
        self.root.join("kept").join(cell.key())
    }

    /// Clears away a cell that was run, or keeps it to be looked at.
    pub fn put_away(&self, cell: &Cell, keep: bool) -> anyhow::Result<()> {
        let (from, to) = (self.folder(cell), self.kept(cell));
        remove(&to)?;
        match keep {
            true => {
                fs::rename(&from, &to).with_context(|| format!("failed to keep {}", from.display()))
            }
            false => remove(&from),
        }
    }

    /// Undoes and removes what was under way when a matrix was killed.
    fn clear(&self) -> anyhow::Result<()> {
        let now = self.root.join("now");
        let listed = fs::read_dir(&now);
        for entry in listed.with_context(|| format!("failed to read {}", now.display()))? {
            let folder = entry?.path();
            let journals = wiring::journal_dir(&runs_of(&folder));
            let report = journal::heal(&journals, &[&ContainerUndoer])?;
            if !report.is_empty() {
                eprint!("{report}");
            }
            remove(&folder)?;
        }
        Ok(())
    }
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
