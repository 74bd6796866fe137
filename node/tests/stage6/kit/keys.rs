//! Keys as the documents say: FNV-1a node ids, AES-256-GCM, DEKs wrapped to 60 bytes.
//! Written apart from the node's own code, so that a shared mistake can't hide.

use std::hash::Hasher as _;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use bytes::Bytes;

/// 32 bytes of a KEK or a DEK.
pub type Key = [u8; 32];
/// Bytes of an envelope before its nonce: version, flag, key id.
pub const ENVELOPE_HEADER: usize = 6;
const NONCE: usize = 12;

/// FNV-1a, 64 bits, never 0.
pub fn full_node_id(raft_id: &str) -> u64 {
    let mut hasher = fnv::FnvHasher::default();
    hasher.write(raft_id.as_bytes());
    hasher.finish().max(1)
}

fn cipher(key: &Key) -> Aes256Gcm {
    Aes256Gcm::new(&(*key).into())
}

/// `nonce ‖ ciphertext ‖ tag` of a DEK under a KEK.
pub fn wrap(kek: &Key, dek: &Key) -> Bytes {
    let nonce: [u8; NONCE] = rand::random();
    let sealed = cipher(kek).encrypt(&Nonce::from(nonce), &dek[..]);
    [&nonce[..], &sealed.expect("a sealed key")].concat().into()
}

/// What opens `nonce ‖ ciphertext ‖ tag` under a key.
pub fn open(key: &Key, nonce_and_sealed: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
    let (nonce, msg) = nonce_and_sealed.split_at_checked(NONCE)?;
    let nonce = Nonce::from(<[u8; NONCE]>::try_from(nonce).ok()?);
    cipher(key).decrypt(&nonce, Payload { msg, aad }).ok()
}

/// A DEK out of its wrapping.
pub fn unwrap(kek: &Key, wrapped: &[u8]) -> Option<Key> {
    open(kek, wrapped, &[])?.try_into().ok()
}

/// The key id an envelope names, if the bytes have an envelope's form.
pub fn envelope_key(body: &[u8]) -> Option<u32> {
    let formed = body.len() >= 34 && body[..2] == [1, 0];
    formed.then(|| u32::from_be_bytes([body[2], body[3], body[4], body[5]]))
}

/// Node part, epoch part and count of an envelope's nonce.
pub fn nonce_parts(envelope: &[u8]) -> (u16, u16, u64) {
    let part = |from: usize| u16::from_be_bytes([envelope[from], envelope[from + 1]]);
    let mut count = [0; 8];
    count.copy_from_slice(&envelope[ENVELOPE_HEADER + 4..ENVELOPE_HEADER + NONCE]);
    (
        part(ENVELOPE_HEADER),
        part(ENVELOPE_HEADER + 2),
        u64::from_be_bytes(count),
    )
}
