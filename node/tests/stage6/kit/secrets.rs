//! Across everything a cluster ever wrote: no nonce seals two things, no key lies bare.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::keys::{self, Key};
use super::sidecar::bytes_of;
use super::{Lab, disk};

/// What each (key id, nonce) was seen to seal.
#[derive(Default)]
pub struct Nonces {
    sealed: BTreeMap<(u32, Vec<u8>), Vec<u8>>,
}

impl Nonces {
    fn note(&mut self, envelope: &[u8]) {
        let Some(key_id) = keys::envelope_key(envelope) else {
            return;
        };
        let (nonce, sealed) = envelope[keys::ENVELOPE_HEADER..].split_at(12);
        let slot = (key_id, nonce.to_vec());
        let first = self.sealed.entry(slot).or_insert_with(|| sealed.to_vec());
        assert_eq!(*first, sealed, "nonce {nonce:x?} of key {key_id} twice");
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sealed.len()
    }
}

impl Lab {
    /// Takes the nonces on a stopped node's disk down.
    pub fn note_nonces(&mut self, node: usize) {
        let dir = self.data_dir(node);
        if !dir.join("fsm.db").exists() {
            return;
        }
        for row in disk::values(&dir) {
            if row.value[0] == 2 {
                self.nonces.note(&row.value[9..]);
            }
        }
        for (_, payload) in disk::payloads(&dir) {
            self.nonces.note(&payload);
        }
    }

    /// Neither the KEK nor a DEK stands in a node's files or its log.
    pub fn assert_no_bare_key(&self, node: usize) {
        let mut keys: Vec<Key> = self.deks(node).into_values().collect();
        keys.push(self.kek);
        let hex = |key: &Key| key.map(|byte| format!("{byte:02x}")).concat().into_bytes();
        let base64 = |key: &Key| BASE64_STANDARD.encode(key).into_bytes();
        let forms = |key: &Key| [key.to_vec(), hex(key), base64(key)];
        let secrets: Vec<Vec<u8>> = keys.iter().flat_map(forms).collect();
        let folder = self.cluster.dir().join(self.cluster.name(node));
        for dir in [folder, self.sidecar_dir(node)] {
            for (path, bytes) in bytes_of(&dir) {
                assert_none_in(&secrets, &bytes, &path);
            }
        }
        let log = self.cluster.log(node);
        assert_none_in(&secrets, log.as_bytes(), Path::new("its log"));
    }
}

fn assert_none_in(secrets: &[Vec<u8>], bytes: &[u8], path: &Path) {
    for secret in secrets {
        let found = bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!found, "a bare key is in {}", path.display());
    }
}
