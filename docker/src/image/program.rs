//! Programs, and what they need beside themselves to run in an empty image.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs;
use std::os::raw::{c_int, c_void};
use std::path::{Path, PathBuf};

use crate::error::{DockerError, io};

/// Where the suite's own executable is in its images.
pub(crate) const OWN: &str = "/keyquake";
/// Where a program of the user's is; also what is run in an image that names no command.
pub(crate) const APP: &str = "/app";

/// Files of an image: absolute path, and content.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// This executable, and the shared libraries that it is running with, at the paths where its
/// loader looks for them.
pub(crate) fn own() -> Result<Files, DockerError> {
    let read = |path: &Path| {
        fs::read(path).map_err(io(|| {
            format!("read {} to put it into an image", path.display())
        }))
    };
    let executable = std::env::current_exe().map_err(io(|| "find this executable".into()))?;
    let mut files = Files::from([(PathBuf::from(OWN), read(&executable)?)]);
    for library in libraries() {
        let content = read(&library)?;
        files.insert(library, content);
    }
    Ok(files)
}

/// A program of the user's, which must need nothing else.
pub(crate) fn alone(path: &Path) -> Result<Files, DockerError> {
    let bad = |reason: String| DockerError::BadProgram {
        path: path.to_owned(),
        reason,
    };
    let content = fs::read(path).map_err(|error| bad(error.to_string()))?;
    match interpreter(&content) {
        Ok(None) => Ok(Files::from([(PathBuf::from(APP), content)])),
        Ok(Some(loader)) => Err(bad(format!(
            "it is linked dynamically (its loader is {loader}), and an empty image has no libraries; link it \
             statically (Go: CGO_ENABLED=0), or build an image of it and pass that with --image"
        ))),
        Err(reason) => Err(bad(reason.to_owned())),
    }
}

/// The shared objects of this process, by the names that its loader found them under. A static
/// executable has none.
fn libraries() -> Vec<PathBuf> {
    unsafe extern "C" fn note(
        object: *mut libc::dl_phdr_info,
        _size: usize,
        found: *mut c_void,
    ) -> c_int {
        // SAFETY: the loader passes a valid object with a C string for its name, and `found`
        // is what `libraries` gave.
        let (name, found) = unsafe {
            let name = (*object).dlpi_name;
            if name.is_null() {
                return 0;
            }
            (CStr::from_ptr(name), &mut *found.cast::<Vec<PathBuf>>())
        };
        let path = PathBuf::from(name.to_string_lossy().into_owned());
        // The kernel's own object (vdso) has no file.
        if path.is_absolute() && path.is_file() {
            found.push(path);
        }
        0
    }
    let mut found = Vec::new();
    // SAFETY: `note` keeps to what this function promises it, and `found` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut found).cast()) };
    found
}

/// The loader that an ELF program of 64 bits asks for; `None` for a static one.
fn interpreter(elf: &[u8]) -> Result<Option<String>, &'static str> {
    const SHORT: &str = "it is cut short";
    if elf.get(..4) != Some(b"\x7fELF") {
        return Err("it is no program (not an ELF file)");
    }
    if elf.get(4..6) != Some(&[2, 1]) {
        return Err("it is not for a 64-bit little-endian machine");
    }
    let number = |at: usize, bytes: usize| -> Result<usize, &'static str> {
        let raw = elf.get(at..at.saturating_add(bytes)).ok_or(SHORT)?;
        let mut wide = [0; 8];
        wide[..bytes].copy_from_slice(raw);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| SHORT)
    };
    const INTERP: usize = 3;
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        let header = table.saturating_add(index * size);
        if number(header, 4)? == INTERP {
            let (offset, length) = (number(header + 8, 8)?, number(header + 32, 8)?);
            let name = elf
                .get(offset..offset.saturating_add(length))
                .ok_or(SHORT)?;
            let name = String::from_utf8_lossy(name);
            return Ok(Some(name.trim_end_matches('\0').to_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_comes_with_its_loader_if_it_needs_one() {
        let files = own().unwrap();
        let loader = interpreter(&files[Path::new(OWN)]).unwrap();
        let shown: Vec<_> = files.keys().collect();
        match loader {
            Some(loader) => assert!(files.contains_key(Path::new(&loader)), "{shown:?}"),
            None => assert_eq!(files.len(), 1, "{shown:?}"),
        }
    }

    #[test]
    fn what_can_not_stand_alone_is_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("script");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        let error = alone(&script).unwrap_err().to_string();
        assert!(error.contains("not an ELF file"), "{error}");
        fs::write(&script, b"\x7fELF\x02\x01").unwrap();
        let error = alone(&script).unwrap_err().to_string();
        assert!(error.contains("cut short"), "{error}");
        let error = alone(Path::new("/bin/sh")).unwrap_err().to_string();
        assert!(
            error.contains("linked dynamically") && error.contains("--image"),
            "{error}"
        );
        assert!(alone(Path::new("/nowhere")).is_err());
    }
}
