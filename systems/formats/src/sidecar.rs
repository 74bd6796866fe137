//! A node's key sidecar, read strictly.
//!
//! The reader knows the contract only and takes nothing for granted: what breaks a rule is
//! an error that names the file and the field. Fields it does not know are kept by name.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use thiserror::Error;

use super::Purpose;
use super::keys::WrappedDek;

/// Versions of the format that are known.
const VERSIONS: std::ops::RangeInclusive<u64> = 1..=2;

/// Why a sidecar cannot be believed.
#[derive(Debug, Error)]
pub enum SidecarError {
    /// It could not be read.
    #[error("sidecar {file}: {source}")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not JSON: torn, or another file.
    #[error("parse sidecar {file}: {source}")]
    Parse {
        /// The file.
        file: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A field breaks a rule.
    #[error("sidecar {file}: field {field}: {problem}")]
    Field {
        /// The file.
        file: PathBuf,
        /// The field's path, as `keys.7.purpose`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Ids of the keys in use; 0 if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Active {
    /// The storage key's id.
    pub storage: u32,
    /// The raft key's id.
    pub raft: u32,
}

/// A key in a sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// What it is for.
    pub purpose: Purpose,
    /// Its bytes, wrapped.
    pub wrapped: WrappedDek,
    /// When the node wrote it first; differs between nodes.
    pub created: String,
    /// Process loads of this node under it; differs between nodes.
    pub local_epoch: u16,
}

/// A sidecar that obeys every rule of its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    /// 1 or 2.
    pub version: u64,
    /// Log index of the last encryption entry that was applied.
    pub raft_applied_index: u64,
    /// Whether phase 1 is over.
    pub storage_envelope_active: bool,
    /// Log index of phase 1's cutover; 0 before it.
    pub storage_envelope_cutover_index: u64,
    /// Log index of phase 2's cutover; 0 before it.
    pub raft_envelope_cutover_index: u64,
    /// Keys in use.
    pub active: Active,
    /// Every key there ever was.
    pub keys: BTreeMap<u32, Key>,
    /// Paths of fields that this reader does not know.
    pub unknown: Vec<String>,
}

impl Sidecar {
    /// Reads a sidecar.
    ///
    /// # Errors
    /// [`SidecarError`]: the file and the field that breaks a rule.
    pub fn read(file: &Path) -> Result<Sidecar, SidecarError> {
        let text = fs::read(file).map_err(|source| SidecarError::Read {
            file: file.to_owned(),
            source,
        })?;
        let value = serde_json::from_slice(&text).map_err(|source| SidecarError::Parse {
            file: file.to_owned(),
            source,
        })?;
        parse(value).map_err(|Wrong { field, problem }| SidecarError::Field {
            file: file.to_owned(),
            field,
            problem,
        })
    }
}

/// A rule that a field breaks.
struct Wrong {
    field: String,
    problem: String,
}

fn wrong<T>(field: impl fmt::Display, problem: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong {
        field: field.to_string(),
        problem: problem.into(),
    })
}

fn parse(value: Value) -> Result<Sidecar, Wrong> {
    let mut top = Fields::of("", value)?;
    let version = top.number("version", u64::MAX)?;
    if !VERSIONS.contains(&version) {
        return wrong(
            "version",
            format!("unsupported sidecar version {version}, want 1..2"),
        );
    }
    let mut active = Fields::of("active", top.take("active")?)?;
    let mut sidecar = Sidecar {
        version,
        raft_applied_index: top.number("raft_applied_index", u64::MAX)?,
        storage_envelope_active: top.switch("storage_envelope_active")?,
        storage_envelope_cutover_index: match version {
            // Version 1 is older than the field.
            1 => top.number_or_0("storage_envelope_cutover_index")?,
            _ => top.number("storage_envelope_cutover_index", u64::MAX)?,
        },
        raft_envelope_cutover_index: top.number("raft_envelope_cutover_index", u64::MAX)?,
        active: Active {
            storage: active.number("storage", u32::MAX.into())? as u32,
            raft: active.number("raft", u32::MAX.into())? as u32,
        },
        keys: BTreeMap::new(),
        unknown: Vec::new(),
    };
    let keys = Fields::of("keys", top.take("keys")?)?;
    sidecar.unknown = [top.rest(), active.rest()].concat();
    for (name, value) in keys.fields {
        let id = key_id(&name)?;
        let mut fields = Fields::of(&format!("keys.{name}"), value)?;
        let key = key(&mut fields)?;
        sidecar.unknown.append(&mut fields.rest());
        if sidecar.keys.insert(id, key).is_some() {
            return wrong(format!("keys.{name}"), "the key_id is there twice");
        }
    }
    check_active(
        &sidecar,
        "active.storage",
        sidecar.active.storage,
        Purpose::Storage,
    )?;
    check_active(&sidecar, "active.raft", sidecar.active.raft, Purpose::Raft)?;
    Ok(sidecar)
}

fn key_id(name: &str) -> Result<u32, Wrong> {
    let decimal = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    match name.parse() {
        Ok(0) => wrong(format!("keys.{name}"), "sidecar key_id 0 is reserved"),
        Ok(id) if decimal => Ok(id),
        _ => wrong(format!("keys.{name}"), "key_id is not a decimal uint32"),
    }
}

fn key(fields: &mut Fields) -> Result<Key, Wrong> {
    let purpose = fields.text("purpose")?;
    let purpose = match purpose.as_str() {
        "storage" => Purpose::Storage,
        "raft" => Purpose::Raft,
        _ => {
            let problem = format!("unsupported sidecar key purpose {purpose:?}");
            return wrong(fields.path("purpose"), problem);
        }
    };
    let wrapped = STANDARD.decode(fields.text("wrapped")?);
    let wrapped = match wrapped.map(|bytes| WrappedDek::try_from(bytes.as_slice())) {
        Ok(Ok(wrapped)) => wrapped,
        Ok(Err(error)) => return wrong(fields.path("wrapped"), error.to_string()),
        Err(error) => return wrong(fields.path("wrapped"), format!("not base64: {error}")),
    };
    Ok(Key {
        purpose,
        wrapped,
        created: fields.text("created")?,
        local_epoch: fields.number("local_epoch", u16::MAX.into())? as u16,
    })
}

fn check_active(sidecar: &Sidecar, field: &str, id: u32, purpose: Purpose) -> Result<(), Wrong> {
    match sidecar.keys.get(&id) {
        _ if id == 0 => Ok(()),
        None => wrong(
            field,
            format!("sidecar active key_id {id} has no entry in keys map"),
        ),
        Some(key) if key.purpose != purpose => wrong(
            field,
            format!(
                "key_id {id} references a key with mismatched purpose {}",
                key.purpose
            ),
        ),
        Some(_) => Ok(()),
    }
}

/// The fields of one JSON object, taken out one by one.
struct Fields {
    path: String,
    fields: Map<String, Value>,
}

impl Fields {
    fn of(path: &str, value: Value) -> Result<Fields, Wrong> {
        match value {
            Value::Object(fields) => Ok(Fields {
                path: path.to_owned(),
                fields,
            }),
            _ if path.is_empty() => wrong("(all)", "not a JSON object"),
            _ => wrong(path, "not a JSON object"),
        }
    }

    fn path(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    fn take(&mut self, name: &str) -> Result<Value, Wrong> {
        match self.fields.remove(name) {
            Some(value) => Ok(value),
            None => wrong(self.path(name), "is missing"),
        }
    }

    fn number(&mut self, name: &str, max: u64) -> Result<u64, Wrong> {
        let value = self.take(name)?;
        match value.as_u64().filter(|number| *number <= max) {
            Some(number) => Ok(number),
            None => wrong(
                self.path(name),
                format!("{value} is not a number 0..={max}"),
            ),
        }
    }

    fn number_or_0(&mut self, name: &str) -> Result<u64, Wrong> {
        match self.fields.contains_key(name) {
            true => self.number(name, u64::MAX),
            false => Ok(0),
        }
    }

    fn switch(&mut self, name: &str) -> Result<bool, Wrong> {
        let value = self.take(name)?;
        match value.as_bool() {
            Some(switch) => Ok(switch),
            None => wrong(self.path(name), format!("{value} is not true or false")),
        }
    }

    fn text(&mut self, name: &str) -> Result<String, Wrong> {
        match self.take(name)? {
            Value::String(text) => Ok(text),
            other => wrong(self.path(name), format!("{other} is not a text")),
        }
    }

    fn rest(&self) -> Vec<String> {
        self.fields.keys().map(|name| self.path(name)).collect()
    }
}

#[cfg(test)]
mod tests;
