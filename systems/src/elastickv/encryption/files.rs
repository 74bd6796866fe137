//! Where the files of encryption lie in a run's folder: the KEK beside the nodes' data, never
//! in it, and a folder for each node's sidecar, so that a copy of a data directory holds no key.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use keyquake_rollout::KekFile;

use super::keys::{Kek, KeyError};

/// The KEK, from the run's folder.
const KEK: &str = "kek";
/// What `--kekFile` can be made to name, each beside the KEK and under its own name. The first is
/// never made.
const KEKS: [(KekFile, &str); 5] = [
    (KekFile::Missing, "kek-missing"),
    (KekFile::Own, KEK),
    (KekFile::Wrong, "kek-wrong"),
    (KekFile::Foreign, "kek-foreign"),
    (KekFile::GroupReadable, "kek-group-readable"),
];
/// A byte less than a KEK has.
const WRONG_BYTES: usize = 31;
/// Its owner's to write, and its group's to read.
const GROUP_READABLE: u32 = 0o640;
/// The nodes' folders, from the run's folder.
pub(in crate::elastickv) const NODES: &str = "nodes";

/// The folder of the run that a node's data lies in: `<run>/nodes/<id>`.
pub(in crate::elastickv) fn run_folder(data_dir: &Path) -> &Path {
    let run = data_dir.parent().and_then(Path::parent);
    run.unwrap_or(data_dir)
}

/// The key files of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFiles {
    run: PathBuf,
}

impl KeyFiles {
    /// Those of the run in this folder. Nothing is made.
    pub fn of_run(run: impl Into<PathBuf>) -> KeyFiles {
        KeyFiles { run: run.into() }
    }

    /// The key-encryption key, the same for all nodes.
    pub fn kek(&self) -> PathBuf {
        self.run.join(KEK)
    }

    /// What `--kekFile` names so. One that is absent has no path of its own: it is the KEK's.
    pub fn kek_as(&self, kek: KekFile) -> PathBuf {
        let named = KEKS.iter().find(|(known, _)| *known == kek);
        self.run.join(named.map_or(KEK, |(_, name)| name))
    }

    /// What a path is as a KEK file, if it is one of these.
    pub fn kek_at(&self, path: &Path) -> Option<KekFile> {
        let named = KEKS.iter().find(|(_, name)| self.run.join(name) == path);
        named.map(|(kek, _)| *kek)
    }

    /// Makes sure that what `--kekFile` will name is as it has to be.
    ///
    /// # Errors
    /// [`KeyError`]: what could not be read or written.
    pub fn provide(&self, kek: KekFile) -> Result<(), KeyError> {
        let path = self.kek_as(kek);
        if path.exists() {
            return Ok(());
        }
        match kek {
            KekFile::Own | KekFile::Absent | KekFile::Missing => Ok(()),
            KekFile::Foreign => Kek::generate()?.store_new(&path),
            KekFile::Wrong => self.write(&path, 0o600, &[0x5a; WRONG_BYTES]),
            KekFile::GroupReadable => {
                let own = self.kek();
                let bytes =
                    fs::read(&own).map_err(|source| KeyError::Read { path: own, source })?;
                self.write(&path, GROUP_READABLE, &bytes)
            }
        }
    }

    fn write(&self, path: &Path, mode: u32, bytes: &[u8]) -> Result<(), KeyError> {
        let written = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            file.write_all(bytes)?;
            // The umask would take from the mode of a file that is opened with it.
            file.set_permissions(Permissions::from_mode(mode))
        };
        written().map_err(|source| KeyError::Write {
            path: path.to_owned(),
            source,
        })
    }

    /// The sidecar of the node of this name.
    pub fn sidecar(&self, node: &str) -> PathBuf {
        self.folder(node).join("sidecar.json")
    }

    /// A path of these from the run's folder, for notes that stay true when it is moved.
    pub fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.run).unwrap_or(path)
    }

    /// Makes the KEK and a folder for the sidecar of each node. The KEK stays in the run's
    /// folder: without it no evidence could be opened later.
    ///
    /// # Errors
    /// [`KeyError`]: what could not be made; also if there is a KEK already.
    pub fn make<'a>(&self, nodes: impl IntoIterator<Item = &'a str>) -> Result<Kek, KeyError> {
        for node in nodes {
            let folder = self.folder(node);
            let made = DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder);
            made.map_err(|source| KeyError::Folder {
                path: folder,
                source,
            })?;
        }
        let kek = Kek::generate()?;
        kek.store_new(&self.kek())?;
        Ok(kek)
    }

    /// The folder of the sidecar of the node of this name; nothing else lies in it.
    pub fn folder(&self, node: &str) -> PathBuf {
        self.run.join(NODES).join(format!("{node}.keys"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_made_once_and_lie_outside_of_every_data_directory() {
        let dir = tempfile::tempdir().unwrap();
        let files = KeyFiles::of_run(dir.path());
        files.make(["n1", "n2"]).unwrap();
        Kek::load(&files.kek()).unwrap();
        for node in ["n1", "n2"] {
            let sidecar = files.sidecar(node);
            assert!(sidecar.parent().unwrap().is_dir() && !sidecar.exists());
            for path in [sidecar, files.kek()] {
                assert!(!path.starts_with(dir.path().join("nodes").join(node)));
            }
        }
        assert_eq!(
            files.relative(&files.sidecar("n1")),
            Path::new("nodes/n1.keys/sidecar.json")
        );
        let again = files.make(["n1"]).unwrap_err().to_string();
        assert!(again.contains("never replaced"), "{again}");
    }

    #[test]
    fn what_is_no_kek_of_this_cluster_is_made_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let files = KeyFiles::of_run(dir.path());
        let own = files.make(["n1"]).unwrap();
        let wrapped = own.wrap(&super::super::Dek::generate().unwrap()).unwrap();
        for (kek, _) in KEKS {
            files.provide(kek).unwrap();
            let path = files.kek_as(kek);
            assert_eq!(files.kek_at(&path), Some(kek));
            let loaded = Kek::load(&path);
            let before = fs::read(&path).ok();
            files.provide(kek).unwrap();
            assert_eq!(fs::read(&path).ok(), before, "it is made once");
            match kek {
                KekFile::Own => drop(loaded.unwrap().unwrap(&wrapped).unwrap()),
                KekFile::Foreign => assert!(loaded.unwrap().unwrap(&wrapped).is_err()),
                KekFile::Missing => assert!(matches!(loaded, Err(KeyError::Read { .. }))),
                KekFile::Wrong => {
                    assert!(matches!(loaded, Err(KeyError::Length { bytes: 31, .. })))
                }
                KekFile::GroupReadable => {
                    assert!(matches!(
                        loaded,
                        Err(KeyError::Accessible { mode: 0o640, .. })
                    ));
                    assert_eq!(before, fs::read(files.kek()).ok());
                }
                KekFile::Absent => unreachable!("it names no file"),
            }
        }
        assert_eq!(files.kek_at(Path::new("/etc/kek")), None);
    }

    #[test]
    fn a_folder_that_can_not_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("nodes"), "in the way").unwrap();
        let error = KeyFiles::of_run(dir.path()).make(["n1"]).unwrap_err();
        assert!(error.to_string().contains("n1.keys"), "{error}");
    }
}
