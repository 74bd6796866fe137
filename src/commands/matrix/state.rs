//! What is known of the cells so far, kept in a file: a second call goes on where the first was
//! ended. A cell whose program or plan has changed is begun anew.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

const FORMAT: u32 = 1;

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Came {
    /// How it ended.
    pub ended: Ended,
    /// The invariants that it named as broken.
    pub broken: Vec<String>,
    /// Of a bug that its own invariant named: seconds until it was found.
    pub found_after_s: Option<f64>,
    /// Seconds from the start of the command to its end.
    pub took_s: f64,
    /// Of what is not as it must be: what the run said.
    #[serde(default)]
    pub said: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    Valid,
    Violated,
    Inconclusive,
    /// The suite failed, or refused the plan: there is no verdict.
    Failed,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    /// Of the program and the plan as it was run.
    digest: String,
    came: Came,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    cells: BTreeMap<String, Kept>,
}

/// All cells that are done.
pub struct State {
    path: PathBuf,
    file: File,
}

impl State {
    /// Reads what an earlier call left, if there was one.
    ///
    /// # Errors
    /// A file that can't be read, or that a newer keyquake wrote.
    pub fn open(path: &Path) -> anyhow::Result<State> {
        let text = match fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error).with_context(|| format!("failed to read {}", path.display()));
            }
        };
        let file = match text {
            Some(text) => serde_json::from_str(&text).with_context(|| {
                let path = path.display();
                format!("{path} is no state of a matrix; remove it to begin anew")
            })?,
            None => File {
                format: FORMAT,
                cells: BTreeMap::new(),
            },
        };
        ensure!(
            file.format <= FORMAT,
            "{} has format {}, this keyquake knows up to {FORMAT}; remove it to begin anew",
            path.display(),
            file.format
        );
        let path = path.to_owned();
        Ok(State { path, file })
    }

    /// What became of a cell, if it was run by this program under this plan.
    pub fn get(&self, key: &str, digest: &str) -> Option<&Came> {
        let kept = self.file.cells.get(key);
        kept.filter(|kept| kept.digest == digest)
            .map(|kept| &kept.came)
    }

    /// Notes what became of a cell. It is on the disk when this returns.
    pub fn put(&mut self, key: String, digest: String, came: Came) -> anyhow::Result<()> {
        self.file.cells.insert(key, Kept { digest, came });
        let text = serde_json::to_string_pretty(&self.file)?;
        let beside = self.path.with_extension("tmp");
        fs::write(&beside, text)
            .and_then(|()| fs::rename(&beside, &self.path))
            .with_context(|| format!("failed to write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_known_again_unless_something_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cells.json");
        let came = Came {
            ended: Ended::Violated,
            broken: vec!["LIN".to_owned()],
            found_after_s: Some(1.5),
            took_s: 20.0,
            said: String::new(),
        };
        let mut state = State::open(&path).unwrap();
        state
            .put("a@b@0".to_owned(), "one".to_owned(), came.clone())
            .unwrap();
        let again = State::open(&path).unwrap();
        assert_eq!(again.get("a@b@0", "one"), Some(&came));
        assert_eq!(again.get("a@b@0", "other"), None);
        assert_eq!(again.get("a@b@1", "one"), None);
        fs::write(&path, "{}").unwrap();
        assert!(State::open(&path).is_err());
    }
}
