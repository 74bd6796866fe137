//! Key-encryption and data-encryption keys: made, kept in a file, wrapped and unwrapped.
//!
//! A wrapped key is `nonce(12) ‖ AES-256-GCM(KEK, nonce, key(32), no AAD) ‖ tag(16)`: 60
//! bytes, safe to leak. Bytes of bare keys are wiped when dropped and never printed.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use thiserror::Error;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + 16;

/// Why a key could not be made, read or opened.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file's permissions let others read it.
    #[error(
        "failed to load KEK from {path}: file is group/world-accessible (mode {mode:04o}); \
         require owner-only mode: chmod 600 it"
    )]
    Accessible {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is too short or too long.
    #[error("failed to load KEK from {path}: file is {bytes} bytes, want exactly 32 raw bytes")]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// The path is a folder, a pipe or a device.
    #[error("failed to load KEK from {path}: is not a regular file")]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// The file could not be read.
    #[error("failed to load KEK from {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("failed to write KEK to {path}: {source}; an existing key is never replaced")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder for a sidecar could not be made.
    #[error("failed to make the folder {path} for a sidecar: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(getrandom::Error),
    /// The bytes are not a wrapped key.
    #[error("a wrapped key has exactly 60 bytes, this one has {0}")]
    WrappedLength(usize),
    /// The key was wrapped by another KEK, or its bytes were changed.
    #[error("the wrapped key does not open under this KEK: it is another cluster's, or damaged")]
    DoesNotOpen,
}

type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

fn random_key() -> Result<KeyBytes, KeyError> {
    let mut bytes = KeyBytes::default();
    getrandom::fill(&mut bytes[..]).map_err(KeyError::Random)?;
    Ok(bytes)
}

/// A key-encryption key.
pub struct Kek(KeyBytes);

/// A data-encryption key in the clear.
#[derive(PartialEq, Eq)]
pub struct Dek(KeyBytes);

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kek(hidden)")
    }
}

impl fmt::Debug for Dek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dek(hidden)")
    }
}

impl Dek {
    /// A key from the system's random source.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Dek, KeyError> {
        random_key().map(Dek)
    }

    /// A key of known bytes.
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Dek {
        Dek(Zeroizing::new(*bytes))
    }

    /// The bare bytes, for whoever opens envelopes or looks for leaks. Keep them short.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl Kek {
    /// A key from the system's random source.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Kek, KeyError> {
        random_key().map(Kek)
    }

    /// A key of known bytes.
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Kek {
        Kek(Zeroizing::new(*bytes))
    }

    /// Reads a key file under the store's own rules: a regular file, nobody but its owner
    /// may read it, exactly 32 raw bytes.
    ///
    /// # Errors
    /// [`KeyError`]: which rule the file breaks.
    pub fn load(path: &Path) -> Result<Kek, KeyError> {
        let owned = || path.to_owned();
        let unreadable = |source| KeyError::Read {
            path: path.to_owned(),
            source,
        };
        // Looked at before it is opened: opening a pipe would wait for its writer.
        let about = fs::metadata(path).map_err(unreadable)?;
        if !about.is_file() {
            return Err(KeyError::NotRegular { path: owned() });
        }
        let mut file = File::open(path).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        let mode = about.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Accessible {
                path: owned(),
                mode,
            });
        }
        if about.len() != KEY_BYTES as u64 {
            return Err(KeyError::Length {
                path: owned(),
                bytes: about.len(),
            });
        }
        let mut bytes = KeyBytes::default();
        file.read_exact(&mut bytes[..]).map_err(unreadable)?;
        Ok(Kek(bytes))
    }

    /// Writes the key to a new file that only its owner can read, durably.
    ///
    /// # Errors
    /// [`KeyError::Write`], also if the file is there already: a lost KEK is lost data.
    pub fn store_new(&self, path: &Path) -> Result<(), KeyError> {
        let written = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            file.write_all(&self.0[..])?;
            file.sync_all()?;
            let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
        };
        written().map_err(|source| KeyError::Write {
            path: path.to_owned(),
            source,
        })
    }

    /// The bare bytes, for whoever looks for leaks. Keep them short.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Wraps a key under a random nonce.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn wrap(&self, key: &Dek) -> Result<WrappedDek, KeyError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(KeyError::Random)?;
        self.wrap_under(nonce, key)
    }

    fn wrap_under(&self, nonce: [u8; NONCE_BYTES], key: &Dek) -> Result<WrappedDek, KeyError> {
        let sealed = self
            .cipher()
            .encrypt(&Nonce::from(nonce), &key.0[..])
            .map_err(|_| KeyError::DoesNotOpen)?;
        WrappedDek::try_from([&nonce[..], &sealed].concat().as_slice())
    }

    /// Opens a wrapped key.
    ///
    /// # Errors
    /// [`KeyError::DoesNotOpen`].
    pub fn unwrap(&self, wrapped: &WrappedDek) -> Result<Dek, KeyError> {
        let (nonce, sealed) = wrapped.0.split_at(NONCE_BYTES);
        let nonce = Nonce::try_from(nonce).map_err(|_| KeyError::DoesNotOpen)?;
        let opened = self.cipher().decrypt(&nonce, sealed);
        let opened = Zeroizing::new(opened.map_err(|_| KeyError::DoesNotOpen)?);
        let mut bytes = KeyBytes::default();
        if opened.len() != KEY_BYTES {
            return Err(KeyError::DoesNotOpen);
        }
        bytes.copy_from_slice(&opened);
        Ok(Dek(bytes))
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&(*self.0).into())
    }
}

/// A key as it travels and lies on disks: 60 bytes, useless without the KEK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrappedDek([u8; WRAPPED_BYTES]);

impl WrappedDek {
    /// The 60 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for WrappedDek {
    type Error = KeyError;

    fn try_from(bytes: &[u8]) -> Result<Self, KeyError> {
        let exact = <[u8; WRAPPED_BYTES]>::try_from(bytes);
        exact
            .map(WrappedDek)
            .map_err(|_| KeyError::WrappedLength(bytes.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// KEK 00..1f, nonce f0..fb, key 80..9f, sealed by Python's `cryptography` 48.
    const KNOWN: &str = "f0f1f2f3f4f5f6f7f8f9fafbe987c183f8bf54f3177e7d1102c7ec39\
                         8070cb51ac92d90fcecfa93bc5ae4c98a40a7f2fffe45da680f273f2dd450bd3";

    fn counting(from: u8) -> [u8; KEY_BYTES] {
        std::array::from_fn(|i| from + i as u8)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn wrapping_agrees_with_an_independent_program() {
        let kek = Kek::from_bytes(&counting(0));
        let key = Dek::from_bytes(&counting(0x80));
        let nonce = std::array::from_fn(|i| 0xf0 + i as u8);
        let wrapped = kek.wrap_under(nonce, &key).unwrap();
        assert_eq!(hex(wrapped.as_bytes()), KNOWN);
        assert_eq!(kek.unwrap(&wrapped).unwrap().expose(), &counting(0x80));
    }

    #[test]
    fn a_changed_bit_or_another_kek_does_not_open() {
        let kek = Kek::generate().unwrap();
        let wrapped = kek.wrap(&Dek::generate().unwrap()).unwrap();
        for at in 0..WRAPPED_BYTES {
            let mut bytes = wrapped.0;
            bytes[at] ^= 1;
            let outcome = kek.unwrap(&WrappedDek(bytes));
            assert!(matches!(outcome, Err(KeyError::DoesNotOpen)), "byte {at}");
        }
        let other = Kek::generate().unwrap();
        assert!(other.unwrap(&wrapped).is_err());
        assert!(WrappedDek::try_from(&wrapped.0[1..]).is_err());
    }

    #[test]
    fn one_key_wrapped_twice_has_two_spellings() {
        let kek = Kek::generate().unwrap();
        let key = Dek::generate().unwrap();
        let (one, two) = (kek.wrap(&key).unwrap(), kek.wrap(&key).unwrap());
        assert_ne!(one, two);
        assert_eq!(kek.unwrap(&one).unwrap(), kek.unwrap(&two).unwrap());
        assert_ne!(Dek::generate().unwrap(), key);
    }

    #[test]
    fn nothing_prints_a_key() {
        let printed = format!(
            "{:?} {:?}",
            Kek::from_bytes(&[0xab; KEY_BYTES]),
            Dek::from_bytes(&[0xab; KEY_BYTES])
        );
        assert_eq!(printed, "Kek(hidden) Dek(hidden)");
    }

    #[test]
    fn a_kek_file_is_read_back_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        let kek = Kek::generate().unwrap();
        kek.store_new(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let wrapped = kek.wrap(&Dek::generate().unwrap()).unwrap();
        Kek::load(&path).unwrap().unwrap(&wrapped).unwrap();
        let again = Kek::generate().unwrap().store_new(&path).unwrap_err();
        assert!(again.to_string().contains("never replaced"), "{again}");
        Kek::load(&path).unwrap().unwrap(&wrapped).unwrap();
    }

    #[test]
    fn kek_files_that_break_a_rule_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: usize, mode| {
            let path = dir.path().join(name);
            fs::write(&path, vec![7; bytes]).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        for (path, text) in [
            (write("short", 31, 0o600), "31 bytes, want exactly 32"),
            (write("long", 33, 0o600), "33 bytes, want exactly 32"),
            (write("empty", 0, 0o600), "0 bytes"),
            (write("group", 32, 0o640), "group/world-accessible"),
            (write("world", 32, 0o604), "group/world-accessible"),
            (dir.path().to_owned(), "is not a regular file"),
            (dir.path().join("absent"), "No such file"),
        ] {
            let error = Kek::load(&path).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
            assert!(error.contains("failed to load KEK from"), "{error}");
        }
        assert!(Kek::load(&write("read-only", 32, 0o400)).is_ok());
    }
}
