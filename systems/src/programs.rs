//! Which program is which release of a store that is not part of the suite.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::system::{SystemError, SystemName};

/// Where elastickv's own images have their program. An image that names another runs that.
const IN_IMAGE: &str = "/app";

/// The programs given for a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// Those of single releases.
    pub by_release: BTreeMap<String, PathBuf>,
    /// What all other releases run.
    pub other: Option<PathBuf>,
    /// The nodes are containers, whose images hold their programs: none is looked for here.
    pub images: bool,
}

impl Programs {
    /// None at all.
    pub const NONE: Programs = Programs {
        by_release: BTreeMap::new(),
        other: None,
        images: false,
    };

    /// The absolute path of the program that is this release.
    ///
    /// # Errors
    /// When none was given for it, or what was given is no executable file.
    pub(crate) fn of(&self, name: SystemName, release: &str) -> Result<PathBuf, SystemError> {
        if self.images {
            return Ok(PathBuf::from(IN_IMAGE));
        }
        let mut named = self.by_release.iter();
        let named = named.find(|(known, _)| known.eq_ignore_ascii_case(release));
        match named.map(|(_, path)| path).or(self.other.as_ref()) {
            Some(path) => executable(path),
            None if self.by_release.is_empty() => Err(SystemError::BinaryMissing),
            None => Err(SystemError::NoProgram {
                system: name,
                release: release.to_owned(),
                known: self.by_release.keys().cloned().collect(),
            }),
        }
    }
}

fn executable(path: &Path) -> Result<PathBuf, SystemError> {
    let bad = |reason: String| SystemError::BadBinary {
        path: path.to_owned(),
        reason,
    };
    let metadata = std::fs::metadata(path).map_err(|error| bad(error.to_string()))?;
    if !metadata.is_file() {
        return Err(bad("it is not a file".to_owned()));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(bad("it is not executable".to_owned()));
    }
    std::path::absolute(path).map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_has_its_own_program_and_the_rest_the_other() {
        let own = std::env::current_exe().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        std::fs::copy(&own, &copy).unwrap();
        let mut programs = Programs {
            by_release: [("6a".to_owned(), copy.clone())].into(),
            ..Programs::default()
        };
        let of = |programs: &Programs, release| programs.of(SystemName::Elastickv, release);
        assert_eq!(of(&programs, "6A").unwrap(), copy);
        let error = of(&programs, "6b").unwrap_err().to_string();
        assert!(
            error.contains("--binary 6b=PATH") && error.contains("6a"),
            "{error}"
        );
        programs.other = Some(own.clone());
        assert_eq!(of(&programs, "6b").unwrap(), own);
        assert_eq!(of(&programs, "6a").unwrap(), copy);
        let images = Programs {
            images: true,
            ..Programs::NONE
        };
        assert_eq!(of(&images, "6b").unwrap(), Path::new("/app"));
        let error = of(&Programs::NONE, "6b").unwrap_err().to_string();
        assert!(error.contains("pass --binary PATH"), "{error}");
    }
}
