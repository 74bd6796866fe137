//! One node's side of encryption: its KEK, its sidecar, the keys it holds, the epochs of
//! this process, and under which keys it may seal. Shared by all threads.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::KeyInit;
use thiserror::Error;

use super::envelope::{self, EnvelopeError, nonce};
use super::kek::{Dek, Kek, KekError, UnwrapError};
use super::payload::Purpose;
use super::registry::{self, Slot, Writer};
use super::sidecar::{Epochs, Sidecar, SidecarError};
use super::state::State;
use crate::bugs::{self, Bug};
use crate::flags::Flags;
use crate::peers;
use crate::release::Release;

/// Why a replicated state could not become this node's.
#[derive(Debug, Error)]
pub enum AdoptError {
    /// This node can't hold keys: HaltApply.
    #[error("{0}")]
    CannotHold(String),
    /// The sidecar could not be written.
    #[error(transparent)]
    Sidecar(#[from] SidecarError),
}

/// What this process knows and may do.
struct Live {
    sidecar: Option<Sidecar>,
    keys: HashMap<u32, (Purpose, Aes256Gcm)>,
    epochs: Epochs,
    /// Keys under which this process' row is committed, in the order it was.
    registered: Vec<u32>,
}

/// One node's encryption.
pub struct Encryption {
    release: Release,
    full_node_id: u64,
    enabled: bool,
    kek: Option<Kek>,
    path: Option<PathBuf>,
    live: RwLock<Live>,
    storage_count: AtomicU64,
    raft_count: AtomicU64,
    rotation_pending: AtomicBool,
}

impl Encryption {
    /// What the flags make of a node; reads the KEK file and nothing else.
    ///
    /// # Errors
    /// A KEK file that can't be used.
    pub fn new(flags: &Flags) -> Result<Self, KekError> {
        let kek = match flags.kek_file.as_str() {
            // Releases before 6B take the flag and do not look at it.
            "" => None,
            _ if flags.release < Release::Stage6B => None,
            file => Some(Kek::load(Path::new(file))?),
        };
        let path = &flags.encryption_sidecar_path;
        Ok(Self {
            release: flags.release,
            full_node_id: peers::raft_id(&flags.raft_id),
            enabled: flags.encryption_enabled,
            kek,
            path: (!path.is_empty()).then(|| PathBuf::from(path)),
            live: RwLock::new(Live {
                sidecar: None,
                keys: HashMap::new(),
                epochs: Epochs::default(),
                registered: Vec::new(),
            }),
            storage_count: AtomicU64::new(0),
            raft_count: AtomicU64::new(0),
            rotation_pending: AtomicBool::new(false),
        })
    }

    fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn live_mut(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The release this process behaves as.
    pub fn release(&self) -> Release {
        self.release
    }

    /// FNV-1a 64 of this node's raft id.
    pub fn full_node_id(&self) -> u64 {
        self.full_node_id
    }

    /// Whether `--encryption-enabled` is set.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// The KEK, if there is one.
    pub fn kek(&self) -> Option<&Kek> {
        self.kek.as_ref()
    }

    /// Where the sidecar lies, if the flags say so.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether mutators may go on: flag, KEK and sidecar path, on a release that can propose.
    pub fn may_mutate(&self) -> bool {
        if self.release == Release::Stage6A && bugs::on(Bug::InertProposes) {
            return true;
        }
        let flag = self.enabled || bugs::on(Bug::GateTwoOfThree);
        self.release >= Release::Stage6B && flag && self.kek.is_some() && self.path.is_some()
    }

    /// Whether this member can take part in a cutover.
    pub fn is_capable(&self) -> bool {
        self.release >= Release::Stage6D
            && self.enabled
            && self.kek.is_some()
            && self.path.is_some()
    }

    /// Whether the rotation that a start asked for is under way.
    pub fn rotation_pending(&self) -> bool {
        self.rotation_pending.load(Ordering::Acquire)
    }

    /// Says that the rotation that a start asked for begins or has ended.
    pub fn set_rotation_pending(&self, pending: bool) {
        self.rotation_pending.store(pending, Ordering::Release);
    }

    /// Whether keys can be applied here, or why not.
    ///
    /// # Errors
    /// The text to halt with.
    pub fn can_hold_keys(&self) -> Result<(), String> {
        if self.release < Release::Stage6B || self.kek.is_none() {
            return Err(
                "ErrKEKNotConfigured: KEK not configured on this node; cannot unwrap \
                 wrapped DEK material (--kekFile)"
                    .to_owned(),
            );
        }
        if self.path.is_none() {
            return Err("sidecar path is not configured on this node \
                 (--encryptionSidecarPath); keys would be lost"
                .to_owned());
        }
        Ok(())
    }

    /// Whether this release seals values.
    pub fn seals_values(&self) -> bool {
        self.release >= Release::Stage6D
    }

    /// `phase-one-turns-off`: the sidecar says that values are in the clear.
    pub fn forgot_phase_1(&self) -> bool {
        bugs::on(Bug::PhaseOneTurnsOff)
            && self
                .sidecar()
                .is_some_and(|sidecar| !sidecar.storage_envelope_active)
    }

    /// Whether this release seals log entries.
    pub fn seals_entries(&self) -> bool {
        self.release >= Release::Stage6E
    }

    /// Opens a wrapped key under this node's KEK.
    ///
    /// # Errors
    /// [`UnwrapError`]; also when there is no KEK.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<Dek, UnwrapError> {
        match &self.kek {
            Some(kek) => kek.unwrap(wrapped),
            None => Err(UnwrapError::DoesNotOpen),
        }
    }

    /// The sidecar as this process last wrote or read it.
    pub fn sidecar(&self) -> Option<Sidecar> {
        self.live().sidecar.clone()
    }

    /// The epochs of this process.
    pub fn epochs(&self) -> Epochs {
        self.live().epochs
    }

    /// Begins with what lies on disk, and the epochs this process will seal under.
    pub fn begin(&self, sidecar: Option<Sidecar>, epochs: Epochs) {
        let mut live = self.live_mut();
        live.epochs = epochs;
        if let Some(sidecar) = &sidecar {
            for (id, key) in &sidecar.keys {
                self.hold(&mut live, *id, key.purpose, &key.wrapped);
            }
        }
        live.sidecar = sidecar;
    }

    fn hold(&self, live: &mut Live, id: u32, purpose: Purpose, wrapped: &[u8]) {
        if live.keys.contains_key(&id) && !bugs::on(Bug::BootstrapReplacesKeys) {
            return;
        }
        match self.unwrap(wrapped) {
            Ok(dek) => {
                let cipher = Aes256Gcm::new(&(*dek).into());
                live.keys.insert(id, (purpose, cipher));
            }
            // The guards and the applier have the last word; here a key is just not held.
            Err(error) => tracing::warn!(key_id = id, "{error}"),
        }
    }

    /// Holds a key that the log speaks of, before its entry is applied.
    pub fn hold_early(&self, state: &State) {
        let mut live = self.live_mut();
        for key in &state.keys {
            self.hold(&mut live, key.id, key.purpose, &key.wrapped);
        }
    }

    /// Makes a newer replicated state this node's: the sidecar first, durably, then the keys.
    ///
    /// # Errors
    /// [`AdoptError`]; nothing changed then.
    pub fn adopt(&self, state: &State) -> Result<(), AdoptError> {
        if !state.is_bootstrapped() {
            return Ok(());
        }
        self.can_hold_keys().map_err(AdoptError::CannotHold)?;
        let mut live = self.live_mut();
        // A snapshot brings keys past the applier, which would have halted at one of these.
        for key in state
            .keys
            .iter()
            .filter(|key| !live.keys.contains_key(&key.id))
        {
            self.unwrap(&key.wrapped).map_err(|error| {
                AdoptError::CannotHold(format!("ErrKEKMismatch: {error} (key_id {})", key.id))
            })?;
        }
        let known = live.sidecar.as_ref().map_or(0, |s| s.raft_applied_index);
        if state.raft_applied_index > known
            && let Some(path) = self.path.clone()
        {
            let mut next = Sidecar::project(live.sidecar.as_ref(), state, live.epochs);
            if let Some(before) = &live.sidecar {
                self.keep_old_key(before, &mut next);
            }
            super::seeded::drop_old_keys(&mut next);
            super::seeded::write(&next, &path, known != 0)?;
            live.sidecar = Some(next);
        }
        for key in &state.keys {
            self.hold(&mut live, key.id, key.purpose, &key.wrapped);
        }
        Ok(())
    }

    /// `follower-keeps-old-key`, on every node whose full id is even.
    fn keep_old_key(&self, before: &Sidecar, next: &mut Sidecar) {
        if bugs::on(Bug::FollowerKeepsOldKey)
            && before.active.storage != 0
            && self.full_node_id & 1 == 0
        {
            next.active.storage = before.active.storage;
        }
    }

    /// Notes a committed registry row: if it is this process' own, it may seal under it.
    pub fn note_row(&self, slot: Slot, writer: Writer) {
        if writer.full_node_id != self.full_node_id {
            return;
        }
        let mut live = self.live_mut();
        let purpose = live.keys.get(&slot.dek_id).map(|(purpose, _)| *purpose);
        if purpose.is_some_and(|purpose| live.epochs.of(purpose) == writer.last_seen) {
            mark(&mut live, slot.dek_id);
        }
    }

    /// Notes that this process' row under a key is committed.
    pub fn mark_registered(&self, dek_id: u32) {
        mark(&mut self.live_mut(), dek_id);
    }

    /// Whether this process may seal under a key.
    pub fn is_registered(&self, dek_id: u32) -> bool {
        self.live().registered.contains(&dek_id)
    }

    /// The active keys under which this process is not registered yet, with its epoch.
    pub fn missing_registrations(&self) -> Vec<(u32, u16)> {
        if !self.seals_values() || !self.enabled {
            return Vec::new();
        }
        let live = self.live();
        let Some(sidecar) = &live.sidecar else {
            return Vec::new();
        };
        [Purpose::Raft, Purpose::Storage]
            .into_iter()
            .map(|purpose| (sidecar.active.of(purpose), live.epochs.of(purpose)))
            .filter(|(id, _)| *id != 0 && !live.registered.contains(id))
            .collect()
    }

    /// The storage key to seal under: the active one as soon as this process is registered
    /// under it, until then the last one it is registered under.
    pub fn storage_key(&self) -> Option<u32> {
        let live = self.live();
        let active = live.sidecar.as_ref()?.active.storage;
        if live.registered.contains(&active) {
            return Some(active);
        }
        let storage = |id: &&u32| {
            live.keys
                .get(id)
                .is_some_and(|(purpose, _)| *purpose == Purpose::Storage)
        };
        live.registered.iter().rev().find(storage).copied()
    }

    fn next(&self, counter: &AtomicU64) -> Result<u64, EnvelopeError> {
        match counter.fetch_add(1, Ordering::Relaxed) {
            u64::MAX => Err(EnvelopeError::Exhausted),
            count => Ok(count + 1),
        }
    }

    /// Seals a value for its row.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn seal_value(
        &self,
        header: &[u8],
        row_key: &[u8],
        body: &[u8],
    ) -> Result<Vec<u8>, EnvelopeError> {
        let key_id = self.storage_key().ok_or(EnvelopeError::NotRegistered)?;
        let count = super::seeded::storage_count(self.next(&self.storage_count)?);
        let live = self.live();
        let cipher = super::seeded::storage_cipher(&live.keys, key_id);
        let (_, cipher) = cipher.ok_or(EnvelopeError::UnknownKey(key_id))?;
        let node_id = super::seeded::node_id(registry::node_id(self.full_node_id));
        let nonce = super::seeded::nonce(nonce(node_id, live.epochs.storage, count));
        let aad = envelope::storage_aad(key_id, header, super::seeded::bound_key(row_key));
        envelope::seal(cipher, key_id, nonce, &aad, body)
    }

    /// Opens a value that lies in a row.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn open_value(
        &self,
        header: &[u8],
        row_key: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, EnvelopeError> {
        if !self.seals_values() {
            return Err(EnvelopeError::NoCipher);
        }
        let key_id = envelope::key_id(sealed)?;
        let live = self.live();
        let Some((Purpose::Storage, cipher)) = live.keys.get(&key_id) else {
            return Err(EnvelopeError::UnknownKey(key_id));
        };
        let aad = envelope::storage_aad(key_id, header, super::seeded::bound_key(row_key));
        let opened = envelope::open(cipher, sealed, &aad);
        super::seeded::open_under_any(&live.keys, sealed, &aad, opened)
    }

    /// Seals a proposal's payload under the raft key `key_id`.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn seal_payload(&self, key_id: u32, payload: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        let count = self.next(&self.raft_count)?;
        let live = self.live();
        let Some((Purpose::Raft, cipher)) = live.keys.get(&key_id) else {
            return Err(EnvelopeError::UnknownKey(key_id));
        };
        let nonce = nonce(
            registry::node_id(self.full_node_id),
            live.epochs.raft,
            count,
        );
        envelope::seal(cipher, key_id, nonce, &envelope::raft_aad(key_id), payload)
    }

    /// Opens a payload of the log.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn open_payload(&self, sealed: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        let key_id = envelope::key_id(sealed)?;
        let live = self.live();
        let Some((Purpose::Raft, cipher)) = live.keys.get(&key_id) else {
            return Err(EnvelopeError::UnknownKey(key_id));
        };
        envelope::open(cipher, sealed, &envelope::raft_aad(key_id))
    }
}

fn mark(live: &mut Live, dek_id: u32) {
    if !live.registered.contains(&dek_id) {
        live.registered.push(dek_id);
    }
}
