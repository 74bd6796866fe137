//! Whole files or none: atomic writes, and digests.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::StoreError;

/// Writes a file so that a reader finds the old one or the new one, whole:
/// beside it, synced, then renamed over it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let beside = path.with_file_name(name);
    let written = (|| -> io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    written.map_err(|error| {
        // The half-written file is of no use to anyone; the first error is the one to tell.
        let _ = fs::remove_file(&beside);
        StoreError::io("write", path)(error)
    })
}

/// The digest of a file as `sha256:` and 64 hex digits, as `sha256sum` prints it.
///
/// Fails when the file can't be read, naming it.
pub fn digest_file(path: &Path) -> Result<String, StoreError> {
    let digest = (|| -> io::Result<_> {
        let mut file = File::open(path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hash.finalize()),
                n => hash.update(&buffer[..n]),
            }
        }
    })()
    .map_err(StoreError::io("read", path))?;
    let mut text = String::from("sha256:");
    for byte in digest {
        text.push_str(&format!("{byte:02x}"));
    }
    Ok(text)
}
