//! The key-encryption key: read from its file, wraps and unwraps data-encryption keys.
//!
//! A wrapped DEK is `nonce(12) ‖ AES-256-GCM(KEK, nonce, DEK(32), no AAD) ‖ tag(16)`.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use thiserror::Error;
use zeroize::Zeroizing;

use super::envelope::NONCE_BYTES;

/// Bytes of a bare key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a wrapped key.
pub const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + 16;

/// A bare data-encryption key; wiped when dropped.
pub type Dek = Zeroizing<[u8; KEY_BYTES]>;

/// Why a key-encryption key was not loaded, with elastickv's texts.
#[derive(Debug, Error)]
#[error("failed to load KEK from {path} (--kekFile): {why}")]
pub struct KekError {
    path: String,
    why: String,
}

/// Why a wrapped key does not open.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UnwrapError {
    /// It has not the length of one.
    #[error("kek-unwrap: wrapped DEK has {0} bytes, want 60")]
    Length(usize),
    /// It was wrapped by another KEK, or its bytes were changed.
    #[error("kek-unwrap: wrapped DEK does not open under this KEK")]
    DoesNotOpen,
}

/// A key-encryption key. Never printed, never written.
pub struct Kek {
    cipher: Aes256Gcm,
    bytes: Dek,
}

impl Kek {
    /// Reads a KEK file: a regular file of exactly 32 raw bytes that only its owner can read.
    ///
    /// # Errors
    /// [`KekError`].
    pub fn load(path: &Path) -> Result<Self, KekError> {
        let failed = |why: String| KekError {
            path: path.display().to_string(),
            why,
        };
        let mut file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let meta = file.metadata().map_err(|error| failed(error.to_string()))?;
        if !meta.is_file() {
            return Err(failed(format!("{path:?} is not a regular file")));
        }
        if meta.permissions().mode() & 0o077 != 0 {
            let mode = meta.permissions().mode() & 0o7777;
            return Err(failed(format!(
                "kek: file is group/world-accessible; require owner-only mode (it has {mode:04o})"
            )));
        }
        if meta.len() != KEY_BYTES as u64 {
            let bytes = meta.len();
            return Err(failed(format!(
                "kek: file {path:?} is {bytes} bytes, want exactly 32"
            )));
        }
        let mut bytes = Dek::default();
        file.read_exact(&mut bytes[..])
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            cipher: Aes256Gcm::new(&(*bytes).into()),
            bytes,
        })
    }

    /// Opens a wrapped key.
    ///
    /// # Errors
    /// [`UnwrapError`].
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<Dek, UnwrapError> {
        if wrapped.len() != WRAPPED_BYTES {
            return Err(UnwrapError::Length(wrapped.len()));
        }
        let (nonce, sealed) = wrapped.split_at(NONCE_BYTES);
        let nonce = Nonce::try_from(nonce).map_err(|_| UnwrapError::DoesNotOpen)?;
        let bare = self
            .cipher
            .decrypt(&nonce, sealed)
            .map(Zeroizing::new)
            .map_err(|_| UnwrapError::DoesNotOpen)?;
        let mut dek = Dek::default();
        dek.copy_from_slice(&bare);
        Ok(dek)
    }

    /// Wraps a key.
    ///
    /// # Errors
    /// [`UnwrapError::DoesNotOpen`] when the cipher refuses, which it never does for 32 bytes.
    pub fn wrap(&self, dek: &Dek) -> Result<Vec<u8>, UnwrapError> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let sealed = self
            .cipher
            .encrypt(&nonce.into(), &dek[..])
            .map_err(|_| UnwrapError::DoesNotOpen)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// The bare bytes: only seeded bugs let them out.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }
}
