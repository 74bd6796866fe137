//! What can go wrong with stored runs, in words that say what to do next.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the run store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No run has this name.
    #[error("no such run: {name} (in {}){}", root.display(), hint_nearest(nearest, *count))]
    NoSuchRun {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        root: PathBuf,
        /// Runs that exist, the most likely first.
        nearest: Vec<String>,
        /// How many runs there are.
        count: usize,
    },
    /// Several runs begin like this.
    #[error("{name} is the beginning of {} runs: {}; give more of the id", matches.len(), first_of(matches))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The runs it could be.
        matches: Vec<String>,
    },
    /// There is no run at all.
    #[error("no runs in {} yet; make one with `keyquake run`, or say where they are with --results", root.display())]
    NoRuns {
        /// Where runs were looked for.
        root: PathBuf,
    },
    /// The path is there, but no run is in it.
    #[error("{} is not a run folder: it has neither run.json nor history.kqh", path.display())]
    NotARunFolder {
        /// The path that was given.
        path: PathBuf,
    },
    /// Written by a newer keyquake.
    #[error(
        "{} has format {found}, and this keyquake reads up to {known}; use the version that wrote it, or a newer one",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format read here.
        known: u32,
    },
    /// The file does not hold what it should.
    #[error("{} is damaged or not keyquake's: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was wrong, and where.
        reason: String,
    },
    /// A run has not got this far.
    #[error("run {id} has no {file}: {hint}")]
    Missing {
        /// The run.
        id: String,
        /// The file that is not there.
        file: &'static str,
        /// Why that can be, and what to do.
        hint: &'static str,
    },
    /// Too many runs with one id.
    #[error("can't find a free name for run {id} in {}", root.display())]
    Crowded {
        /// The id.
        id: String,
        /// Where the run should go.
        root: PathBuf,
    },
    /// The disk said no.
    #[error("failed to {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    /// For `map_err`: an I/O error with what was tried on which path.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_path_buf();
        move |source| StoreError::Io { what, path, source }
    }

    /// Whether the user can mend this by asking for something else (exit 2),
    /// rather than the disk or the suite having failed (exit 4).
    pub fn is_input(&self) -> bool {
        !matches!(self, StoreError::Io { .. } | StoreError::Crowded { .. })
    }
}

fn hint_nearest(nearest: &[String], count: usize) -> String {
    match nearest {
        [] => String::new(),
        [one] if count == 1 => format!("; the only run is {one}"),
        some if count > some.len() => {
            format!(
                "; nearest: {} (`keyquake list` shows all {count})",
                some.join(", ")
            )
        }
        some => format!("; there are: {}", some.join(", ")),
    }
}

fn first_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.len() {
        n if n > SHOWN => format!("{}, …", names[..SHOWN].join(", ")),
        _ => names.join(", "),
    }
}
