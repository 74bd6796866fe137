//! What a leader refuses before it proposes: every request that no replica could apply,
//! and every late duplicate that would put something back. Nothing is proposed then.

use std::collections::BTreeMap;

use thiserror::Error;

use super::applier::{behind, collision, first_keys};
use super::node::Encryption;
use super::payload::{KeyEntry, WriterRow};
use super::registry::{self, Registration, Slot, Writer};
use super::state::State;
use crate::bugs::{self, Bug};
use crate::fsm::FsmError;
use crate::peers::Peers;

/// What is to be done with a request that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It goes into the log.
    Propose,
    /// It says what is so already; for a cutover, since which index.
    NoChange(Option<u64>),
}

/// Why a request is not proposed.
#[derive(Debug, Error)]
pub enum KeyRefusal {
    /// Refused by name; nothing was proposed.
    #[error("encryption: {0}")]
    Refused(String),
    /// The state could not be read.
    #[error(transparent)]
    Fsm(#[from] FsmError),
}

fn refuse<T>(text: impl Into<String>) -> Result<T, KeyRefusal> {
    Err(KeyRefusal::Refused(text.into()))
}

const NOT_BOOTSTRAPPED: &str = "ErrEncryptionNotBootstrapped: cluster is not bootstrapped: \
     cluster not bootstrapped (Active.Storage == 0) — call BootstrapEncryption first";

/// Looks a request over against the state at the end of the log.
///
/// # Errors
/// [`KeyRefusal`].
pub fn validate(
    encryption: &Encryption,
    state: &State,
    members: &Peers,
    writer: impl Fn(Slot) -> Result<Option<Writer>, FsmError>,
    entry: &KeyEntry,
) -> Result<Acceptance, KeyRefusal> {
    let bootstrap = matches!(entry, KeyEntry::Bootstrap { .. });
    if !bootstrap && !state.is_bootstrapped() && !bugs::on(Bug::InertProposes) {
        return refuse(NOT_BOOTSTRAPPED);
    }
    match entry {
        KeyEntry::Register(row) => {
            if state.key(row.dek_id).is_none() && !bugs::on(Bug::InertProposes) {
                return refuse(format!("dek_id {} is not known", row.dek_id));
            }
            check_colliding_member(members, row)?;
            match registry::register(writer(Slot::of(row))?, row) {
                Registration::Insert(_) | Registration::Advance(_) => Ok(Acceptance::Propose),
                Registration::Same => Ok(Acceptance::NoChange(None)),
                Registration::Behind(_) if bugs::on(Bug::RegistryTakesLower) => {
                    Ok(Acceptance::Propose)
                }
                Registration::Behind(known) => refuse(behind(row, known)),
                Registration::Collision(known) => refuse(collision(row, known)),
            }
        }
        KeyEntry::Bootstrap {
            storage,
            raft,
            rows,
        } => {
            let keys = first_keys(storage, raft);
            if state.is_bootstrapped() && !bugs::on(Bug::BootstrapReplacesKeys) {
                if state.keys.starts_with(&keys) {
                    return Ok(Acceptance::NoChange(None));
                }
                return refuse(
                    "cluster already bootstrapped with other keys; a second bootstrap never \
                     replaces keys",
                );
            }
            for key in &keys {
                check_wrapped(encryption, &key.wrapped)?;
            }
            check_batch(members, rows, &writer)
        }
        KeyEntry::Rotate {
            purpose,
            wrapped,
            row,
        } => {
            if let Some(known) = state.key(row.dek_id) {
                if known.purpose == *purpose && known.wrapped == *wrapped {
                    return Ok(Acceptance::NoChange(None));
                }
                return refuse(format!(
                    "key_id {} already loaded with different key material",
                    row.dek_id
                ));
            }
            check_wrapped(encryption, wrapped)?;
            let dek_id = state.active.of(*purpose);
            let active = WriterRow { dek_id, ..*row };
            // A release that seals nothing registers nobody under what another's rotation brought.
            if encryption.seals_values() || writer(Slot::of(&active))?.is_some() {
                check_proposer(members, &writer, &active)?;
            } else {
                check_member(members, &active)?;
            }
            Ok(Acceptance::Propose)
        }
        KeyEntry::EnableStorage { row } => {
            if state.storage_envelope_active {
                let index = state.storage_envelope_cutover_index;
                return Ok(Acceptance::NoChange(Some(index)));
            }
            check_cutover(state.active.storage, members, &writer, row)
        }
        KeyEntry::EnableRaft { row } => {
            let index = state.raft_envelope_cutover_index;
            if index != 0 && !bugs::on(Bug::CutoverMoves) {
                return Ok(Acceptance::NoChange(Some(index)));
            }
            check_cutover(state.active.raft, members, &writer, row)
        }
    }
}

fn check_wrapped(encryption: &Encryption, wrapped: &[u8]) -> Result<(), KeyRefusal> {
    match encryption.unwrap(wrapped) {
        Ok(_) => Ok(()),
        Err(error) => refuse(format!("ErrKEKMismatch: {error}")),
    }
}

fn check_colliding_member(members: &Peers, row: &WriterRow) -> Result<(), KeyRefusal> {
    let namesake = members.keys().find(|id| {
        **id != row.full_node_id && registry::node_id(**id) == registry::node_id(row.full_node_id)
    });
    match namesake {
        None => Ok(()),
        Some(&full_node_id) => refuse(collision(
            row,
            Writer {
                full_node_id,
                first_seen: 0,
                last_seen: 0,
            },
        )),
    }
}

/// A bootstrap's rows: every member is there, no two share 16 bits, none is behind.
fn check_batch(
    members: &Peers,
    rows: &[WriterRow],
    writer: &impl Fn(Slot) -> Result<Option<Writer>, FsmError>,
) -> Result<Acceptance, KeyRefusal> {
    let mut slots: BTreeMap<Slot, u64> = BTreeMap::new();
    for row in rows {
        check_colliding_member(members, row)?;
        let slot = Slot::of(row);
        if slots.insert(slot, row.full_node_id).is_some() {
            return refuse(format!(
                "ErrNodeIDCollision: writer_batch names the 16-bit node id {:#06x} twice",
                slot.node_id
            ));
        }
        match registry::register(writer(slot)?, row) {
            Registration::Behind(known) => return refuse(behind(row, known)),
            Registration::Collision(known) => return refuse(collision(row, known)),
            _ => {}
        }
        // No process has a later epoch before there are keys, and could register below it.
        if row.local_epoch != 0 {
            return refuse(format!(
                "writer_batch must have every member at local_epoch 0: {:#x} has {}",
                row.full_node_id, row.local_epoch
            ));
        }
    }
    for (id, peer) in members {
        if !rows.iter().any(|row| row.full_node_id == *id) {
            return refuse(format!(
                "writer_batch must have a row for every member; {} ({id:#x}) is missing",
                peer.id
            ));
        }
    }
    Ok(Acceptance::Propose)
}

fn check_cutover(
    active: u32,
    members: &Peers,
    writer: &impl Fn(Slot) -> Result<Option<Writer>, FsmError>,
    row: &WriterRow,
) -> Result<Acceptance, KeyRefusal> {
    if row.dek_id != active {
        return refuse("cutover proposal raced a RotateDEK; try again");
    }
    check_proposer(members, writer, row)?;
    // Whoever has no row could not seal its first value.
    for (id, peer) in members {
        let slot = Slot {
            dek_id: active,
            node_id: registry::node_id(*id),
        };
        if writer(slot)?.is_none() {
            return refuse(format!(
                "capability check refused cutover (not-registered member full_node_id={id} {})",
                peer.id
            ));
        }
    }
    Ok(Acceptance::Propose)
}

fn check_member(members: &Peers, row: &WriterRow) -> Result<(), KeyRefusal> {
    check_colliding_member(members, row)?;
    if !members.contains_key(&row.full_node_id) {
        return refuse(format!(
            "proposer_node_id {:#x} is not a member's",
            row.full_node_id
        ));
    }
    Ok(())
}

/// A proposer is a member, and names the epoch it is registered with.
fn check_proposer(
    members: &Peers,
    writer: &impl Fn(Slot) -> Result<Option<Writer>, FsmError>,
    row: &WriterRow,
) -> Result<(), KeyRefusal> {
    check_member(members, row)?;
    match writer(Slot::of(row))? {
        Some(known) if row.local_epoch < known.last_seen => refuse(behind(row, known)),
        _ if super::seeded::trusts_proposers() => Ok(()),
        None => refuse(format!(
            "proposer {:#x} is not registered yet under dek_id {}; try again",
            row.full_node_id, row.dek_id
        )),
        Some(known) if row.local_epoch > known.last_seen => refuse(format!(
            "proposer_local_epoch {} is not the proposer's: it is registered with {} under dek_id {}",
            row.local_epoch, known.last_seen, row.dek_id
        )),
        Some(_) => Ok(()),
    }
}
