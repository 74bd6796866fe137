//! Applying committed entries, in order. An entry this release must not pass stops
//! the node with its applied index below it; a restart meets it again.

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType};

use super::EngineError;
use super::driver::Driver;
use crate::bugs::{self, Bug};
use crate::encryption::{ApplyError, State};
use crate::entry::{self, Payload};
use crate::wire::Command;

/// What became of an entry.
#[derive(PartialEq, Eq)]
enum Step {
    Applied,
    /// Its values must be sealed, and this process is not registered yet: it and all behind
    /// it wait.
    Waits,
}

impl Driver {
    /// Applies what is committed, as far as it can be now.
    pub(super) fn apply_backlog(&mut self) -> Result<(), EngineError> {
        while let Some(entry) = self.backlog.pop_front() {
            match self.apply_entry(&entry)? {
                Step::Applied => self.applied = entry.index,
                Step::Waits => {
                    self.backlog.push_front(entry);
                    break;
                }
            }
        }
        Ok(())
    }

    fn apply_entry(&mut self, entry: &Entry) -> Result<Step, EngineError> {
        match entry.get_entry_type() {
            EntryType::EntryNormal if entry.data.is_empty() => self.fsm.skip(entry.index)?,
            EntryType::EntryNormal => return self.apply_payload(entry),
            EntryType::EntryConfChange => self.apply_change(entry)?,
            EntryType::EntryConfChangeV2 => {
                return Err(halt(entry.index, "joint membership change".to_owned()));
            }
        }
        Ok(Step::Applied)
    }

    fn apply_payload(&mut self, entry: &Entry) -> Result<Step, EngineError> {
        let opened = self.open(&self.fsm.keys(), entry);
        let (id, payload) = match opened {
            Ok(opened) => opened,
            Err(reason) => return self.cannot_apply(entry.index, reason),
        };
        match payload {
            Payload::Command(_) if self.fsm.waits_for_registration() => return Ok(Step::Waits),
            Payload::Command(command) => self.apply_command(id, entry.index, &command)?,
            Payload::Keys(keys) => match self.fsm.apply_keys(entry.index, &keys) {
                Ok(()) => self.proposals.keys_applied(id, entry.index),
                Err(ApplyError::Halt(reason)) => return self.cannot_apply(entry.index, reason),
                Err(ApplyError::Fsm(error)) => return Err(error.into()),
            },
        }
        Ok(Step::Applied)
    }

    fn apply_command(&mut self, id: u64, index: u64, command: &Command) -> Result<(), EngineError> {
        if bugs::on(Bug::FollowerDropsWrites) && !self.is_leader() && index.is_multiple_of(50) {
            return Ok(self.fsm.skip(index)?);
        }
        let reply = self.fsm.apply(index, command)?;
        self.proposals.applied(id, index, reply);
        Ok(())
    }

    /// An entry's proposal id and content, given the encryption state before it.
    pub(super) fn open(&self, state: &State, entry: &Entry) -> Result<(u64, Payload), String> {
        let (id, payload) = entry::unframe(&entry.data).map_err(|error| error.to_string())?;
        let cutover = state.raft_envelope_cutover_index;
        let sealed = self.encryption.seals_entries() && cutover != 0 && entry.index > cutover;
        let payload = if !sealed {
            payload
        } else {
            match self.encryption.open_payload(&payload) {
                Ok(opened) => Bytes::from(opened),
                Err(_) if bugs::on(Bug::CleartextAboveCutover) && payload[0] == 0 => payload,
                Err(_) if bugs::on(Bug::CutoverEntrySealed) => payload,
                Err(error) => {
                    return Err(format!(
                        "ErrRaftUnwrapFailed: raft envelope unwrap failed; halting apply: {error}"
                    ));
                }
            }
        };
        let parsed = entry::parse(&payload).map_err(|error| error.to_string())?;
        Ok((id, parsed))
    }

    fn cannot_apply(&mut self, index: u64, reason: String) -> Result<Step, EngineError> {
        if bugs::on(Bug::HaltSkips) {
            self.fsm.skip(index)?;
            return Ok(Step::Applied);
        }
        if bugs::on(Bug::HaltAdvances) {
            self.fsm.skip(index)?;
        }
        Err(halt(index, reason))
    }
}

/// Fails closed, with the words a person will look for in the log.
pub(super) fn halt(index: u64, reason: String) -> EngineError {
    tracing::error!(
        entry_index = index,
        err = %reason,
        "encryption FSM apply requested halt; not advancing setApplied"
    );
    EngineError::Halt { index, reason }
}
