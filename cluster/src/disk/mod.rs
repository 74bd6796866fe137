//! Disks of their own for nodes: file systems in memory of a given size, so that they can be full.
//!
//! A node's data and its sidecar lie on one; both are seen where they would be otherwise. At the
//! end of a run all of it is copied to where it was seen.

mod ballast;
mod mounts;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use ballast::{Disk, Full};

use self::ballast::refused;
use crate::journal::{Journal, JournalError, Undo, UndoId};

/// The folder of the mounts, in the run's.
const DISKS: &str = "disks";

/// What went wrong with a disk.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// It can't be mounted.
    #[error(
        "failed to mount {} for a node: {source}; it takes root, or for processes unprivileged user namespaces; \
         or leave `disk` and full-disk out of the plan", path.display()
    )]
    Mount {
        /// Where.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A file or folder of it.
    #[error("failed to {what} {}: {source}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Somebody made room on a disk that was full.
    #[error("{} has {there} bytes of ballast left of {laid}", path.display())]
    BallastGone {
        /// The ballast.
        path: PathBuf,
        /// Bytes that are there.
        there: u64,
        /// Bytes that were.
        laid: u64,
    },
    /// The undo can't be written down.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The folders of one node that lie on its disk.
#[derive(Clone, Debug)]
pub struct OnDisk {
    /// The node's id.
    pub node: String,
    /// Its data.
    pub data: PathBuf,
    /// The folder of its sidecar.
    pub keys: PathBuf,
}

/// The disks of a run, one for each node in order.
pub struct Disks {
    folder: PathBuf,
    marker: String,
    nodes: Vec<(OnDisk, Disk)>,
    /// `None` once they are gone.
    undo: Mutex<Option<UndoId>>,
}

impl Disks {
    /// Mounts a disk of so many bytes for each node, below `folder`, the run's. The undo is in
    /// the journal before that. Waits for the disk.
    ///
    /// # Errors
    /// With what was refused; what was made by then is removed again.
    pub fn make(
        journal: &Journal,
        folder: &Path,
        nodes: Vec<OnDisk>,
        bytes: u64,
    ) -> Result<Disks, DiskError> {
        let folder = folder.join(DISKS);
        let undo = journal.record(Undo::Disks {
            folder: folder.clone(),
        })?;
        let disk = |node: OnDisk| {
            let disk = Disk {
                root: folder.join(&node.node),
                data: node.data.clone(),
            };
            (node, disk)
        };
        let disks = Disks {
            nodes: nodes.into_iter().map(disk).collect(),
            marker: journal.marker().to_owned(),
            undo: Mutex::new(Some(undo)),
            folder,
        };
        let mounted = disks.nodes.iter().try_for_each(|(node, disk)| {
            let mounting = mount_one(&disks.marker, node, disk, bytes);
            mounting.map_err(|(path, source)| DiskError::Mount { path, source })
        });
        match mounted {
            Ok(()) => Ok(disks),
            Err(error) => {
                // If this fails too, the undo stays in the journal.
                if remove(&disks.folder, &disks.marker).is_ok() {
                    journal.done(undo)?;
                    *disks.undo() = None;
                }
                Err(error)
            }
        }
    }

    /// The disk of the node at a position.
    pub fn of(&self, node: u16) -> Option<&Disk> {
        self.nodes.get(usize::from(node)).map(|(_, disk)| disk)
    }

    fn undo(&self) -> MutexGuard<'_, Option<UndoId>> {
        self.undo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies all that is on the disks to where it was seen, and removes them. Their nodes must
    /// have ended. May be repeated. Waits for the disk.
    ///
    /// # Errors
    /// With what could not be copied or removed; the undo stays in the journal.
    pub fn clear(&self, journal: &Journal) -> Result<(), DiskError> {
        let mut undo = self.undo();
        let Some(id) = *undo else {
            return Ok(());
        };
        for (node, disk) in &self.nodes {
            for (name, seen) in parts(node) {
                let (kept, failed) = (disk.root.join(name), refused("copy a disk to", seen));
                match mounts::unmount(seen) {
                    Err(error) if error.raw_os_error() != Some(libc::EINVAL) => {
                        return Err(failed(error));
                    }
                    // `EINVAL` is that nothing is mounted there (any more).
                    _ => copy(&kept, seen).map_err(failed)?,
                }
            }
            // There may have been no keys.
            let _ = fs::remove_dir(&node.keys);
        }
        remove(&self.folder, &self.marker).map_err(refused("remove", &self.folder))?;
        journal.done(id)?;
        *undo = None;
        Ok(())
    }
}

impl Drop for Disks {
    /// Mounts must not outlive a run that ends in a hurry; what was on them is lost then.
    fn drop(&mut self) {
        if self.undo().is_some() {
            let _ = remove(&self.folder, &self.marker);
        }
    }
}

/// The folders on a disk, and where each is seen.
fn parts(node: &OnDisk) -> [(&'static str, &Path); 2] {
    [("data", &node.data), ("keys", &node.keys)]
}

fn mount_one(
    marker: &str,
    node: &OnDisk,
    disk: &Disk,
    bytes: u64,
) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| (path, error)
    };
    fs::create_dir_all(&disk.root).map_err(at(&disk.root))?;
    mounts::in_memory(marker, &disk.root, bytes).map_err(at(&disk.root))?;
    for (name, seen) in parts(node) {
        let inside = disk.root.join(name);
        let shown = || {
            fs::create_dir_all(seen)?;
            fs::create_dir(&inside)?;
            fs::set_permissions(&inside, fs::metadata(seen)?.permissions())?;
            mounts::bind(&inside, seen)
        };
        shown().map_err(at(seen))?;
    }
    Ok(())
}

/// Copies what is in a folder into another one.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir_all(&target)?;
            fs::set_permissions(&target, entry.metadata()?.permissions())?;
            copy(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Removes the disks of the run with this marker that this process can see, and their folder,
/// unless something else is in it; says which were mounted.
pub(crate) fn remove(folder: &Path, marker: &str) -> io::Result<Vec<PathBuf>> {
    let mounted = mounts::of_run(marker)?;
    for point in &mounted {
        mounts::unmount(point)?;
    }
    if let Ok(entries) = fs::read_dir(folder) {
        for entry in entries.flatten() {
            let _ = fs::remove_dir(entry.path());
        }
        let _ = fs::remove_dir(folder);
    }
    Ok(mounted)
}
