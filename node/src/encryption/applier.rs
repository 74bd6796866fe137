//! What an encryption entry does, decided from the replicated state alone, so that every
//! replica decides alike. Whatever can't be applied here halts the node at that entry.

use thiserror::Error;

use super::node::Encryption;
use super::payload::{KeyEntry, Purpose, WriterRow};
use super::registry::{self, Registration, Slot, Writer};
use super::state::{KnownKey, State};
use crate::bugs::{self, Bug};
use crate::fsm::FsmError;

/// What an entry changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The new state, if it changes.
    pub state: Option<State>,
    /// New registry rows.
    pub rows: Vec<(Slot, Writer)>,
}

/// Why an entry was not applied.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// It must not be passed: HaltApply, with the sentinel's name.
    #[error("{0}")]
    Halt(String),
    /// The state could not be read.
    #[error(transparent)]
    Fsm(#[from] FsmError),
}

fn halt<T>(text: impl Into<String>) -> Result<T, ApplyError> {
    Err(ApplyError::Halt(text.into()))
}

/// Applies an entry to `state`; `writer` looks registry rows up.
///
/// # Errors
/// [`ApplyError`].
pub fn apply(
    encryption: &Encryption,
    state: &State,
    writer: impl Fn(Slot) -> Result<Option<Writer>, FsmError>,
    entry: &KeyEntry,
    index: u64,
) -> Result<Change, ApplyError> {
    knows(encryption, entry)?;
    let mut change = Change::default();
    match entry {
        KeyEntry::Register(row) => {
            register_once(&mut change, &writer, row)?;
        }
        KeyEntry::Bootstrap {
            storage,
            raft,
            rows,
        } => {
            let keys = first_keys(storage, raft);
            if state.is_bootstrapped() && !bugs::on(Bug::BootstrapReplacesKeys) {
                if state.keys.starts_with(&keys) {
                    return Ok(change);
                }
                return halt("cluster already bootstrapped with other keys; cannot re-bootstrap");
            }
            for key in &keys {
                unwraps(encryption, key)?;
            }
            for row in rows {
                merge(&mut change, &writer, row)?;
            }
            let mut next = state.clone();
            next.active.storage = storage.0;
            next.active.raft = raft.0;
            next.keys = keys;
            change.state = Some(next);
        }
        KeyEntry::Rotate {
            purpose,
            wrapped,
            row,
        } => {
            let key = KnownKey {
                id: row.dek_id,
                purpose: *purpose,
                wrapped: wrapped.clone(),
            };
            match state.key(key.id) {
                // A late duplicate: no active id goes back.
                Some(known) if *known == key => return Ok(change),
                Some(_) => return halt("key_id already loaded with different key material"),
                None => {}
            }
            unwraps(encryption, &key)?;
            merge(&mut change, &writer, row)?;
            change.state = Some(rotated(state, key));
        }
        KeyEntry::EnableStorage { row } => {
            if state.storage_envelope_active || row.dek_id != state.active.storage {
                return Ok(change);
            }
            merge(&mut change, &writer, row)?;
            let mut next = state.clone();
            next.storage_envelope_active = true;
            next.storage_envelope_cutover_index = index;
            change.state = Some(next);
        }
        KeyEntry::EnableRaft { row } => {
            let again = state.raft_envelope_cutover_index != 0 && !bugs::on(Bug::CutoverMoves);
            if again || row.dek_id != state.active.raft {
                return Ok(change);
            }
            merge(&mut change, &writer, row)?;
            let mut next = state.clone();
            next.raft_envelope_cutover_index = index - u64::from(bugs::on(Bug::CutoverEntrySealed));
            change.state = Some(next);
        }
    }
    if let Some(next) = &mut change.state {
        next.raft_applied_index = index;
    }
    Ok(change)
}

/// Both keys of a bootstrap.
pub(super) fn first_keys(
    storage: &(u32, bytes::Bytes),
    raft: &(u32, bytes::Bytes),
) -> Vec<KnownKey> {
    let key = |(id, wrapped): &(u32, bytes::Bytes), purpose| KnownKey {
        id: *id,
        purpose,
        wrapped: wrapped.clone(),
    };
    vec![key(storage, Purpose::Storage), key(raft, Purpose::Raft)]
}

fn rotated(state: &State, key: KnownKey) -> State {
    let mut next = state.clone();
    let slot = match key.purpose {
        Purpose::Storage => &mut next.active.storage,
        Purpose::Raft => &mut next.active.raft,
    };
    *slot = key.id;
    next.keys.push(key);
    next
}

/// A release halts at what it does not know, and without a KEK at every key.
fn knows(encryption: &Encryption, entry: &KeyEntry) -> Result<(), ApplyError> {
    let release = encryption.release();
    let stage = entry.stage();
    if !matches!(entry, KeyEntry::Register(_)) && release >= crate::release::Release::Stage6A {
        encryption.can_hold_keys().or_else(halt)?;
    }
    if release < stage {
        return halt(format!("entry is of release {stage}, this is {release}"));
    }
    Ok(())
}

fn unwraps(encryption: &Encryption, key: &KnownKey) -> Result<(), ApplyError> {
    encryption
        .unwrap(&key.wrapped)
        .map(drop)
        .or_else(|error| halt(format!("ErrKEKMismatch: {error} (key_id {})", key.id)))
}

/// `0x03` is final: a row that is not new or greater halts.
fn register_once(
    change: &mut Change,
    writer: &impl Fn(Slot) -> Result<Option<Writer>, FsmError>,
    row: &WriterRow,
) -> Result<(), ApplyError> {
    let slot = Slot::of(row);
    match registry::register(writer(slot)?, row) {
        Registration::Insert(new) | Registration::Advance(new) => {
            change.rows.push((slot, new));
            Ok(())
        }
        Registration::Same => halt(format!(
            "ErrLocalEpochRollback: writer-registry local_epoch {} is registered already",
            row.local_epoch
        )),
        Registration::Behind(known) if bugs::on(Bug::RegistryTakesLower) => {
            let last_seen = row.local_epoch;
            change.rows.push((slot, Writer { last_seen, ..known }));
            Ok(())
        }
        Registration::Behind(known) => halt(behind(row, known)),
        Registration::Collision(known) => halt(collision(row, known)),
    }
}

/// A row that comes along with a key: the epoch already there is no news.
fn merge(
    change: &mut Change,
    writer: &impl Fn(Slot) -> Result<Option<Writer>, FsmError>,
    row: &WriterRow,
) -> Result<(), ApplyError> {
    let slot = Slot::of(row);
    let earlier = change.rows.iter().rev().find(|(known, _)| *known == slot);
    let before = match earlier {
        Some((_, writer)) => Some(*writer),
        None => writer(slot)?,
    };
    match registry::register(before, row) {
        Registration::Insert(new) | Registration::Advance(new) => change.rows.push((slot, new)),
        Registration::Same => {}
        Registration::Behind(known) => return halt(behind(row, known)),
        Registration::Collision(known) => return halt(collision(row, known)),
    }
    Ok(())
}

pub(super) fn behind(row: &WriterRow, known: Writer) -> String {
    format!(
        "ErrLocalEpochRollback: writer-registry local_epoch rollback: {} is below last_seen {} \
         (dek_id {}, full_node_id {:#x})",
        row.local_epoch, known.last_seen, row.dek_id, row.full_node_id
    )
}

pub(super) fn collision(row: &WriterRow, known: Writer) -> String {
    format!(
        "ErrNodeIDCollision: writer-registry uint16 collision: {:#x} and {:#x} have one 16-bit \
         node id; choose a different raftID",
        row.full_node_id, known.full_node_id
    )
}
