//! Where the files of encryption lie in a run's folder: the KEK beside the nodes' data, never
//! in it, and a folder for each node's sidecar, so that a copy of a data directory holds no key.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::keys::{Kek, KeyError};

/// The KEK, from the run's folder.
const KEK: &str = "kek";
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

    fn folder(&self, node: &str) -> PathBuf {
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
    fn a_folder_that_can_not_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("nodes"), "in the way").unwrap();
        let error = KeyFiles::of_run(dir.path()).make(["n1"]).unwrap_err();
        assert!(error.to_string().contains("n1.keys"), "{error}");
    }
}
