//! The keys of one node, unwrapped from its sidecar under the KEK, ready to open envelopes.

use std::collections::BTreeMap;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce as AesNonce};
use keyquake_formats::Purpose;
use keyquake_formats::keys::{Dek, Kek};
use keyquake_formats::sidecar::Sidecar;
use zeroize::Zeroizing;

use crate::envelope::Envelope;
use crate::nonces::KeyPrint;

/// A key that opens.
pub(crate) struct OpenedKey {
    pub(crate) purpose: Purpose,
    pub(crate) dek: Dek,
    print: KeyPrint,
    cipher: Aes256Gcm,
}

/// Keys by id.
#[derive(Default)]
pub(crate) struct Keyring {
    keys: BTreeMap<u32, OpenedKey>,
}

/// Why an envelope stays shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    /// Its first two bytes are of no form there is.
    Form,
    /// No key of this id is in the sidecar.
    KeyUnknown,
    /// The key of this id is for the other purpose.
    OtherPurpose,
    /// Key, nonce, ciphertext and what it is bound to do not belong together.
    Tag,
}

impl Keyring {
    /// Every key of the sidecar that opens, and the ids of those that don't.
    pub(crate) fn of(sidecar: &Sidecar, kek: &Kek) -> (Keyring, Vec<u32>) {
        let mut ring = Keyring::default();
        let shut = ring.add(sidecar, kek);
        (ring, shut)
    }

    /// Adds the keys of a sidecar whose ids are not known yet; gives the ids of those that don't
    /// open.
    pub(crate) fn add(&mut self, sidecar: &Sidecar, kek: &Kek) -> Vec<u32> {
        let mut shut = Vec::new();
        for (id, key) in &sidecar.keys {
            if self.keys.contains_key(id) {
                continue;
            }
            match kek.unwrap(&key.wrapped) {
                Ok(dek) => {
                    let cipher = Aes256Gcm::new(&(*dek.expose()).into());
                    let purpose = key.purpose;
                    let key = OpenedKey {
                        purpose,
                        print: KeyPrint::of(dek.expose()),
                        dek,
                        cipher,
                    };
                    self.keys.insert(*id, key);
                }
                Err(_) => shut.push(*id),
            }
        }
        shut
    }

    /// Every key, by id.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (u32, &OpenedKey)> {
        self.keys.iter().map(|(id, key)| (*id, key))
    }

    /// Which key goes by this id.
    pub(crate) fn print(&self, id: u32) -> Option<KeyPrint> {
        self.keys.get(&id).map(|key| key.print)
    }

    /// Opens an envelope where one of this purpose belongs.
    ///
    /// # Errors
    /// [`Shut`]: the first thing that is wrong.
    pub(crate) fn open(
        &self,
        envelope: &Envelope,
        purpose: Purpose,
        aad: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Shut> {
        // A raft envelope's flag is not authenticated: it is looked at first.
        if !envelope.has_known_form() {
            return Err(Shut::Form);
        }
        let key = self.keys.get(&envelope.key_id).ok_or(Shut::KeyUnknown)?;
        if key.purpose != purpose {
            return Err(Shut::OtherPurpose);
        }
        key.open(envelope, aad).ok_or(Shut::Tag)
    }
}

impl OpenedKey {
    /// What is in an envelope, if this key and this binding are its own.
    pub(crate) fn open(&self, envelope: &Envelope, aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let payload = Payload {
            msg: &envelope.sealed,
            aad,
        };
        let nonce = AesNonce::from(envelope.nonce.0);
        let opened = self.cipher.decrypt(&nonce, payload);
        opened.ok().map(Zeroizing::new)
    }
}
