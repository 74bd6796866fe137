//! What can be said against starting a node before it is started.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::RuntimeError;
use crate::spec::NodeSpec;

/// Finds the program as the shell would, and says what is wrong with it.
pub(super) fn check_program(spec: &NodeSpec) -> Result<PathBuf, RuntimeError> {
    let program = &spec.launch.program;
    let not_found = || RuntimeError::ProgramNotFound {
        node: spec.id.clone(),
        program: program.clone(),
    };
    if program.components().count() == 1 && !program.is_absolute() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&path).map(|place| place.join(program));
        let runs = |place: &PathBuf| place.is_file() && access(place, AccessFlags::X_OK).is_ok();
        return places.into_iter().find(runs).ok_or_else(not_found);
    }
    let refuse = |reason: String| RuntimeError::NotExecutable {
        node: spec.id.clone(),
        program: program.clone(),
        reason,
    };
    match fs::metadata(program) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(RuntimeError::ProgramNotFound {
            node: spec.id.clone(),
            program: program.clone(),
        }),
        Err(error) => Err(refuse(error.to_string())),
        Ok(meta) if meta.is_dir() => Err(refuse("it is a directory".into())),
        Ok(_) => match access(program, AccessFlags::X_OK) {
            Ok(()) => Ok(program.clone()),
            Err(error) => Err(refuse(error.desc().to_owned())),
        },
    }
}

/// Names what the kernel had against a program that looked right.
pub(super) fn not_started(spec: &NodeSpec, program: PathBuf, source: io::Error) -> RuntimeError {
    let node = spec.id.clone();
    match source.kind() {
        // The script's interpreter, since the file itself was seen.
        ErrorKind::NotFound => RuntimeError::NotExecutable {
            node,
            program,
            reason: "its interpreter or loader is not there".into(),
        },
        ErrorKind::PermissionDenied => RuntimeError::NotExecutable {
            node,
            program,
            reason: source.to_string(),
        },
        _ => RuntimeError::Io {
            node,
            what: "start",
            source,
        },
    }
}

/// Makes the directory if need be. No probe file is written: a start must leave
/// a data directory as it was.
///
/// # Errors
/// When it can't be made, or not be written to.
pub fn check_directory(
    spec: &NodeSpec,
    role: &'static str,
    path: &Path,
) -> Result<(), RuntimeError> {
    let refuse = |done, source| RuntimeError::Directory {
        node: spec.id.clone(),
        role,
        path: path.to_owned(),
        done,
        source,
    };
    fs::create_dir_all(path).map_err(|source| refuse("made", source))?;
    access(path, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|error| refuse("written to", error.into()))
}
