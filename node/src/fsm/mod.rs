//! The replicated state: rows in `fsm.db`, changed only by applying log entries
//! or installing a snapshot, always together with the applied index.

mod evaluate;
mod keys;
mod rows;
mod snapshot;
mod view;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use fjall::{Database, Keyspace, PersistMode, Readable};
use thiserror::Error;

pub use snapshot::{SnapshotError, SnapshotFiles};
pub use view::{View, Writes};

use crate::bugs::{self, Bug};
use crate::database;
use crate::encryption::{Encryption, EnvelopeError, State};
use crate::wire::{Command, Reply, reply};

const DATABASE: &str = "fsm.db";
const ASIDE: &str = "fsm.db-aside";
/// A journal up to this is replayed without further thought.
const SHORT_JOURNAL: u64 = 1 << 20;
/// Rows written in one batch while a snapshot is loaded.
const INSTALL_CHUNK: usize = 1_000;

/// A stored key and its stored value.
type Row = (Vec<u8>, Vec<u8>);

/// Why the state could not be read or changed. Always fatal to the node.
#[derive(Debug, Error)]
pub enum FsmError {
    /// The storage engine failed.
    #[error("state database failed: {0}")]
    Engine(#[from] fjall::Error),
    /// The state's folder failed.
    #[error("state database {path}: {source}")]
    Disk {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A row's bytes are not what this release writes.
    #[error("{0}")]
    Row(String),
    /// A value could not be sealed or opened.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// A snapshot file could not be read or written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// The state machine. Shared: one thread applies, many read.
pub struct Fsm {
    database: Database,
    rows: Keyspace,
    /// Held for writing while a snapshot replaces the state, so that no reader sees half of it.
    replaced: RwLock<()>,
    files: SnapshotFiles,
    encryption: Arc<Encryption>,
    /// The encryption state's row, as last written.
    keys: RwLock<Arc<State>>,
}

impl Fsm {
    /// Opens or creates the state under a node's data directory.
    ///
    /// # Errors
    /// A disk that fails, or a database another process holds.
    pub fn open(dir: &Path, encryption: Arc<Encryption>) -> Result<Self, FsmError> {
        let (database, rows) = database::open_or_make(&dir.join(DATABASE))?;
        let keys = keys::read(&rows)?;
        Ok(Self {
            database,
            rows,
            replaced: RwLock::new(()),
            files: SnapshotFiles::open(dir)?,
            encryption,
            keys: RwLock::new(Arc::new(keys)),
        })
    }

    /// Sets the database aside if loading the snapshot of `index` is quicker than replaying
    /// its journal; the log has everything behind that snapshot. The state is then opened
    /// empty, with applied index 0. Unless it is `needed`, which is asked only if it would be.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn set_aside_if_slow(
        dir: &Path,
        index: u64,
        needed: impl FnOnce() -> bool,
    ) -> Result<(), FsmError> {
        let (path, aside) = (dir.join(DATABASE), dir.join(ASIDE));
        let disk = |source| FsmError::Disk {
            path: path.clone(),
            source,
        };
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(disk)?;
        }
        let journal = database::journal_bytes(&path).map_err(disk)?;
        let files = SnapshotFiles::open(dir)?;
        if journal > SHORT_JOURNAL
            && let Ok(bytes) = files.verified_bytes(index)
            && bytes < journal / 4
            && !needed()
        {
            fs::rename(&path, &aside).map_err(disk)?;
            database::sync_dir(dir).map_err(disk)?;
            fs::remove_dir_all(&aside).map_err(disk)?;
        }
        Ok(())
    }

    /// The folder of snapshot files.
    pub fn files(&self) -> &SnapshotFiles {
        &self.files
    }

    /// The last log index whose effects are in the state (0 = none).
    ///
    /// # Errors
    /// A failing disk or a mangled row.
    pub fn applied(&self) -> Result<u64, FsmError> {
        match self.rows.get(rows::META_APPLIED)? {
            Some(value) => value
                .as_ref()
                .try_into()
                .map(u64::from_le_bytes)
                .map_err(|_| FsmError::Row("store: applied index row is not 8 bytes".to_owned())),
            None => Ok(0),
        }
    }

    /// Applies the command of log entry `index`; effects and index become visible together.
    ///
    /// # Errors
    /// As [`FsmError`]; the state is then unchanged.
    pub fn apply(&self, index: u64, command: &Command) -> Result<Reply, FsmError> {
        let mut view = View::new(&self.rows, &self.encryption, self.database.snapshot());
        let reply = evaluate::evaluate(&mut view, command)?;
        if bugs::on(Bug::ValueInTemporary) {
            self.files.keep_value(view.longest_body());
        }
        let mut batch = self.database.batch();
        view.into_batch(&mut batch, index, self.seals())?;
        batch.insert(&self.rows, rows::META_APPLIED, index.to_le_bytes());
        batch.commit()?;
        Ok(reply)
    }

    /// Moves the applied index past an entry that has no effect here.
    ///
    /// # Errors
    /// A failing disk.
    pub fn skip(&self, index: u64) -> Result<(), FsmError> {
        Ok(self.rows.insert(rows::META_APPLIED, index.to_le_bytes())?)
    }

    /// Evaluates a command that only reads, at this moment.
    ///
    /// # Errors
    /// As [`FsmError`].
    pub fn read(&self, command: &Command) -> Result<Reply, FsmError> {
        let _whole = self.replaced.read().unwrap_or_else(PoisonError::into_inner);
        let mut view = View::new(&self.rows, &self.encryption, self.database.snapshot());
        evaluate::evaluate(&mut view, command)
    }

    /// Evaluates a command on top of `writes` that are not in the state yet, and adds its own.
    /// Only a seeded bug does this.
    ///
    /// # Errors
    /// As [`FsmError`].
    pub fn speculate(&self, command: &Command, writes: &mut Writes) -> Result<Reply, FsmError> {
        let before = writes.clone();
        let taken = std::mem::take(writes);
        let mut view = View::with_writes(
            &self.rows,
            &self.encryption,
            self.database.snapshot(),
            taken,
        );
        let reply = evaluate::evaluate(&mut view, command)?;
        *writes = match reply.shape {
            Some(reply::Shape::Error(_)) => before,
            _ => view.into_writes(),
        };
        Ok(reply)
    }

    /// Makes everything applied so far durable.
    ///
    /// # Errors
    /// A failing disk: fatal, never to be tried again.
    pub fn sync(&self) -> Result<(), FsmError> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    /// The state at this moment, for a snapshot file written on another thread.
    pub fn moment(&self) -> fjall::Snapshot {
        self.database.snapshot()
    }

    /// Writes the state at `moment` as the snapshot file of `index`, durably.
    ///
    /// # Errors
    /// A failing disk.
    pub fn write_snapshot(&self, moment: &fjall::Snapshot, index: u64) -> Result<(), FsmError> {
        let mut out = self.files.create(index, self.cutover_at(moment)?)?;
        for (place, item) in moment.iter(&self.rows).enumerate() {
            let (key, value) = item.into_inner()?;
            let drop = bugs::on(Bug::SnapshotDropsRows) && place % 16 == 15;
            // What belongs to the keys stays, or the node would end.
            let drop = drop && !key.starts_with(b"!encryption|");
            if rows::user_key(&key).is_some() && !drop {
                out.row(&key, &value)?;
            }
        }
        Ok(out.finish()?)
    }

    /// Replaces the state by the snapshot file of `index`. A crash in the middle leaves
    /// applied index 0, which the next start sees and repairs from the same file.
    ///
    /// # Errors
    /// A missing or damaged file, a failing disk.
    pub fn install(&self, index: u64) -> Result<(), FsmError> {
        let _alone = self
            .replaced
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut file = self.files.read(index, self.encryption.seals_entries())?;
        self.rows.remove(rows::META_APPLIED)?;
        self.clear()?;
        loop {
            let mut batch = self.database.batch();
            for _ in 0..INSTALL_CHUNK {
                let Some((key, value)) = file.next_row()? else {
                    break;
                };
                batch.insert(&self.rows, key, value);
            }
            if batch.is_empty() {
                break;
            }
            batch.commit()?;
        }
        self.rows.insert(rows::META_APPLIED, index.to_le_bytes())?;
        self.sync()?;
        self.reload_keys()
    }

    fn clear(&self) -> Result<(), FsmError> {
        let moment = self.database.snapshot();
        let mut batch = self.database.batch();
        for item in moment.iter(&self.rows) {
            batch.remove(&self.rows, item.key()?);
            if batch.len() >= INSTALL_CHUNK {
                std::mem::replace(&mut batch, self.database.batch()).commit()?;
            }
        }
        Ok(batch.commit()?)
    }
}

/// Where a node keeps everything: `<raftDataDir>/<raftId>`.
pub fn node_dir(data_dir: &Path, raft_id: &str) -> PathBuf {
    data_dir.join(raft_id)
}
