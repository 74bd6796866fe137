//! Control groups of nodes that are processes: what limits their processor time and memory.
//!
//! Each node has one of its own from its start: memory is charged to the group that took it, and
//! does not move later. They lie in `keyquake-<marker>`, whose undo is in the heal journal
//! before it is made.

mod group;
mod home;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use group::Group;
use home::{Home, Version};

use crate::journal::{Journal, JournalError, Undo, UndoId};

/// What the folder of a run's groups begins with; the run's marker follows.
const PREFIX: &str = "keyquake-";
/// How long a group may take to lose its last process, which has ended.
const EMPTY_WITHIN: Duration = Duration::from_secs(5);
/// How often its removal is tried.
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// What a node may use, and what came of it; counts are since its run began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Allowance {
    /// Processor cores; `None` is all of them.
    pub cores: Option<f64>,
    /// Periods of 100 ms in which it wanted more of them.
    pub throttled: u64,
    /// Bytes of memory; `None` is all of it.
    pub memory: Option<u64>,
    /// Bytes that it uses now, with what the kernel keeps of its files.
    pub used: u64,
    /// How often it wanted more memory than it may use.
    pub reached: u64,
}

/// Why there are no control groups.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// The machine has none that would do.
    #[error("there are no control groups to limit nodes with: {why}")]
    None {
        /// What is missing.
        why: String,
    },
    /// One of their files.
    #[error("failed to {what} {}: {source}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The undo can't be written down.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The control groups of a run.
pub struct Groups {
    nodes: BTreeMap<String, Group>,
    /// Folders of the run, with their undo.
    made: Mutex<Vec<(PathBuf, UndoId)>>,
}

impl Groups {
    /// Whether they can be made here, as far as can be told without making any.
    ///
    /// # Errors
    /// With what is missing.
    pub fn possible() -> Result<(), CgroupError> {
        Home::find().map(drop)
    }

    /// Makes a group for each of these nodes. Waits for the disk.
    ///
    /// # Errors
    /// With what was refused; what was made by then is removed again.
    pub fn make(journal: &Journal, nodes: &[String]) -> Result<Groups, CgroupError> {
        let home = Home::find()?;
        let name = folder_name(journal.marker());
        let mut folders = vec![home.cpu.join(&name), home.memory.join(&name)];
        folders.dedup();
        let mut groups = Groups {
            nodes: BTreeMap::new(),
            made: Mutex::default(),
        };
        let made = groups.make_in(journal, &home, &folders, nodes);
        if let Err(error) = made {
            let _ = groups.clear(journal);
            return Err(error);
        }
        Ok(groups)
    }

    fn make_in(
        &mut self,
        journal: &Journal,
        home: &Home,
        folders: &[PathBuf],
        nodes: &[String],
    ) -> Result<(), CgroupError> {
        if home.version == Version::Two {
            enable(&home.cpu)?;
        }
        for folder in folders {
            let undo = journal.record(Undo::Cgroup {
                path: folder.clone(),
            })?;
            let made = self.made.get_mut();
            made.unwrap_or_else(PoisonError::into_inner)
                .push((folder.clone(), undo));
            make(folder)?;
            if home.version == Version::Two {
                enable(folder)?;
            }
            for node in nodes {
                make(&folder.join(node))?;
            }
        }
        // With version 2 they are one.
        match folders {
            [cpu, .., memory] => self.know(home.version, cpu, memory, nodes),
            [both] => self.know(home.version, both, both, nodes),
            [] => Ok(()),
        }
    }

    fn know(
        &mut self,
        version: Version,
        cpu: &Path,
        memory: &Path,
        nodes: &[String],
    ) -> Result<(), CgroupError> {
        for node in nodes {
            let group = Group {
                version,
                cpu: cpu.join(node),
                memory: memory.join(node),
            };
            // Read once, so that a kernel that shows less is known before the nodes start.
            group.allowance()?;
            group.oom_kills()?;
            self.nodes.insert(node.clone(), group);
        }
        Ok(())
    }

    pub(crate) fn of(&self, node: &str) -> Option<&Group> {
        self.nodes.get(node)
    }

    /// Removes the groups, whose nodes must have ended. May be repeated.
    ///
    /// # Errors
    /// With the first that can't be removed; its undo stays in the journal.
    pub fn clear(&self, journal: &Journal) -> Result<(), CgroupError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((folder, undo)) = made.last() {
            remove(folder).map_err(|source| CgroupError::Io {
                what: "remove",
                path: folder.clone(),
                source,
            })?;
            journal.done(*undo)?;
            made.pop();
        }
        Ok(())
    }
}

fn folder_name(marker: &str) -> String {
    format!("{PREFIX}{marker}")
}

/// Whether a folder is the one that a run with this marker would have made.
pub(crate) fn belongs_to(folder: &Path, marker: &str) -> bool {
    folder
        .file_name()
        .is_some_and(|name| name == folder_name(marker).as_str())
}

/// Removes a run's groups, if they are there; processes that have just ended may still be in them.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    let deadline = Instant::now() + EMPTY_WITHIN;
    let inner = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        inner => inner?,
    };
    let mut folders: Vec<_> = inner
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    folders.push(folder.to_owned());
    for folder in folders {
        loop {
            match fs::remove_dir(&folder) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => thread::sleep(TRY_AGAIN),
            }
        }
    }
    Ok(())
}

fn make(folder: &Path) -> Result<(), CgroupError> {
    fs::create_dir(folder).map_err(|source| CgroupError::Io {
        what: "make the control group",
        path: folder.to_owned(),
        source,
    })
}

/// Lets the children of a group of version 2 have limits.
fn enable(folder: &Path) -> Result<(), CgroupError> {
    let control = folder.join("cgroup.subtree_control");
    if home::lists(&control) {
        return Ok(());
    }
    fs::write(&control, "+cpu +memory").map_err(|source| CgroupError::Io {
        what: "write to",
        path: control,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_s_own_folder_is_removed_for_it() {
        let folder = Path::new("/sys/fs/cgroup/memory/keyquake-r1@7-9");
        assert!(belongs_to(folder, "r1@7-9"));
        assert!(!belongs_to(folder, "r1@7-8"));
        assert!(!belongs_to(Path::new("/sys/fs/cgroup/memory"), "r1@7-9"));
        assert!(remove(Path::new("/sys/fs/cgroup/nothing-of-ours")).is_ok());
    }
}
