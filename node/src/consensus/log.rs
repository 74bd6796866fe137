//! The durable Raft log in `wal/`: entries, hard state, snapshot position,
//! membership. One atomic batch per Ready, synced before anything that depends on
//! it leaves the node. Terms of all entries and the newest entries stay in memory.
//!
//! Rows of the current generation: `e ‖ BE64(index)` → Entry, `m/…` → the rest.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use fjall::{OwnedWriteBatch, PersistMode};
use prost::Message as _;
use protobuf::Message as PbMessage;
use raft::eraftpb::{ConfState, Entry, HardState, SnapshotMetadata};
use thiserror::Error;

use super::generations::Generation;
use crate::peers::{self, Peers};
use crate::wire;

const HARD_STATE: &[u8] = b"m/hard_state";
const SNAPSHOT: &[u8] = b"m/snapshot";
const MEMBERSHIP: &[u8] = b"m/conf_state";
const PEERS: &[u8] = b"m/peers";
/// How much of the log's end is kept in memory.
const RECENT_BYTES: usize = 32 << 20;

/// Why the log could not be read or written. Fatal to the node.
#[derive(Debug, Error)]
pub enum LogError {
    /// The storage engine failed; a failed sync must not be tried again.
    #[error("raft log failed: {0}")]
    Engine(#[from] fjall::Error),
    /// The log's folder failed.
    #[error("raft log {path}: {source}")]
    Disk {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes on disk that are not what was written.
    #[error("raft log is damaged: {0}")]
    Damaged(String),
}

/// Who takes part, and the index of the change that made it so.
#[derive(Clone, Debug, Default)]
pub struct Membership {
    /// Index of the last change in it.
    pub index: u64,
    /// Voters and learners.
    pub state: ConfState,
    /// Their names and addresses.
    pub peers: Peers,
}

/// What travels with a snapshot beside its own metadata.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The members' names and addresses.
    pub peers: Peers,
    /// Index of the last membership change the snapshot contains.
    pub configuration_index: u64,
}

/// The log and all that is stored beside it.
pub struct RaftLog {
    pub(super) disk: Generation,
    pub(super) hard_state: HardState,
    pub(super) snapshot: SnapshotMetadata,
    pub(super) membership: Membership,
    /// Terms of the entries behind the snapshot, in order.
    pub(super) terms: VecDeque<u64>,
    /// The last entries of the log, up to [`RECENT_BYTES`].
    pub(super) recent: VecDeque<Entry>,
    recent_bytes: usize,
    /// Set when a follower needs a snapshot newer than the one there is.
    pub(super) wanted: Cell<bool>,
}

pub(super) fn entry_key(index: u64) -> [u8; 9] {
    let mut key = [b'e'; 9];
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

fn bytes_of(message: &impl PbMessage) -> Result<Vec<u8>, LogError> {
    message
        .write_to_bytes()
        .map_err(|error| LogError::Damaged(error.to_string()))
}

pub(super) fn message_of<M: PbMessage>(bytes: &[u8]) -> Result<M, LogError> {
    M::parse_from_bytes(bytes).map_err(|error| LogError::Damaged(error.to_string()))
}

impl RaftLog {
    /// Opens or creates the log under a node's data directory.
    ///
    /// # Errors
    /// A failing disk, a database another process holds, damaged bytes.
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        let mut log = Self {
            disk: Generation::open(&dir.join("wal"))?,
            hard_state: HardState::default(),
            snapshot: SnapshotMetadata::default(),
            membership: Membership::default(),
            terms: VecDeque::new(),
            recent: VecDeque::new(),
            recent_bytes: 0,
            wanted: Cell::new(false),
        };
        log.load()?;
        Ok(log)
    }

    fn load(&mut self) -> Result<(), LogError> {
        if let Some(bytes) = self.disk.rows.get(HARD_STATE)? {
            self.hard_state = message_of(&bytes)?;
        }
        if let Some(bytes) = self.disk.rows.get(SNAPSHOT)? {
            self.snapshot = message_of(&bytes)?;
        }
        if let Some(bytes) = self.disk.rows.get(MEMBERSHIP)? {
            let (index, state) = bytes
                .split_first_chunk::<8>()
                .ok_or_else(|| LogError::Damaged("membership row is too short".to_owned()))?;
            self.membership.index = u64::from_be_bytes(*index);
            self.membership.state = message_of(state)?;
        }
        if let Some(bytes) = self.disk.rows.get(PEERS)? {
            let peers = wire::Peers::decode(&bytes[..])
                .map_err(|error| LogError::Damaged(error.to_string()))?;
            self.membership.peers = peers::from_wire(peers);
        }
        let first = self.snapshot.index + 1;
        for item in self.disk.rows.range(entry_key(first)..=entry_key(u64::MAX)) {
            let entry: Entry = message_of(&item.value()?)?;
            if entry.index != first + self.terms.len() as u64 {
                return Err(LogError::Damaged(format!(
                    "entry {} follows entry {}",
                    entry.index,
                    first + self.terms.len() as u64 - 1
                )));
            }
            self.remember(entry);
        }
        Ok(())
    }

    fn remember(&mut self, entry: Entry) {
        self.terms.push_back(entry.term);
        self.recent_bytes += entry.data.len();
        self.recent.push_back(entry);
        while self.recent_bytes > RECENT_BYTES && self.recent.len() > 1 {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(entry) = self.recent.pop_front() {
            self.recent_bytes -= entry.data.len();
        }
    }

    /// Whether anything was ever stored: a node that was started before.
    pub fn is_initialized(&self) -> bool {
        self.snapshot.index > 0 || self.hard_state.term > 0 || !self.terms.is_empty()
    }

    /// Writes the beginning of a bootstrapped cluster's log: a snapshot of nothing at index 1.
    ///
    /// # Errors
    /// A failing disk.
    pub fn bootstrap(&mut self, state: ConfState, peers: Peers) -> Result<(), LogError> {
        self.hard_state.term = 1;
        self.hard_state.commit = 1;
        self.snapshot.index = 1;
        self.snapshot.term = 1;
        self.snapshot.set_conf_state(state.clone());
        self.membership = Membership {
            index: 1,
            state,
            peers,
        };
        let mut batch = self.durable_batch();
        batch.insert(&self.disk.rows, SNAPSHOT, bytes_of(&self.snapshot)?);
        self.put_hard_state(&mut batch)?;
        self.put_membership(&mut batch)?;
        Ok(batch.commit()?)
    }

    /// Remembers where other members are, before any log says so (a node that joins).
    ///
    /// # Errors
    /// A failing disk.
    pub fn set_peers(&mut self, peers: Peers) -> Result<(), LogError> {
        self.membership.peers = peers;
        let mut batch = self.durable_batch();
        self.put_membership(&mut batch)?;
        Ok(batch.commit()?)
    }

    fn durable_batch(&self) -> OwnedWriteBatch {
        self.disk
            .database
            .batch()
            .durability(Some(PersistMode::SyncAll))
    }

    fn put_hard_state(&self, batch: &mut OwnedWriteBatch) -> Result<(), LogError> {
        batch.insert(&self.disk.rows, HARD_STATE, bytes_of(&self.hard_state)?);
        Ok(())
    }

    fn membership_rows(&self) -> Result<(Vec<u8>, Vec<u8>), LogError> {
        let state = bytes_of(&self.membership.state)?;
        let membership = [&self.membership.index.to_be_bytes()[..], &state].concat();
        let peers = peers::to_wire(&self.membership.peers).encode_to_vec();
        Ok((membership, peers))
    }

    fn put_membership(&self, batch: &mut OwnedWriteBatch) -> Result<(), LogError> {
        let (membership, peers) = self.membership_rows()?;
        batch.insert(&self.disk.rows, MEMBERSHIP, membership);
        batch.insert(&self.disk.rows, PEERS, peers);
        Ok(())
    }

    /// Stores a Ready's entries and hard state; entries they conflict with are cut off.
    /// Durable on return. A commit index alone is only noted: a restart may see less of it
    /// and learns it again from the leader.
    ///
    /// # Errors
    /// A failing disk: fatal, because what is in the page cache is then unknown.
    pub fn append(
        &mut self,
        entries: Vec<Entry>,
        hard_state: Option<&HardState>,
    ) -> Result<(), LogError> {
        let moved = hard_state.is_some_and(|new| {
            new.term != self.hard_state.term || new.vote != self.hard_state.vote
        });
        if let Some(hard_state) = hard_state {
            self.hard_state = hard_state.clone();
        }
        if entries.is_empty() && !moved {
            return Ok(());
        }
        let mut batch = self.durable_batch();
        if moved {
            self.put_hard_state(&mut batch)?;
        }
        if let Some(first) = entries.first().map(|entry| entry.index) {
            for index in first + entries.len() as u64..=self.last() {
                batch.remove(&self.disk.rows, entry_key(index));
            }
            for entry in &entries {
                batch.insert(&self.disk.rows, entry_key(entry.index), bytes_of(entry)?);
            }
            self.truncate(first);
        }
        batch.commit()?;
        for entry in entries {
            self.remember(entry);
        }
        Ok(())
    }

    /// Forgets entries from `index` on (in memory; the batch does the disk).
    fn truncate(&mut self, index: u64) {
        let keep = index.saturating_sub(self.snapshot.index + 1);
        self.terms.truncate(keep as usize);
        while self.recent.back().is_some_and(|e| e.index >= index) {
            if let Some(entry) = self.recent.pop_back() {
                self.recent_bytes -= entry.data.len();
            }
        }
    }

    /// Notes how far the log is committed.
    pub fn set_commit(&mut self, commit: u64) {
        self.hard_state.commit = commit;
    }

    /// Starts over from a snapshot another node sent: the whole log goes.
    ///
    /// # Errors
    /// A failing disk.
    pub fn restore(
        &mut self,
        metadata: &SnapshotMetadata,
        origin: Origin,
        hard_state: Option<&HardState>,
    ) -> Result<(), LogError> {
        let mut batch = self.durable_batch();
        for index in self.snapshot.index + 1..=self.last() {
            batch.remove(&self.disk.rows, entry_key(index));
        }
        if let Some(hard_state) = hard_state {
            self.hard_state = hard_state.clone();
        }
        self.hard_state.commit = self.hard_state.commit.max(metadata.index);
        self.snapshot = metadata.clone();
        self.membership = Membership {
            index: origin.configuration_index,
            state: metadata.get_conf_state().clone(),
            peers: origin.peers,
        };
        batch.insert(&self.disk.rows, SNAPSHOT, bytes_of(&self.snapshot)?);
        self.put_hard_state(&mut batch)?;
        self.put_membership(&mut batch)?;
        batch.commit()?;
        self.terms.clear();
        self.recent.clear();
        self.recent_bytes = 0;
        Ok(())
    }

    /// Drops the entries a durable snapshot file now stands for.
    ///
    /// # Errors
    /// A failing disk.
    pub fn compact(&mut self, metadata: SnapshotMetadata) -> Result<(), LogError> {
        if metadata.index <= self.snapshot.index {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.snapshot, metadata);
        let cut = self.snapshot.index - before.index;
        if self.disk.is_long()? {
            self.terms.drain(..cut as usize);
            self.move_on()?;
        } else {
            let mut batch = self.durable_batch();
            for index in before.index + 1..=self.snapshot.index {
                batch.remove(&self.disk.rows, entry_key(index));
            }
            batch.insert(&self.disk.rows, SNAPSHOT, bytes_of(&self.snapshot)?);
            batch.commit()?;
            self.terms.drain(..cut as usize);
        }
        let snapshot_index = self.snapshot.index;
        while self
            .recent
            .front()
            .is_some_and(|e| e.index <= snapshot_index)
        {
            self.forget_oldest();
        }
        Ok(())
    }

    /// Writes everything still needed into a new generation.
    fn move_on(&mut self) -> Result<(), LogError> {
        let entries: Vec<Entry> = (self.snapshot.index + 1..=self.last())
            .map(|index| {
                self.entry(index)
                    .map_err(|error| LogError::Damaged(format!("entry {index}: {error}")))
            })
            .collect::<Result<_, _>>()?;
        let (hard_state, snapshot) = (bytes_of(&self.hard_state)?, bytes_of(&self.snapshot)?);
        let (membership, peers) = self.membership_rows()?;
        self.disk.replace(|batch, rows| {
            batch.insert(rows, HARD_STATE, hard_state);
            batch.insert(rows, SNAPSHOT, snapshot);
            batch.insert(rows, MEMBERSHIP, membership);
            batch.insert(rows, PEERS, peers);
            for entry in &entries {
                batch.insert(rows, entry_key(entry.index), bytes_of(entry)?);
            }
            Ok(())
        })
    }

    /// Stores an applied membership change, before its entry counts as applied.
    ///
    /// # Errors
    /// A failing disk.
    pub fn set_membership(&mut self, membership: Membership) -> Result<(), LogError> {
        self.membership = membership;
        let mut batch = self.durable_batch();
        self.put_membership(&mut batch)?;
        Ok(batch.commit()?)
    }

    /// The stored membership.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The position of the snapshot the log starts behind.
    pub fn snapshot_index(&self) -> u64 {
        self.snapshot.index
    }

    /// The last index of the log.
    pub fn last(&self) -> u64 {
        self.snapshot.index + self.terms.len() as u64
    }

    /// Whether a follower was waiting for a newer snapshot since the last call.
    pub fn take_wanted(&self) -> bool {
        self.wanted.replace(false)
    }
}
