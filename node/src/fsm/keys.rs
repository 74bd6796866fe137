//! The state machine's encryption rows: the replicated state, the writer registry, and the
//! entries that change them.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fjall::{Keyspace, Readable};

use super::{Fsm, FsmError, SnapshotError, rows};
use crate::bugs::{self, Bug};
use crate::encryption::{
    self, AdoptError, ApplyError, KeyEntry, STATE_KEY, Slot, State, Writer, node_id,
};

/// How far `state-before-sidecar` is apart.
const SIDECAR_LATER: Duration = Duration::from_millis(50);

fn parse(value: &[u8]) -> Result<State, FsmError> {
    serde_json::from_slice(value)
        .map_err(|error| FsmError::Row(format!("store: encryption state row: {error}")))
}

/// The encryption state's row; the default without one.
pub(super) fn read(rows: &Keyspace) -> Result<State, FsmError> {
    match rows.get(STATE_KEY)? {
        Some(value) => parse(&value),
        None => Ok(State::default()),
    }
}

impl Fsm {
    /// The replicated encryption state.
    pub fn keys(&self) -> Arc<State> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes the encryption rows as they are now: after a snapshot, and at a start.
    ///
    /// # Errors
    /// A failing disk or a mangled row.
    pub fn reload_keys(&self) -> Result<(), FsmError> {
        self.set_keys(read(&self.rows)?);
        let full_node_id = self.encryption.full_node_id();
        for key in &self.keys().keys {
            let slot = Slot {
                dek_id: key.id,
                node_id: node_id(full_node_id),
            };
            if let Some(writer) = self.writer(slot)? {
                self.encryption.note_row(slot, writer);
            }
        }
        Ok(())
    }

    fn set_keys(&self, state: State) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }

    /// Whether values written now are sealed.
    pub(super) fn seals(&self) -> bool {
        self.keys().storage_envelope_active
            && self.encryption.seals_values()
            && !self.encryption.forgot_phase_1()
    }

    /// Whether a value could not be written now: it must be sealed, and this process is not
    /// registered yet under any key.
    pub fn waits_for_registration(&self) -> bool {
        self.seals() && self.encryption.storage_key().is_none()
    }

    /// A registry row.
    ///
    /// # Errors
    /// A failing disk or a mangled row.
    pub fn writer(&self, slot: Slot) -> Result<Option<Writer>, FsmError> {
        match self.rows.get(slot.key())? {
            Some(value) => match Writer::decode(&value) {
                Some(writer) => Ok(Some(writer)),
                None => Err(FsmError::Row(
                    "store: writer registry row is not 12 bytes".to_owned(),
                )),
            },
            None => Ok(None),
        }
    }

    /// The epochs a node was last registered with, by key.
    ///
    /// # Errors
    /// As [`Fsm::writer`].
    pub fn last_seen(&self, full_node_id: u64) -> Result<Vec<(u32, u16)>, FsmError> {
        let mut seen = Vec::new();
        for key in &self.keys().keys {
            let slot = Slot {
                dek_id: key.id,
                node_id: node_id(full_node_id),
            };
            let writer = self.writer(slot)?;
            if let Some(writer) = writer.filter(|w| w.full_node_id == full_node_id) {
                seen.push((key.id, writer.last_seen));
            }
        }
        Ok(seen)
    }

    /// Applies an encryption entry: the sidecar first, durably, then the rows together with
    /// the applied index.
    ///
    /// # Errors
    /// [`ApplyError`]; the applied index has not moved then.
    pub fn apply_keys(&self, index: u64, entry: &KeyEntry) -> Result<(), ApplyError> {
        // A moment that can be waited for: what follows takes a few steps on the disk.
        tracing::info!(index, "applying an encryption entry");
        let state = self.keys();
        let writer = |slot| self.writer(slot);
        let change = encryption::apply(&self.encryption, &state, writer, entry, index)?;
        let sidecar_later =
            bugs::on(Bug::StateBeforeSidecar) && matches!(entry, KeyEntry::Rotate { .. });
        if let Some(next) = change.state.as_ref().filter(|_| !sidecar_later) {
            self.encryption.adopt(next).map_err(halt)?;
        }
        let mut batch = self.database.batch();
        for (slot, writer) in &change.rows {
            batch.insert(&self.rows, slot.key(), writer.encode());
        }
        if let Some(next) = &change.state {
            let row = serde_json::to_vec(next)
                .map_err(|error| FsmError::Row(format!("store: encryption state row: {error}")))?;
            batch.insert(&self.rows, STATE_KEY, row);
        }
        batch.insert(&self.rows, rows::META_APPLIED, index.to_le_bytes());
        batch.commit().map_err(FsmError::from)?;
        if let Some(next) = change.state.as_ref().filter(|_| sidecar_later) {
            std::thread::sleep(SIDECAR_LATER);
            self.encryption.adopt(next).map_err(halt)?;
        }
        if let Some(next) = change.state {
            self.set_keys(next);
        }
        for (slot, writer) in change.rows {
            self.encryption.note_row(slot, writer);
        }
        Ok(())
    }

    /// Before a snapshot another node sent is installed: its keys become this node's, durably.
    ///
    /// # Errors
    /// [`ApplyError::Halt`] when this node can't hold keys: nothing has changed then.
    pub fn adopt_snapshot(&self, index: u64) -> Result<(), ApplyError> {
        let mut file = self
            .files
            .read(index, self.encryption.seals_entries())
            .map_err(FsmError::from)?;
        // Rows come in the order of their keys.
        while let Some((key, value)) = file.next_row().map_err(FsmError::from)? {
            if key == STATE_KEY {
                return self.adopt_row(&value, file.cutover(), index);
            }
            if key.as_slice() > STATE_KEY {
                break;
            }
        }
        Ok(())
    }

    fn adopt_row(&self, value: &[u8], cutover: u64, index: u64) -> Result<(), ApplyError> {
        if self.encryption.release() == crate::release::Release::Stage5D {
            return Ok(());
        }
        let state = parse(value)?;
        let lost = bugs::on(Bug::SnapshotLosesCutover) || !self.encryption.seals_entries();
        if state.raft_envelope_cutover_index != cutover && !lost {
            return Err(ApplyError::Fsm(FsmError::Snapshot(
                SnapshotError::Damaged {
                    path: self.files.path(index),
                    what: "its header and its rows differ in the cutover index",
                },
            )));
        }
        self.encryption.adopt(&state).map_err(halt)
    }

    /// The cutover index that a snapshot of this moment carries in its header.
    pub(super) fn cutover_at(&self, moment: &fjall::Snapshot) -> Result<u64, FsmError> {
        if !self.encryption.seals_entries() || bugs::on(Bug::SnapshotLosesCutover) {
            return Ok(0);
        }
        match moment.get(&self.rows, STATE_KEY)? {
            Some(value) => Ok(parse(&value)?.raft_envelope_cutover_index),
            None => Ok(0),
        }
    }
}

fn halt(error: AdoptError) -> ApplyError {
    ApplyError::Halt(error.to_string())
}
