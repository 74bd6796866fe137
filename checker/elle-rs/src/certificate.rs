//! Certificates: verdicts that can be checked without trusting who made them.
//!
//! ```json
//! {"format": 1, "kind": "linearizability", "model": "kv-map", "initial": null, "entries": 8,
//!  "verdict": "valid", "parts": [{"key": "\\"x\\"", "witness": [0, 2, 5]}]}
//! ```
//!
//! Operations go by the place of their invocation among the entries of the history (in our own
//! format: by their index). `valid` has a witness for every part (key): an order of its operations
//! that explains them all. `violated` has one part with a proof: a pattern that no order allows, and
//! the operations in it.
//!
//! | pattern | operations | why there is no order |
//! |---|---|---|
//! | `thin-air` | observer | it saw what nobody can have put |
//! | `replaced-twice` | two updates | both replaced the same value |
//! | `circle` | updates | each saw what the one before it put, round and round |
//! | `backwards` | first, then | the values force that order, time the other |
//! | `crossed` | a1, b2, b1, a2 | a1 completed before b2 began, b1 before a2; the values tie a1 to a2 and b1 to b2, and nothing stands between |
//! | `search` | culprit, others | all that may matter until the culprit returned: a search finds no order |
//!
//! `null` in place of an operation is the beginning. [`crate::verify`] checks them.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// The kind of a certificate that is about one order of operations.
pub const LINEARIZABILITY: &str = "linearizability";

/// The version written, and the newest one read.
pub const FORMAT: u32 = 1;

/// What every certificate has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The version of this format.
    pub format: u32,
    /// What is certified: [`LINEARIZABILITY`].
    pub kind: String,
    /// The model, by its name.
    pub model: String,
    /// What registers hold before everything; `null` for `nil`.
    pub initial: Option<i64>,
    /// How many entries the history has: another history is noticed.
    pub entries: u64,
    /// `valid` or `violated`.
    pub verdict: String,
    /// All parts of a valid history, one of a violated one.
    pub parts: Vec<CertifiedPart>,
}

/// What is certified of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedPart {
    /// The key, in EDN; `null` where there are no keys.
    pub key: Option<String>,
    /// An order that explains all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Vec<u64>>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// Why no order explains a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What is seen.
    pub pattern: String,
    /// In which operations; `null` is the beginning, where the pattern has a role for it.
    pub ops: Vec<Option<u64>>,
}

/// Why a certificate can't be read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It is none.
    #[error("{path}: no certificate: {reason}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It was written by a later release.
    #[error(
        "{path}: the certificate has format version {found}, and this release reads up to {FORMAT}; \
         verify it with the release that wrote it, or a later one"
    )]
    Newer {
        /// The file.
        path: String,
        /// The version in it.
        found: u32,
    },
}

impl Certificate {
    /// Reads a certificate.
    pub fn read(path: &Path) -> Result<Certificate, CertificateError> {
        let text = std::fs::read(path).map_err(|error| CertificateError::Malformed {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        Certificate::parse(&text, path)
    }

    /// Reads a certificate from its text; `path` is only for messages.
    pub fn parse(text: &[u8], path: &Path) -> Result<Certificate, CertificateError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let malformed = |error: serde_json::Error| CertificateError::Malformed {
            path: path.display().to_string(),
            reason: error.to_string(),
        };
        let version: Version = serde_json::from_slice(text).map_err(malformed)?;
        if version.format > FORMAT {
            return Err(CertificateError::Newer {
                path: path.display().to_string(),
                found: version.format,
            });
        }
        serde_json::from_slice(text).map_err(malformed)
    }

    /// Its text: one line, the same bytes for the same verdict.
    pub fn text(&self) -> String {
        // Strings, numbers and lists of them: nothing that JSON could refuse.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}
