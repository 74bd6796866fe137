//! How raft-rs reads the log: newest entries from memory, older ones from disk.

use protobuf::Message as _;
use raft::eraftpb::{Entry, Snapshot};
use raft::{Error as RaftError, GetEntriesContext, RaftState, Storage, StorageError};

use super::LogError;
use super::log::{RaftLog, entry_key, message_of};

impl RaftLog {
    fn stored_term(&self, index: u64) -> raft::Result<u64> {
        if index == self.snapshot.index {
            return Ok(self.snapshot.term);
        }
        let Some(offset) = index.checked_sub(self.snapshot.index + 1) else {
            return Err(RaftError::Store(StorageError::Compacted));
        };
        self.terms
            .get(offset as usize)
            .copied()
            .ok_or(RaftError::Store(StorageError::Unavailable))
    }

    pub(super) fn entry(&self, index: u64) -> raft::Result<Entry> {
        let other = |error: LogError| RaftError::Store(StorageError::Other(Box::new(error)));
        if let Some(first) = self.recent.front().map(|e| e.index)
            && index >= first
            && let Some(entry) = self.recent.get((index - first) as usize)
        {
            return Ok(entry.clone());
        }
        let stored = self
            .disk
            .rows
            .get(entry_key(index))
            .map_err(|e| other(e.into()))?;
        match stored {
            Some(bytes) => message_of(&bytes).map_err(other),
            None => Err(RaftError::Store(StorageError::Unavailable)),
        }
    }
}

impl Storage for RaftLog {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState {
            hard_state: self.hard_state.clone(),
            conf_state: self.membership.state.clone(),
        })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.snapshot.index {
            return Err(RaftError::Store(StorageError::Compacted));
        }
        let limit = max_size.into().unwrap_or(u64::MAX);
        let mut entries = Vec::new();
        let mut bytes = 0;
        for index in low..high {
            let entry = self.entry(index)?;
            bytes += u64::from(entry.compute_size());
            if bytes > limit && !entries.is_empty() {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        self.stored_term(index)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.snapshot.index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    /// The newest snapshot, if it would do: raft-rs throws one away whose members do not
    /// include the receiver, so one taken before a newcomer was added must wait for the next.
    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let state = self.snapshot.get_conf_state();
        let knows = state.voters.contains(&to) || state.learners.contains(&to);
        if self.snapshot.index < request_index || !knows {
            self.wanted.set(true);
            return Err(RaftError::Store(
                StorageError::SnapshotTemporarilyUnavailable,
            ));
        }
        let mut snapshot = Snapshot::default();
        snapshot.set_metadata(self.snapshot.clone());
        Ok(snapshot)
    }
}
