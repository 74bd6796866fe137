//! Sidecar files as they lie on disk, and whole folders byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

/// A DEK in a sidecar.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SidecarKey {
    pub purpose: String,
    wrapped: String,
    pub local_epoch: u16,
}

/// The ids in use; 0 = none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Active {
    pub storage: u32,
    pub raft: u32,
}

/// A sidecar.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Sidecar {
    pub raft_applied_index: u64,
    pub storage_envelope_active: bool,
    pub storage_envelope_cutover_index: u64,
    pub raft_envelope_cutover_index: u64,
    pub active: Active,
    pub keys: BTreeMap<u32, SidecarKey>,
}

impl SidecarKey {
    pub fn wrapped(&self) -> Vec<u8> {
        let decoded = BASE64_STANDARD.decode(&self.wrapped);
        decoded.expect("a wrapped key in base64")
    }
}

impl Sidecar {
    /// Reads one; `None` when there is none. A torn one is a failure of the test.
    pub fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let parsed = serde_json::from_str(&text);
        Some(parsed.unwrap_or_else(|error| panic!("a whole sidecar: {error} in {text}")))
    }

    /// What all nodes must agree on: everything but the epochs.
    pub fn shared(&self) -> Self {
        let mut shared = self.clone();
        for key in shared.keys.values_mut() {
            key.local_epoch = 0;
        }
        shared
    }

    pub fn storage_epoch(&self) -> u16 {
        self.keys[&self.active.storage].local_epoch
    }

    pub fn raft_epoch(&self) -> u16 {
        self.keys[&self.active.raft].local_epoch
    }
}

/// Every file below a folder with its bytes (folders have none).
pub fn bytes_of(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder);
        for entry in entries.into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                all.insert(path.clone(), Vec::new());
                open.push(path);
            } else {
                let bytes = fs::read(&path).unwrap_or_default();
                all.insert(path, bytes);
            }
        }
    }
    all
}

/// Copies a folder with all below; what was there before goes.
pub fn copy_folder(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).expect("a folder");
    for (path, bytes) in bytes_of(from) {
        let target = to.join(path.strip_prefix(from).expect("a path below"));
        if path.is_dir() {
            fs::create_dir_all(&target).expect("a folder");
        } else {
            fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
            fs::write(&target, bytes).expect("a file");
        }
    }
}
