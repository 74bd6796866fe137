//! Applying committed entries, in order. An entry this release must not pass stops
//! the node with its applied index below it; a restart meets it again.

use raft::eraftpb::{Entry, EntryType};

use super::EngineError;
use super::driver::Driver;
use crate::entry::{self, Payload};

impl Driver {
    pub(super) fn apply_entry(&mut self, entry: &Entry) -> Result<(), EngineError> {
        match entry.get_entry_type() {
            EntryType::EntryNormal if entry.data.is_empty() => Ok(self.fsm.skip(entry.index)?),
            EntryType::EntryNormal => self.apply_command(entry),
            EntryType::EntryConfChange => self.apply_change(entry),
            EntryType::EntryConfChangeV2 => {
                Err(halt(entry.index, "joint membership change".to_owned()))
            }
        }
    }

    fn apply_command(&mut self, entry: &Entry) -> Result<(), EngineError> {
        let (id, payload) =
            entry::decode(&entry.data).map_err(|error| halt(entry.index, error.to_string()))?;
        match payload {
            Payload::Command(command) => {
                let reply = self.fsm.apply(entry.index, &command)?;
                self.proposals.applied(id, entry.index, reply);
                Ok(())
            }
            Payload::Reserved(opcode) => Err(halt(
                entry.index,
                format!("opcode 0x{opcode:02x} is of a later release"),
            )),
        }
    }
}

/// Fails closed, with the words a person will look for in the log.
fn halt(index: u64, reason: String) -> EngineError {
    tracing::error!(
        entry_index = index,
        err = %reason,
        "encryption FSM apply requested halt; not advancing setApplied"
    );
    EngineError::Halt { index, reason }
}
