//! The replicated part of what a sidecar says: a row of the state, the same on every
//! replica at the same log index. It travels with snapshots, so that whoever is brought
//! past an encryption entry holds its keys (wrapped) before it applies anything.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::payload::Purpose;

/// The row's key.
pub const KEY: &[u8] = b"!encryption|state";

/// Keys in use; 0 = none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Active {
    /// The storage key's id.
    pub storage: u32,
    /// The raft key's id.
    pub raft: u32,
}

impl Active {
    /// The key of a purpose.
    pub fn of(&self, purpose: Purpose) -> u32 {
        match purpose {
            Purpose::Storage => self.storage,
            Purpose::Raft => self.raft,
        }
    }
}

/// A key as replicated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownKey {
    /// Its id.
    pub id: u32,
    /// What it seals.
    pub purpose: Purpose,
    /// Its wrapped bytes.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub wrapped: Bytes,
}

/// The replicated encryption state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Index of the last bootstrap or rotation-family entry in it.
    pub raft_applied_index: u64,
    /// Whether values are sealed.
    pub storage_envelope_active: bool,
    /// Index of the entry that made it so.
    pub storage_envelope_cutover_index: u64,
    /// Entries above this index are sealed; 0 = none are.
    pub raft_envelope_cutover_index: u64,
    /// Keys in use.
    pub active: Active,
    /// Every key there ever was, in the order they came.
    pub keys: Vec<KnownKey>,
}

impl State {
    /// Whether there are keys at all.
    pub fn is_bootstrapped(&self) -> bool {
        self.active.storage != 0
    }

    /// A key by id.
    pub fn key(&self, id: u32) -> Option<&KnownKey> {
        self.keys.iter().find(|key| key.id == id)
    }
}

/// Writes bytes as base64 text.
pub fn to_base64<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

/// Reads bytes from base64 text.
pub fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD
        .decode(text)
        .map(Bytes::from)
        .map_err(serde::de::Error::custom)
}
