//! The key sidecar: the file that `--encryptionSidecarPath` names. JSON, owner-only, and
//! crash-durable: temporary, fsync, rename, fsync of the folder (§5.1).

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::payload::Purpose;
use super::state::{Active, State, from_base64, to_base64};
use crate::bugs::{self, Bug};
use crate::database;

/// The version this store writes; it reads 1 too.
const VERSION: u64 = 2;

/// Why a sidecar has no answer to give.
#[derive(Debug, Error)]
pub enum SidecarError {
    /// There is no such file.
    #[error("sidecar file is missing")]
    Missing,
    /// The file could not be read or written.
    #[error("sidecar {path}: {source}")]
    Disk {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a sidecar.
    #[error("encryption: parse sidecar: {0}")]
    Parse(String),
    /// A later release wrote it.
    #[error("unsupported sidecar version: got version {0}, want 1..2")]
    Version(u64),
}

/// A key as a sidecar has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// What it seals.
    pub purpose: Purpose,
    /// Its bytes, wrapped under the KEK.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub wrapped: Bytes,
    /// When this node learned it, RFC 3339.
    #[serde(default)]
    pub created: String,
    /// The epoch this node last sealed under with it.
    #[serde(default)]
    pub local_epoch: u16,
}

/// A sidecar's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sidecar {
    version: u64,
    /// Index of the last bootstrap or rotation-family entry in it.
    pub raft_applied_index: u64,
    /// Whether values are sealed.
    pub storage_envelope_active: bool,
    /// Index of the entry that made it so.
    #[serde(default)]
    pub storage_envelope_cutover_index: u64,
    /// Log index of the raft cutover; 0 before it.
    pub raft_envelope_cutover_index: u64,
    /// Keys in use.
    pub active: Active,
    /// Every key, by decimal id.
    #[serde(default)]
    pub keys: BTreeMap<u32, Key>,
}

impl Sidecar {
    /// Reads a sidecar, and refuses one that contradicts itself.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn read(path: &Path) -> Result<Self, SidecarError> {
        let text = fs::read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => SidecarError::Missing,
            _ => SidecarError::Disk {
                path: path.to_owned(),
                source,
            },
        })?;
        let parse = |error: serde_json::Error| SidecarError::Parse(error.to_string());
        #[derive(Deserialize)]
        struct Head {
            version: u64,
        }
        let head: Head = serde_json::from_slice(&text).map_err(parse)?;
        if !matches!(head.version, 1 | 2) {
            return Err(SidecarError::Version(head.version));
        }
        let sidecar: Self = serde_json::from_slice(&text).map_err(parse)?;
        sidecar.check().map_err(SidecarError::Parse)?;
        Ok(sidecar)
    }

    fn check(&self) -> Result<(), String> {
        if self.keys.contains_key(&0) {
            return Err("sidecar key_id 0 is reserved".to_owned());
        }
        for purpose in [Purpose::Storage, Purpose::Raft] {
            let id = self.active.of(purpose);
            match self.keys.get(&id) {
                _ if id == 0 => {}
                None => {
                    return Err(format!(
                        "sidecar active key_id {id} has no entry in keys map"
                    ));
                }
                Some(key) if key.purpose != purpose => {
                    return Err(format!(
                        "sidecar active key_id {id} references a key with mismatched purpose"
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// What the replicated state looks like in a sidecar: keys known `before` keep what is
    /// this node's own, new ones begin at this process' epoch.
    pub fn project(before: Option<&Sidecar>, state: &State, epochs: Epochs) -> Self {
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let keys = state.keys.iter().map(|known| {
            let before = before.and_then(|sidecar| sidecar.keys.get(&known.id));
            let key = Key {
                purpose: known.purpose,
                wrapped: known.wrapped.clone(),
                created: before.map_or_else(|| now.clone(), |key| key.created.clone()),
                local_epoch: before.map_or_else(|| epochs.of(known.purpose), |k| k.local_epoch),
            };
            (known.id, key)
        });
        Self {
            version: VERSION,
            raft_applied_index: state.raft_applied_index,
            storage_envelope_active: state.storage_envelope_active,
            storage_envelope_cutover_index: state.storage_envelope_cutover_index,
            raft_envelope_cutover_index: state.raft_envelope_cutover_index,
            active: state.active,
            keys: keys.collect(),
        }
    }

    /// Writes the sidecar durably: on return it is there whatever happens next.
    ///
    /// # Errors
    /// [`SidecarError::Disk`]: the old sidecar is then still whole.
    pub fn write(&self, path: &Path) -> Result<(), SidecarError> {
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |source| SidecarError::Disk { path, source }
        };
        let temporary = temporary(path);
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|e| SidecarError::Parse(e.to_string()))?;
        text.push(b'\n');
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(disk(&temporary))?;
        file.write_all(&text).map_err(disk(&temporary))?;
        if !bugs::on(Bug::SidecarNotSynced) {
            file.sync_all().map_err(disk(&temporary))?;
        }
        fs::rename(&temporary, path).map_err(disk(path))?;
        if bugs::on(Bug::SidecarDirNotSynced) {
            return Ok(());
        }
        let folder = folder(path);
        database::sync_dir(folder).map_err(disk(folder))
    }

    /// Every key by id, wrapped.
    pub fn wrapped(&self) -> std::collections::HashMap<u32, Bytes> {
        let keys = self.keys.iter();
        keys.map(|(id, key)| (*id, key.wrapped.clone())).collect()
    }
}

/// The epochs of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    /// For storage envelopes.
    pub storage: u16,
    /// For raft envelopes.
    pub raft: u16,
}

impl Epochs {
    /// The epoch of a purpose.
    pub fn of(&self, purpose: Purpose) -> u16 {
        match purpose {
            Purpose::Storage => self.storage,
            Purpose::Raft => self.raft,
        }
    }
}

/// The folder a sidecar lies in.
pub fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Checks that the folder of a sidecar can be made durable, leaving nothing there.
///
/// # Errors
/// What the system said.
pub fn probe_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encryption::state::KnownKey;

    fn state() -> State {
        let key = |id, purpose| KnownKey {
            id,
            purpose,
            wrapped: Bytes::from(vec![id as u8; 60]),
        };
        State {
            raft_applied_index: 9,
            storage_envelope_active: true,
            storage_envelope_cutover_index: 8,
            raft_envelope_cutover_index: 9,
            active: Active {
                storage: 7,
                raft: 8,
            },
            keys: vec![key(7, Purpose::Storage), key(8, Purpose::Raft)],
        }
    }

    #[test]
    fn a_sidecar_is_read_as_it_was_written() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("keys.json");
        assert!(matches!(Sidecar::read(&path), Err(SidecarError::Missing)));
        let epochs = Epochs {
            storage: 3,
            raft: 4,
        };
        let mut sidecar = Sidecar::project(None, &state(), epochs);
        sidecar.write(&path)?;
        assert_eq!(Sidecar::read(&path)?, sidecar);
        assert_eq!(sidecar.keys[&8].local_epoch, 4);
        // What is the node's own stays when the state moves on.
        let later = Sidecar::project(Some(&sidecar), &state(), Epochs::default());
        assert_eq!(later, sidecar);
        sidecar.active.storage = 8;
        sidecar.write(&path)?;
        assert!(matches!(Sidecar::read(&path), Err(SidecarError::Parse(_))));
        assert_eq!(fs::read_dir(dir.path())?.count(), 1);
        Ok(())
    }
}
