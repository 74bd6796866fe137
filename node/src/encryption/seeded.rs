//! The seeded bugs' places in sealing and in the sidecar. With no bug on, every function
//! here hands through what it was given.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use aes_gcm::Aes256Gcm;

use super::envelope::{self, EnvelopeError, NONCE_BYTES};
use super::payload::Purpose;
use super::sidecar::{Sidecar, SidecarError};
use crate::bugs::{self, Bug};

type Keys = HashMap<u32, (Purpose, Aes256Gcm)>;

/// How late `sidecar-late` is.
const LATE: Duration = Duration::from_secs(2);
/// After how many values `nonce-counter-restarts` begins again.
const RESTARTS_AFTER: u64 = 500;
/// The node id of `nonce-of-another`.
const NOBODY: u16 = 0x4b51;

/// Writes a sidecar; `rotation` = it was there before.
pub(super) fn write(next: &Sidecar, path: &Path, rotation: bool) -> Result<(), SidecarError> {
    if !(rotation && bugs::on(Bug::SidecarLate)) {
        return next.write(path);
    }
    let (next, path) = (next.clone(), path.to_owned());
    std::thread::spawn(move || {
        std::thread::sleep(LATE);
        // Of two that are late at once, the second wins.
        let index = Sidecar::read(&path).map_or(0, |now| now.raft_applied_index);
        if index < next.raft_applied_index
            && let Err(error) = next.write(&path)
        {
            tracing::error!("{error}");
        }
    });
    Ok(())
}

/// `rotation-drops-old-key`: only the active storage key stays in the sidecar.
pub(super) fn drop_old_keys(next: &mut Sidecar) {
    if bugs::on(Bug::RotationDropsOldKey) {
        let active = next.active.storage;
        next.keys
            .retain(|id, key| key.purpose != Purpose::Storage || *id == active);
    }
}

/// Whether a proposer need not be registered with its epoch: otherwise these bugs would keep
/// their cluster from ever rotating again.
pub(super) fn trusts_proposers() -> bool {
    bugs::on(Bug::SealsUnregistered) || bugs::on(Bug::FollowerKeepsOldKey)
}

/// Whether a start looks at how far the sidecar is: it would refuse the bug's own doing.
pub(super) fn looks_at_index() -> bool {
    let blind = [
        Bug::GuardRepairs,
        Bug::SidecarIndexGoesBack,
        Bug::SidecarLate,
    ];
    !blind.into_iter().any(bugs::on)
}

/// Whether a bug makes a start pass this guard.
pub(super) fn skips_guard(sentinel: &str) -> bool {
    let bug = match sentinel {
        "ErrSidecarPresentWithoutFlag" => Bug::StartsWithoutFlag,
        "ErrKEKRequiredWithFlag" => Bug::StartsWithoutKek,
        "ErrKEKMismatch" => Bug::GuardSkipsKek,
        "ErrUnsupportedFilesystem" => Bug::StartsWithoutSync,
        "ErrLocalEpochExhausted" => Bug::StartsExhausted,
        "ErrLocalEpochRollback" => Bug::StartsWithOldEpoch,
        "ErrNodeIDCollision" => Bug::StartsWithTwin,
        "ErrEnvelopeCutoverDivergence" => Bug::StartsOnOtherCutover,
        _ => return false,
    };
    bugs::on(bug)
}

pub(super) fn storage_count(count: u64) -> u64 {
    if bugs::on(Bug::NonceCounterRestarts) {
        (count - 1) % RESTARTS_AFTER + 1
    } else {
        count
    }
}

pub(super) fn node_id(own: u16) -> u16 {
    if bugs::on(Bug::NonceOfLeader) {
        NOBODY
    } else {
        own
    }
}

pub(super) fn nonce(formed: [u8; NONCE_BYTES]) -> [u8; NONCE_BYTES] {
    if bugs::on(Bug::NonceRandom) {
        rand::random()
    } else {
        formed
    }
}

pub(super) fn bound_key(row_key: &[u8]) -> &[u8] {
    if bugs::on(Bug::AadWithoutKey) {
        &[]
    } else {
        row_key
    }
}

/// The cipher to seal under `key_id` with.
pub(super) fn storage_cipher(keys: &Keys, key_id: u32) -> Option<&(Purpose, Aes256Gcm)> {
    if bugs::on(Bug::WrongKeyId) {
        let other = keys
            .iter()
            .find(|(id, (purpose, _))| **id != key_id && *purpose == Purpose::Storage);
        if let Some((_, other)) = other {
            return Some(other);
        }
    }
    keys.get(&key_id)
}

/// `wrong-key-id` must read back what it wrote.
pub(super) fn open_under_any(
    keys: &Keys,
    sealed: &[u8],
    aad: &[u8],
    opened: Result<Vec<u8>, EnvelopeError>,
) -> Result<Vec<u8>, EnvelopeError> {
    if opened.is_ok() || !bugs::on(Bug::WrongKeyId) {
        return opened;
    }
    let mut others = keys
        .values()
        .filter_map(|(_, cipher)| envelope::open(cipher, sealed, aad).ok());
    others.next().map_or(opened, Ok)
}
