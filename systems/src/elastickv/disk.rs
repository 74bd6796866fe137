//! What is done to the files of a node that is down: kept, put back, tampered with.
//!
//! Copies lie in the run's folder, `saved/<id>`: `kept` is what a plan saved, `before` what was
//! there before the last tampering. Folders that a node is given stay the same folders (a container
//! has them mounted); only what is in them is replaced.

mod raft_files;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use keyquake_cluster::NodeSpec;
use keyquake_rollout::Tamper;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use raft_files::RaftFiles;

use super::encryption::KeyFiles;
use super::encryption::files::run_folder;

/// The folder of all copies, from the run's folder.
const SAVED: &str = "saved";
const KEPT: &str = "kept";
const BEFORE: &str = "before";
/// The two parts of every copy.
const DATA: &str = "data";
const KEYS: &str = "keys";
/// One start may still be made from here, and none from the next.
const EPOCH_NEAR: u64 = 0xFFFE;
const EPOCH_LAST: u64 = 0xFFFF;

/// The files of one node.
pub struct Disk {
    data: PathBuf,
    /// The folder of its sidecar.
    keys: PathBuf,
    sidecar: PathBuf,
    run: PathBuf,
    id: String,
}

impl Disk {
    /// That of a node of a run.
    pub fn of(node: &NodeSpec) -> Self {
        let run = run_folder(&node.data_dir).to_owned();
        let sidecar = KeyFiles::of_run(&run).sidecar(&node.id);
        Self {
            data: node.data_dir.clone(),
            keys: sidecar.parent().unwrap_or(&run).to_owned(),
            sidecar,
            run,
            id: node.id.clone(),
        }
    }

    fn copy(&self, of: &str, which: &str) -> PathBuf {
        self.run.join(SAVED).join(of).join(which)
    }

    /// Keeps a copy of data and sidecar, in place of an earlier one.
    ///
    /// # Errors
    /// With what could not be copied.
    pub fn save(&self) -> Result<String, String> {
        let kept = self.copy(&self.id, KEPT);
        let bytes = self.keep(&kept)?;
        Ok(format!("{} bytes of {} were copied", bytes, self.id))
    }

    fn keep(&self, to: &Path) -> Result<u64, String> {
        let copied = replace(&to.join(DATA), &self.data)
            .and_then(|data| Ok(data + replace(&to.join(KEYS), &self.keys)?));
        copied.map_err(|error| format!("{} can't be copied to {}: {error}", self.id, to.display()))
    }

    fn put_back(&self, from: &Path) -> Result<u64, String> {
        let copied = replace(&self.data, &from.join(DATA))
            .and_then(|data| Ok(data + replace(&self.keys, &from.join(KEYS))?));
        copied.map_err(|error| {
            format!(
                "{} can't be put back from {} ({error}); a `save` of it has to come before",
                self.id,
                from.display()
            )
        })
    }

    /// Tampers with the files, in this order; `from` is whose saved disk a clone is. What was
    /// there before can be put back by [`Tamper::Undone`]. Gives what was done.
    ///
    /// # Errors
    /// With what could not be done, and to which file.
    pub fn tamper(&self, what: &[Tamper], from: Option<&str>) -> Result<Vec<String>, String> {
        if what.iter().any(|tamper| *tamper != Tamper::Undone)
            && what.first() != Some(&Tamper::Undone)
        {
            self.keep(&self.copy(&self.id, BEFORE))?;
        }
        what.iter().map(|tamper| self.once(*tamper, from)).collect()
    }

    fn once(&self, what: Tamper, from: Option<&str>) -> Result<String, String> {
        let (id, sidecar) = (&self.id, self.sidecar.display());
        let kept = self.copy(id, KEPT);
        let io = |error: io::Error| format!("{sidecar}: {error}");
        Ok(match what {
            Tamper::SidecarRemoved => {
                fs::remove_file(&self.sidecar).map_err(io)?;
                format!("{sidecar} was removed")
            }
            Tamper::SidecarOlder => {
                let older = kept.join(KEYS).join(file_name(&self.sidecar));
                fs::copy(&older, &self.sidecar).map_err(|error| {
                    format!("{}: {error}; save the node first", older.display())
                })?;
                format!("{sidecar} was replaced by the copy that was saved")
            }
            Tamper::SidecarCorrupt => {
                let mut bytes = fs::read(&self.sidecar).map_err(io)?;
                // A control character is nowhere legal in JSON but between tokens, and these
                // are too many to fall between two.
                let middle = bytes.len() / 2;
                let end = bytes.len().min(middle + 16);
                bytes[middle..end].fill(0);
                fs::write(&self.sidecar, bytes).map_err(io)?;
                format!("bytes {middle} to {end} of {sidecar} were overwritten")
            }
            Tamper::SidecarEpochLast => self.set_epoch(EPOCH_LAST)?,
            Tamper::SidecarEpochNear => self.set_epoch(EPOCH_NEAR)?,
            Tamper::SidecarCutover => self.edit(|sidecar| {
                let field = "raft_envelope_cutover_index";
                let index = sidecar.get(field).and_then(Value::as_u64).unwrap_or(0);
                let lower = index.checked_sub(1).ok_or("it has no raft cutover")?;
                sidecar[field] = lower.into();
                Ok(format!(
                    "its raft cutover was lowered from {index} to {lower}"
                ))
            })?,
            Tamper::DataOlder => {
                self.put_back(&kept)?;
                format!("data and sidecar of {id} are those that were saved")
            }
            Tamper::DataCloned => {
                let from = from.ok_or("no other node was saved before")?;
                self.put_back(&self.copy(from, KEPT))?;
                format!("data and sidecar of {id} are those that were saved of {from}")
            }
            Tamper::DataWiped => {
                let wiped = clear(&self.data).and_then(|()| clear(&self.keys));
                wiped.map_err(|error| format!("{id} can't be wiped: {error}"))?;
                format!("data and sidecar of {id} were removed")
            }
            Tamper::Undone => {
                self.put_back(&self.copy(id, BEFORE))?;
                format!("data and sidecar of {id} are as they were before")
            }
        })
    }

    fn set_epoch(&self, epoch: u64) -> Result<String, String> {
        self.edit(|sidecar| {
            let active = sidecar.pointer("/active/storage").and_then(Value::as_u64);
            let key = active
                .filter(|&key| key != 0)
                .ok_or("it has no active storage key")?;
            let row = sidecar.pointer_mut(&format!("/keys/{key}"));
            row.ok_or("its active storage key is not among its keys")?["local_epoch"] =
                epoch.into();
            Ok(format!("the epoch of key {key} was set to {epoch}"))
        })
    }

    /// Changes the sidecar as JSON; everything else of it stays.
    fn edit(
        &self,
        change: impl FnOnce(&mut Value) -> Result<String, &'static str>,
    ) -> Result<String, String> {
        let file = self.sidecar.display();
        let text = fs::read(&self.sidecar).map_err(|error| format!("{file}: {error}"))?;
        let mut sidecar: Value =
            serde_json::from_slice(&text).map_err(|error| format!("{file}: {error}"))?;
        let done = change(&mut sidecar).map_err(|error| format!("{file}: {error}"))?;
        let text = serde_json::to_vec_pretty(&sidecar).map_err(|error| error.to_string())?;
        fs::write(&self.sidecar, text).map_err(|error| format!("{file}: {error}"))?;
        Ok(format!("{file}: {done}"))
    }

    /// Names, sizes and digests of all files in the sidecar's folder.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn fingerprint(&self) -> Result<String, String> {
        let folder = self.keys.display();
        let mut files = Vec::new();
        let entries = match fs::read_dir(&self.keys) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(format!("{folder} is not there"));
            }
            Err(error) => return Err(format!("{folder}: {error}")),
        };
        for entry in entries {
            let path = entry.map_err(|error| format!("{folder}: {error}"))?.path();
            let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let digest: String = Sha256::digest(&bytes)
                .iter()
                .take(8)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            files.push(format!(
                "{} of {} bytes with SHA-256 {digest}…",
                file_name(&path),
                bytes.len()
            ));
        }
        files.sort();
        Ok(format!("{folder} holds [{}]", files.join(", ")))
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Makes a folder hold exactly what another one does; gives the bytes copied.
fn replace(to: &Path, from: &Path) -> io::Result<u64> {
    // Looked at first, so that nothing is lost where there is nothing to put in its place.
    let entries = fs::read_dir(from)?.collect::<io::Result<Vec<_>>>()?;
    fs::create_dir_all(to)?;
    clear(to)?;
    let mut bytes = 0;
    for entry in entries {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        bytes += if entry.file_type()?.is_dir() {
            replace(&target, &source)?
        } else {
            fs::copy(&source, &target)?
        };
    }
    Ok(bytes)
}

/// Empties a folder.
fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
