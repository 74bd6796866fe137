//! The heal journal: what a run made is written down before it is made.
//!
//! One file of JSON lines per run, `<dir>/<run>.jsonl`. Its first line names
//! the owner (the suite's process); then come `undo` lines, each on disk before
//! the thing exists, and `done` lines once it is gone. A run that ends clean
//! removes its file, so that what [`heal`] finds is what a dead run left.

mod heal;
mod owner;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

pub use heal::{HealReport, HealedRun, Undoer, heal};
pub use owner::Owner;

/// The environment variable that marks every process of a run.
pub const RUN_VARIABLE: &str = "KEYQUAKE_RUN";
/// The environment variable that names the node a process belongs to.
pub const NODE_VARIABLE: &str = "KEYQUAKE_NODE";
/// The version of the file format, in its first line.
const FORMAT: u32 = 1;

/// How to undo one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Undo {
    /// Kill the processes of a node: those with the run's marker and this
    /// node's name in their environment. (A process id would not do: it is
    /// not known before the process is there.)
    Process {
        /// The node's id.
        node: String,
    },
    /// Remove the containers and networks with the run's marker as their label, and the
    /// sockets of their agents. Whoever knows the engine does it: an [`Undoer`].
    Containers {
        /// Where the engine listens.
        engine: String,
        /// The folder of the sockets.
        sockets: PathBuf,
    },
    /// Remove the run's control groups, once the processes in them are gone.
    Cgroup {
        /// The folder; its name ends with the run's marker.
        path: PathBuf,
    },
    /// Unmount the run's disks, which have the run's marker in their name.
    Disks {
        /// The folder of the mounts.
        folder: PathBuf,
    },
}

/// Names one line of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UndoId(u64);

/// One line of the file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Owner {
        format: u32,
        marker: String,
        owner: Owner,
    },
    Undo {
        id: UndoId,
        what: Undo,
    },
    Done {
        id: UndoId,
    },
}

/// What went wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file can't be made or written.
    #[error("the heal journal {} can't be {done}: {source}; without it nothing may be started (check owner, mode and free space)", path.display())]
    Io {
        /// The file or its directory.
        path: PathBuf,
        /// What was being done.
        done: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A run of this name has a journal already.
    #[error("there is a heal journal {} already: another run of this name is alive, or died and was not healed; run `keyquake heal`", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A clean end was claimed, but things are left.
    #[error("not everything of the run is undone, so its heal journal {} stays: {left}; run `keyquake heal` when the suite has ended", path.display())]
    NotDone {
        /// The file.
        path: PathBuf,
        /// What is left.
        left: String,
    },
}

/// The open journal of a living run.
pub struct Journal {
    path: PathBuf,
    marker: String,
    inner: Mutex<Inner>,
}

struct Inner {
    file: File,
    next: u64,
    open: BTreeMap<UndoId, Undo>,
}

impl Journal {
    /// Begins the journal of a run in `dir`, which is made if need be.
    ///
    /// # Errors
    /// When a run of this name has one already, or the disk refuses.
    pub fn open(dir: &Path, run: &str) -> Result<Self, JournalError> {
        let path = dir.join(format!("{run}.jsonl"));
        let refuse = |done| {
            let path = path.clone();
            move |source| JournalError::Io { path, done, source }
        };
        fs::create_dir_all(dir).map_err(refuse("made"))?;
        let owner = Owner::this_process().map_err(refuse("given an owner"))?;
        // Unlike the run's name, this is unique on the machine: the name alone
        // could appear under two results roots at once.
        let marker = format!("{run}@{}-{}", owner.pid, owner.started);
        let first = Line::Owner {
            format: FORMAT,
            marker: marker.clone(),
            owner: owner.clone(),
        };
        // Made whole under another name, so that nobody ever sees it without its owner.
        let young = dir.join(format!(".{run}.{}.new", owner.pid));
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&young)
            .map_err(refuse("made"))?;
        append(&mut file, &first).map_err(refuse("written"))?;
        place(&young, &path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => JournalError::Exists { path: path.clone() },
            _ => refuse("made")(source),
        })?;
        sync_dir(dir).map_err(refuse("made"))?;
        let inner = Mutex::new(Inner {
            file,
            next: 0,
            open: BTreeMap::new(),
        });
        Ok(Self {
            path,
            marker,
            inner,
        })
    }

    /// The value of [`RUN_VARIABLE`] in every process of this run.
    pub fn marker(&self) -> &str {
        &self.marker
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes an undo down; it is on disk when this returns, and only then may
    /// the thing be made. Waits for the disk: not for an async thread.
    ///
    /// # Errors
    /// When the disk refuses. Then the thing must not be made.
    pub fn record(&self, what: Undo) -> Result<UndoId, JournalError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let id = UndoId(inner.next);
        inner.next += 1;
        append(
            &mut inner.file,
            &Line::Undo {
                id,
                what: what.clone(),
            },
        )
        .map_err(|source| self.unwritable(source))?;
        inner.open.insert(id, what);
        Ok(id)
    }

    /// Notes that a thing is undone.
    ///
    /// # Errors
    /// When the disk refuses. The thing would be undone once more: no harm.
    pub fn done(&self, id: UndoId) -> Result<(), JournalError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.open.remove(&id);
        append(&mut inner.file, &Line::Done { id }).map_err(|source| self.unwritable(source))
    }

    /// The clean end: removes the file, if all of it is done.
    ///
    /// # Errors
    /// When something is left (then the file stays), or the disk refuses.
    pub fn finish(&self) -> Result<(), JournalError> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.open.is_empty() {
            let left = inner
                .open
                .values()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            return Err(JournalError::NotDone {
                path: self.path.clone(),
                left,
            });
        }
        fs::remove_file(&self.path).map_err(|source| JournalError::Io {
            path: self.path.clone(),
            done: "removed",
            source,
        })
    }

    fn unwritable(&self, source: io::Error) -> JournalError {
        JournalError::Io {
            path: self.path.clone(),
            done: "written",
            source,
        }
    }
}

impl std::fmt::Display for Undo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Undo::Process { node } => write!(f, "processes of {node}"),
            Undo::Containers { engine, .. } => write!(f, "containers and networks of {engine}"),
            Undo::Cgroup { path } => write!(f, "control groups in {}", path.display()),
            Undo::Disks { folder } => write!(f, "disks in {}", folder.display()),
        }
    }
}

/// Gives a file its name, unless that is taken.
fn place(young: &Path, path: &Path) -> io::Result<()> {
    let linked = fs::hard_link(young, path);
    match &linked {
        // A file system without hard links: the gap between the two calls is small.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.exists() => {
            fs::rename(young, path)
        }
        _ => {
            fs::remove_file(young)?;
            linked
        }
    }
}

fn append(file: &mut File, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_data()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(node: &str) -> Undo {
        Undo::Process { node: node.into() }
    }

    #[test]
    fn a_clean_run_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&dir.path().join("deep"), "r1").unwrap();
        let id = journal.record(process("n1")).unwrap();
        let error = journal.finish().unwrap_err().to_string();
        assert!(
            error.contains("processes of n1") && error.contains("keyquake heal"),
            "{error}"
        );
        journal.done(id).unwrap();
        journal.finish().unwrap();
        assert_eq!(fs::read_dir(dir.path().join("deep")).unwrap().count(), 0);
    }

    #[test]
    fn two_runs_of_one_name_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Journal::open(dir.path(), "r1").unwrap();
        let error = Journal::open(dir.path(), "r1").err().unwrap();
        assert!(matches!(error, JournalError::Exists { .. }));
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no half-made file is left"
        );
    }

    #[test]
    fn lines_stay_readable() {
        // The format on disk: what is written today must be healed tomorrow.
        let line = Line::Undo {
            id: UndoId(3),
            what: process("n2"),
        };
        let text = r#"{"undo":{"id":3,"what":{"kind":"process","node":"n2"}}}"#;
        assert_eq!(serde_json::to_string(&line).unwrap(), text);
        assert_eq!(serde_json::from_str::<Line>(text).unwrap(), line);
        let what = Undo::Containers {
            engine: "unix:///var/run/docker.sock".into(),
            sockets: "/r/agents".into(),
        };
        let text =
            r#"{"kind":"containers","engine":"unix:///var/run/docker.sock","sockets":"/r/agents"}"#;
        assert_eq!(serde_json::to_string(&what).unwrap(), text);
        let what = Undo::Cgroup {
            path: "/sys/fs/cgroup/memory/keyquake-r@1-2".into(),
        };
        let text = r#"{"kind":"cgroup","path":"/sys/fs/cgroup/memory/keyquake-r@1-2"}"#;
        assert_eq!(serde_json::to_string(&what).unwrap(), text);
        let what = Undo::Disks {
            folder: "/r/disks".into(),
        };
        let text = r#"{"kind":"disks","folder":"/r/disks"}"#;
        assert_eq!(serde_json::to_string(&what).unwrap(), text);
    }
}
