//! From what a person typed to one run folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{RunFolder, StoreError};

/// How many runs an error names.
const NAMED: usize = 5;

/// Every run folder under `root`, newest first.
pub fn folders(root: &Path) -> Result<Vec<RunFolder>, StoreError> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io("read the results folder", root)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(StoreError::io("read the results folder", root))?
            .path();
        found.extend(RunFolder::open(&path));
    }
    found.sort_unstable_by(|a: &RunFolder, b| b.id().cmp(a.id()));
    Ok(found)
}

/// The run that `name` means.
pub fn find(root: &Path, name: &str) -> Result<RunFolder, StoreError> {
    // The exact id first: it must work even when the root holds thousands.
    if !name.is_empty()
        && is_plain(name)
        && let Some(folder) = RunFolder::open(&root.join(name))
    {
        return Ok(folder);
    }
    let all = folders(root)?;
    if name == "latest" {
        return all.into_iter().next().ok_or_else(|| StoreError::NoRuns {
            root: root.to_path_buf(),
        });
    }
    let mut matches: Vec<RunFolder> = all
        .iter()
        .filter(|run| !name.is_empty() && run.id().starts_with(name))
        .cloned()
        .collect();
    match matches.len() {
        1 => Ok(matches.remove(0)),
        0 => by_path(name).unwrap_or_else(|| Err(nothing(root, name, &all))),
        _ => Err(StoreError::Ambiguous {
            name: name.to_owned(),
            matches: matches.iter().map(|run| run.id().to_owned()).collect(),
        }),
    }
}

/// `name` as a path: a run folder, a file inside one, or something else that is
/// there. `None` when nothing is there.
fn by_path(name: &str) -> Option<Result<RunFolder, StoreError>> {
    let path = Path::new(name);
    if name.is_empty() || !path.exists() {
        return None;
    }
    // `.` and `..` have no name of their own; the id is the folder's real name.
    let real: PathBuf = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folder = if real.is_dir() {
        Some(real.as_path())
    } else {
        real.parent()
    };
    Some(
        folder
            .and_then(RunFolder::open)
            .ok_or_else(|| StoreError::NotARunFolder {
                path: path.to_path_buf(),
            }),
    )
}

fn nothing(root: &Path, name: &str, all: &[RunFolder]) -> StoreError {
    // A plain name under the root that is a folder, but not a run.
    if !name.is_empty() && is_plain(name) && root.join(name).is_dir() {
        return StoreError::NotARunFolder {
            path: root.join(name),
        };
    }
    if all.is_empty() {
        return StoreError::NoRuns {
            root: root.to_path_buf(),
        };
    }
    // `all` is newest first and the sort is stable: equal distances keep that order.
    let mut ranked: Vec<(usize, &str)> = all
        .iter()
        .map(|run| (strsim::levenshtein(name, run.id()), run.id()))
        .collect();
    ranked.sort_by_key(|(distance, _)| *distance);
    StoreError::NoSuchRun {
        name: name.to_owned(),
        root: root.to_path_buf(),
        nearest: ranked
            .iter()
            .take(NAMED)
            .map(|(_, id)| (*id).to_owned())
            .collect(),
        count: all.len(),
    }
}

fn is_plain(name: &str) -> bool {
    !name.contains(['/', '\\']) && name != "." && name != ".."
}
