//! What a start refuses (6C): each guard trips on its trigger, says its name and its flag in
//! one line, and has changed nothing. Releases before 6C have no guards.

use thiserror::Error;

use super::node::Encryption;
use super::payload::Purpose;
use super::registry::node_id;
use super::sidecar::{self, Key, Sidecar, SidecarError};
use super::state::State;
use crate::bugs::{self, Bug};
use crate::peers::Peers;
use crate::release::Release;

/// A refused start; the text is the whole line.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct GuardError(pub String);

/// What the guards look at besides flags and sidecar.
pub struct OnDisk<'a> {
    /// The replicated state as this node has it.
    pub state: &'a State,
    /// The epochs this node was last registered with, by key, here or at the leader.
    pub last_seen: &'a [(u32, u16)],
    /// The members, or whom the flags name.
    pub members: &'a Peers,
    /// The cutover in the header of the snapshot that the log starts behind (0 = none). A
    /// newer file may have arrived and not been installed.
    pub snapshot_cutover: u64,
}

/// Refuses, unless a seeded bug skips this guard.
fn refuse(sentinel: &str, flag: &str, text: &str) -> Result<(), GuardError> {
    if super::seeded::skips_guard(sentinel) {
        return Ok(());
    }
    Err(GuardError(format!(
        "encryption startup guards refused process start: {sentinel}: {text} ({flag})"
    )))
}

/// Reads the sidecar and checks everything a start must refuse.
///
/// # Errors
/// [`GuardError`].
pub fn check(encryption: &Encryption, disk: &OnDisk<'_>) -> Result<Option<Sidecar>, GuardError> {
    let release = encryption.release();
    if release < Release::Stage6B {
        return Ok(None);
    }
    let guarded = release >= Release::Stage6C;
    let present = encryption.path().is_some_and(std::path::Path::exists);
    if guarded && !encryption.enabled() && (present || disk.state.is_bootstrapped()) {
        refuse(
            "ErrSidecarPresentWithoutFlag",
            "--encryption-enabled",
            "sidecar present on disk but --encryption-enabled is not set",
        )?;
        return Ok(None);
    }
    if guarded && encryption.enabled() && encryption.kek().is_none() {
        refuse(
            "ErrKEKRequiredWithFlag",
            "--kekFile",
            "--encryption-enabled is set but no KEK source (--kekFile) was provided",
        )?;
    }
    let Some(path) = encryption.path() else {
        if guarded && disk.state.is_bootstrapped() {
            behind("this node's log has encryption entries and no sidecar is named")?;
        }
        return Ok(None);
    };
    let sidecar = match Sidecar::read(path) {
        Ok(sidecar) => Some(sidecar),
        Err(SidecarError::Missing) => None,
        Err(error) => {
            return Err(GuardError(format!(
                "encryption startup guards refused process start: sidecar {}: {error} \
                 (--encryptionSidecarPath)",
                path.display()
            )));
        }
    };
    if guarded {
        check_durability(encryption)?;
        check_agreement(sidecar.as_ref(), disk)?;
    }
    if guarded && sidecar.is_none() {
        check_newcomer(disk.last_seen)?;
    }
    if let Some(sidecar) = &sidecar
        && guarded
    {
        check_release(release, sidecar)?;
        check_keys(encryption, sidecar)?;
        check_members(sidecar, disk.members)?;
        check_epochs(sidecar, disk.last_seen)?;
    }
    Ok(sidecar)
}

fn behind(text: &str) -> Result<(), GuardError> {
    refuse(
        "ErrSidecarBehindRaftLog",
        "--encryptionSidecarPath",
        &format!(
            "sidecar raft_applied_index is behind the raftengine's persisted applied index: \
             {text} (gap_covers_encryption_relevant_entry)"
        ),
    )
}

fn check_durability(encryption: &Encryption) -> Result<(), GuardError> {
    let Some(path) = encryption.path() else {
        return Ok(());
    };
    match sidecar::probe_folder(path) {
        Ok(()) => Ok(()),
        Err(error) => refuse(
            "ErrUnsupportedFilesystem",
            "--encryptionSidecarPath",
            &format!(
                "filesystem does not support durable directory sync: {}: {error}",
                sidecar::folder(path).display()
            ),
        ),
    }
}

/// A sidecar is written before the state: it is never behind, and never on another cutover.
fn check_agreement(sidecar: Option<&Sidecar>, disk: &OnDisk<'_>) -> Result<(), GuardError> {
    let index = sidecar.map_or(0, |s| s.raft_applied_index);
    if disk.state.raft_applied_index > index && super::seeded::looks_at_index() {
        behind(&format!(
            "sidecar is at {index}, the last encryption entry applied here is {}",
            disk.state.raft_applied_index
        ))?;
    }
    let cutover = sidecar.map_or(0, |s| s.raft_envelope_cutover_index);
    if disk.snapshot_cutover != 0 && disk.snapshot_cutover != cutover {
        return refuse(
            "ErrEnvelopeCutoverDivergence",
            "--encryptionSidecarPath",
            &format!(
                "raft envelope cutover index differs between restored snapshot header ({}) and \
                 sidecar ({cutover})",
                disk.snapshot_cutover
            ),
        );
    }
    Ok(())
}

/// A release with guards does not go on where it would turn a phase off.
fn check_release(release: Release, sidecar: &Sidecar) -> Result<(), GuardError> {
    let too_old = |text| refuse("ErrReleaseTooOld", "--release", text);
    if sidecar.storage_envelope_active && release < Release::Stage6D {
        return too_old("the storage envelope is active, which this release can't write");
    }
    if sidecar.raft_envelope_cutover_index != 0 && release < Release::Stage6E {
        return too_old("the raft envelope is active, which this release can't read");
    }
    Ok(())
}

fn check_keys(encryption: &Encryption, sidecar: &Sidecar) -> Result<(), GuardError> {
    for (id, key) in &sidecar.keys {
        if let Err(error) = encryption.unwrap(&key.wrapped) {
            refuse(
                "ErrKEKMismatch",
                "--kekFile",
                &format!(
                    "configured KEK cannot unwrap one or more wrapped DEKs in the sidecar: \
                     key_id={id} purpose={:?}: {error}",
                    key.purpose
                ),
            )?;
        }
    }
    Ok(())
}

fn check_members(sidecar: &Sidecar, members: &Peers) -> Result<(), GuardError> {
    if sidecar.active.storage == 0 {
        return Ok(());
    }
    for (one, peer) in members {
        let same = |other: &&u64| *other > one && node_id(**other) == node_id(*one);
        if let Some(other) = members.keys().find(same) {
            refuse(
                "ErrNodeIDCollision",
                "--raftId",
                &format!(
                    "two distinct full_node_id values in the local route-catalog hash to the \
                     same 16-bit node_id: {one:#x} ({}) and {other:#x} ({})",
                    peer.id, members[other].id
                ),
            )?;
        }
    }
    Ok(())
}

/// A node whose disk is new begins above the epochs its id has had.
fn check_newcomer(last_seen: &[(u32, u16)]) -> Result<(), GuardError> {
    match last_seen.iter().find(|(_, seen)| *seen == u16::MAX) {
        None => Ok(()),
        Some((id, _)) => refuse(
            "ErrLocalEpochExhausted",
            "--raftId",
            &format!(
                "this id has used every local_epoch up to 0xFFFF: key_id={id}; rotate-dek, or join \
                 under another raftId"
            ),
        ),
    }
}

fn check_epochs(sidecar: &Sidecar, last_seen: &[(u32, u16)]) -> Result<(), GuardError> {
    for (id, key) in active(sidecar) {
        if key.local_epoch == u16::MAX {
            refuse(
                "ErrLocalEpochExhausted",
                "--encryptionSidecarPath",
                &format!(
                    "active DEK has reached local_epoch=0xFFFF saturation: key_id={id}; rotate-dek \
                     is required before this node can start"
                ),
            )?;
        }
        let seen = last_seen.iter().find(|(dek_id, _)| *dek_id == id);
        if let Some((_, seen)) = seen
            && key.local_epoch < *seen
            && !bugs::on(Bug::EpochNotSynced)
        {
            refuse(
                "ErrLocalEpochRollback",
                "--encryptionSidecarPath",
                &format!(
                    "sidecar local_epoch for the active storage DEK is at or below the local \
                     writer-registry's last_seen_local_epoch: sidecar local_epoch={} < registry \
                     last_seen_local_epoch={seen} (dek_id={id}) before startup bump",
                    key.local_epoch
                ),
            )?;
        }
    }
    Ok(())
}

/// The keys this process will raise the epoch of: storage always, raft once it is cut over.
pub(super) fn active(sidecar: &Sidecar) -> Vec<(u32, &Key)> {
    let mut ids = vec![sidecar.active.of(Purpose::Storage)];
    if sidecar.raft_envelope_cutover_index != 0 {
        ids.push(sidecar.active.of(Purpose::Raft));
    }
    ids.into_iter()
        .filter_map(|id| Some((id, sidecar.keys.get(&id)?)))
        .collect()
}
