//! The key sidecar that `--encryptionSidecarPath` names, as far as questions about it need it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::{fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

/// Why a sidecar has no answer to give.
#[derive(Debug, Error)]
pub enum SidecarError {
    /// There is no such file.
    #[error("sidecar file is missing")]
    Missing,
    /// The file could not be read.
    #[error("{0}")]
    Read(io::Error),
    /// The file is not a sidecar.
    #[error("parse sidecar: {0}")]
    Parse(serde_json::Error),
    /// A later release wrote it.
    #[error("unsupported sidecar version: got version {0}, want 1..2")]
    Version(u64),
}

/// Ids of the keys in use; 0 if there is none.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Active {
    /// The storage key's id.
    pub storage: u32,
    /// The raft key's id.
    pub raft: u32,
}

/// A sidecar's content.
#[derive(Clone, Debug, Deserialize)]
pub struct Sidecar {
    version: u64,
    /// Whether values are written encrypted.
    pub storage_envelope_active: bool,
    /// Log index of the raft cutover; 0 before it.
    pub raft_envelope_cutover_index: u64,
    /// Keys in use.
    pub active: Active,
    keys: BTreeMap<u32, Key>,
}

#[derive(Clone, Debug, Deserialize)]
struct Key {
    #[serde(deserialize_with = "base64_bytes")]
    wrapped: Bytes,
}

fn base64_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD
        .decode(text)
        .map(Bytes::from)
        .map_err(serde::de::Error::custom)
}

impl Sidecar {
    /// Reads a sidecar.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn read(path: &Path) -> Result<Self, SidecarError> {
        let text = fs::read(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => SidecarError::Missing,
            _ => SidecarError::Read(error),
        })?;
        let sidecar: Self = serde_json::from_slice(&text).map_err(SidecarError::Parse)?;
        match sidecar.version {
            1 | 2 => Ok(sidecar),
            version => Err(SidecarError::Version(version)),
        }
    }

    /// Every key by id, wrapped.
    pub fn wrapped(&self) -> HashMap<u32, Bytes> {
        let keys = self.keys.iter();
        keys.map(|(id, key)| (*id, key.wrapped.clone())).collect()
    }
}
