//! Envelopes: `version(1) ‖ flag(1) ‖ key_id(4) ‖ nonce(12) ‖ ciphertext ‖ tag(16)`, and
//! what each kind is bound to.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use thiserror::Error;

/// The only version there is.
pub const VERSION: u8 = 0x01;
/// Bytes of a nonce: `node_id16 ‖ local_epoch16 ‖ write_count64`.
pub const NONCE_BYTES: usize = 12;
/// Bytes before the ciphertext.
pub const HEADER_BYTES: usize = 6 + NONCE_BYTES;
/// Bytes of the authentication tag.
const TAG_BYTES: usize = 16;
/// First byte of a raft envelope's AAD, so that it can't stand in for a storage envelope.
const RAFT_DOMAIN: u8 = b'R';

/// Why an envelope does not open.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum EnvelopeError {
    /// Too short, or of another version or flag.
    #[error("encryption: not an envelope of a known form")]
    Form,
    /// Sealed under a key that this node does not hold.
    #[error("encryption: unknown key_id {0}")]
    UnknownKey(u32),
    /// The tag does not fit: changed, moved, or sealed for another purpose.
    #[error("store: encrypted value failed integrity check (GCM tag mismatch), key_id {0}")]
    Tag(u32),
    /// There is no cipher here to open it.
    #[error("store: encrypted value present but no cipher configured")]
    NoCipher,
    /// No key of this purpose may be used for sealing now.
    #[error("storage envelope active but writer not yet registered")]
    NotRegistered,
    /// The process has sealed 2^64 times.
    #[error("encryption: nonce write_count exhausted")]
    Exhausted,
}

/// The three parts of a nonce put together.
pub fn nonce(node_id: u16, local_epoch: u16, write_count: u64) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[..2].copy_from_slice(&node_id.to_be_bytes());
    nonce[2..4].copy_from_slice(&local_epoch.to_be_bytes());
    nonce[4..].copy_from_slice(&write_count.to_be_bytes());
    nonce
}

/// What a storage envelope is bound to: its own header, the value's header, the row's key.
pub fn storage_aad(key_id: u32, value_header: &[u8], row_key: &[u8]) -> Vec<u8> {
    let mut aad = Vec::with_capacity(6 + value_header.len() + row_key.len());
    aad.extend_from_slice(&[VERSION, 0]);
    aad.extend_from_slice(&key_id.to_be_bytes());
    aad.extend_from_slice(value_header);
    aad.extend_from_slice(row_key);
    aad
}

/// What a raft envelope is bound to: its purpose, version and key.
pub fn raft_aad(key_id: u32) -> Vec<u8> {
    [&[RAFT_DOMAIN, VERSION][..], &key_id.to_be_bytes()].concat()
}

/// Seals `plain`.
///
/// # Errors
/// [`EnvelopeError::Form`] for a text longer than the cipher takes (64 GiB).
pub fn seal(
    cipher: &Aes256Gcm,
    key_id: u32,
    nonce: [u8; NONCE_BYTES],
    aad: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, EnvelopeError> {
    let sealed = cipher
        .encrypt(&nonce.into(), Payload { msg: plain, aad })
        .map_err(|_| EnvelopeError::Form)?;
    let mut envelope = Vec::with_capacity(HEADER_BYTES + sealed.len());
    envelope.extend_from_slice(&[VERSION, 0]);
    envelope.extend_from_slice(&key_id.to_be_bytes());
    envelope.extend_from_slice(&nonce);
    envelope.extend_from_slice(&sealed);
    Ok(envelope)
}

/// The id of the key an envelope says it is sealed under.
///
/// # Errors
/// [`EnvelopeError::Form`].
pub fn key_id(envelope: &[u8]) -> Result<u32, EnvelopeError> {
    if envelope.len() < HEADER_BYTES + TAG_BYTES || envelope[..2] != [VERSION, 0] {
        return Err(EnvelopeError::Form);
    }
    let mut id = [0; 4];
    id.copy_from_slice(&envelope[2..6]);
    Ok(u32::from_be_bytes(id))
}

/// Opens an envelope.
///
/// # Errors
/// [`EnvelopeError`].
pub fn open(cipher: &Aes256Gcm, envelope: &[u8], aad: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let key_id = key_id(envelope)?;
    let nonce = Nonce::try_from(&envelope[6..HEADER_BYTES]).map_err(|_| EnvelopeError::Form)?;
    let sealed = Payload {
        msg: &envelope[HEADER_BYTES..],
        aad,
    };
    cipher
        .decrypt(&nonce, sealed)
        .map_err(|_| EnvelopeError::Tag(key_id))
}

#[cfg(test)]
mod tests {
    use aes_gcm::aead::KeyInit;

    use super::*;

    #[test]
    fn an_envelope_opens_only_where_it_belongs() -> Result<(), EnvelopeError> {
        let cipher = Aes256Gcm::new(&[7; 32].into());
        let aad = storage_aad(9, &[2; 9], b"key");
        let envelope = seal(&cipher, 9, nonce(1, 2, 3), &aad, b"value")?;
        assert_eq!(envelope.len(), b"value".len() + 34);
        assert_eq!(&envelope[6..18], [0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(open(&cipher, &envelope, &aad)?, b"value");
        for other in [storage_aad(9, &[2; 9], b"yek"), raft_aad(9), Vec::new()] {
            assert_eq!(open(&cipher, &envelope, &other), Err(EnvelopeError::Tag(9)));
        }
        for position in 0..envelope.len() {
            let mut bent = envelope.clone();
            bent[position] ^= 1;
            // The key id and nonce are authenticated too: by the AAD and by the cipher.
            let bound = storage_aad(key_id(&bent).unwrap_or(9), &[2; 9], b"key");
            assert!(open(&cipher, &bent, &bound).is_err(), "byte {position}");
        }
        assert_eq!(key_id(&envelope[..33]), Err(EnvelopeError::Form));
        Ok(())
    }
}
