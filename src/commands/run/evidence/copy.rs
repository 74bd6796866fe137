//! Files copied into the evidence, each version once: what has not changed since it was copied is
//! a hard link to that copy, and holes are left out.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Copies, and remembers what it has.
#[derive(Default)]
pub struct Copier {
    known: HashMap<(u64, u64), (Version, PathBuf)>,
    /// Bytes that the copies take.
    pub bytes: u64,
}

/// What changes whenever a file's bytes do.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Version {
    fn of(about: &Metadata) -> Version {
        Version {
            length: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }
}

impl Copier {
    /// Copies a folder and all below it. A file that vanishes meanwhile is not there.
    ///
    /// # Errors
    /// What the disk said, and of which file.
    pub fn folder(&mut self, from: &Path, to: &Path) -> Result<(), String> {
        let said = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| format!("{path}: {error}")
        };
        fs::create_dir_all(to).map_err(said(to))?;
        let entries = match fs::read_dir(from) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(said(from)(error)),
        };
        for entry in entries {
            let path = entry.map_err(said(from))?.path();
            let Some(name) = path.file_name() else {
                continue;
            };
            let target = to.join(name);
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                self.folder(&path, &target)?;
            } else {
                self.file(&path, &target).map_err(said(&path))?;
            }
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let about = match fs::metadata(from) {
            Ok(about) if about.is_file() => about,
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let (place, version) = ((about.dev(), about.ino()), Version::of(&about));
        if let Some((known, copy)) = self.known.get(&place)
            && *known == version
            && fs::hard_link(copy, to).is_ok()
        {
            return Ok(());
        }
        self.bytes += keyquake_audit::copy_sparse(from, to)?;
        self.known.insert(place, (version, to.to_owned()));
        Ok(())
    }

    /// Copies what a process holds open below a folder and has deleted. What can't be looked at
    /// (another user's process) is none.
    ///
    /// # Errors
    /// What the disk said.
    pub fn deleted(&mut self, pid: u32, below: &Path, to: &Path) -> Result<u32, String> {
        const MARK: &str = " (deleted)";
        let Ok(links) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            return Ok(0);
        };
        let mut found = 0;
        for link in links.flatten().map(|entry| entry.path()) {
            let Ok(name) = fs::read_link(&link) else {
                continue;
            };
            let name = name.to_string_lossy().into_owned();
            let Some(name) = name.strip_suffix(MARK).map(Path::new) else {
                continue;
            };
            if !name.starts_with(below) || !link.is_file() {
                continue;
            }
            let file = name.file_name().unwrap_or_default().to_string_lossy();
            let target = to.join(format!("{found}-{file}"));
            let copied = fs::create_dir_all(to).and_then(|()| self.file(&link, &target));
            copied.map_err(|error| format!("{}: {error}", name.display()))?;
            found += 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_has_not_changed_is_kept_once_and_what_has_is_copied_again() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("below")).unwrap();
        fs::write(from.join("stays"), b"0123456789").unwrap();
        fs::write(from.join("below/grows"), b"01234").unwrap();
        let mut copier = Copier::default();
        copier.folder(&from, &to.join("1")).unwrap();
        assert_eq!(copier.bytes, 15);
        let mut grows = fs::OpenOptions::new()
            .append(true)
            .open(from.join("below/grows"))
            .unwrap();
        grows.write_all(b"567").unwrap();
        copier.folder(&from, &to.join("2")).unwrap();
        assert_eq!(copier.bytes, 15 + 8);
        let ino = |path: &str| fs::metadata(to.join(path)).unwrap().ino();
        assert_eq!(ino("1/stays"), ino("2/stays"));
        assert_ne!(
            ino("1/stays"),
            fs::metadata(from.join("stays")).unwrap().ino()
        );
        assert_eq!(fs::read(to.join("1/below/grows")).unwrap(), b"01234");
        assert_eq!(fs::read(to.join("2/below/grows")).unwrap(), b"01234567");
        copier
            .folder(&dir.path().join("none"), &to.join("3"))
            .unwrap();
        assert!(to.join("3").is_dir());
    }

    #[test]
    fn files_that_were_deleted_and_are_still_open_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("table");
        let mut file = fs::File::create(&gone).unwrap();
        file.write_all(b"still here").unwrap();
        fs::remove_file(&gone).unwrap();
        let to = dir.path().join("deleted");
        let mut copier = Copier::default();
        let own = std::process::id();
        assert_eq!(copier.deleted(own, dir.path(), &to), Ok(1));
        assert_eq!(fs::read(to.join("0-table")).unwrap(), b"still here");
        drop(file);
        assert_eq!(copier.deleted(own, dir.path(), &to), Ok(0));
    }
}
