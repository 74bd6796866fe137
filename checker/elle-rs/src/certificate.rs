//! Certificates: verdicts that can be checked without trusting who made them.
//!
//! ```json
//! {"format": 1, "kind": "linearizability", "model": "kv-map", "entries": 8,
//!  "verdict": "valid", "parts": [{"key": "\"x\"", "witness": [0, 2, 5]}]}
//! {"format": 1, "kind": "transactions", "model": "list-append", "level": "serializable",
//!  "entries": 8, "verdict": "valid", "order": [0, 2, 5]}
//! ```
//!
//! Operations and transactions go by the place of their invocation among the entries of the history
//! (in our own format: by their index). [`crate::verify`] checks certificates.
//!
//! # Linearizability
//!
//! `valid` has a witness for every part (key): an order of its operations that explains them all.
//! `violated` has one part with a proof: a pattern that no order allows, and the operations in it;
//! `null` in place of one is the beginning.
//!
//! | pattern | operations | why there is no order |
//! |---|---|---|
//! | `thin-air` | observer | it saw what nobody can have put |
//! | `replaced-twice` | two updates | both replaced the same value |
//! | `circle` | updates | each saw what the one before it put, round and round |
//! | `backwards` | first, then | the values force that order, time the other |
//! | `crossed` | a1, b2, b1, a2 | a1 completed before b2 began, b1 before a2; the values tie a1 to a2 and b1 to b2, and nothing stands between |
//! | `taken-twice` | two dequeues | both took what was put in once |
//! | `overtaken` | enqueue, dequeue, others | the others were put in before that enqueue began, and not all of them were taken when that dequeue completed |
//! | `never-free` | dequeue, enqueues | at every moment of the dequeue one of these is surely in the queue, that must not be |
//! | `twice` | a read of a set | it saw an element twice |
//! | `apart` | two reads of a set | each saw something that the other did not, and nothing is ever removed |
//! | `no-multiple` | a read of a counter | no number of additions gives that |
//! | `out-of-bounds` | reads of a counter, one or two | no choice of additions gives so little, or so much; or what the second saw, after the first |
//! | `crowded` | acquires, or releases | too few of the other kind touch the time in which all of these were |
//! | `search` | culprit, others | all that may matter until the culprit returned: a search finds no order |
//!
//! An append whose text was seen is an update, from the text in front of it to that and its own (if it was
//! seen behind several, from the first read in the order of texts); one that nobody saw is a write.
//!
//! # Transactions
//!
//! `valid` has an `order` of all that took effect: at the serializable levels and repeatable read it
//! explains every read, below read committed and at it every write and read is in the order of the
//! versions. For snapshot isolation it has `moments`: the place for a start, `-1 - place` for a
//! commit. Of a bank it has the `total`.
//!
//! `violated` names the `anomaly` and has a `cycle`, or what `shows` it. Each step of a cycle has its
//! reason:
//!
//! | kind | rule | `before` must come before `after`, because |
//! |---|---|---|
//! | `wr` | `read` | `after` read `value`, which `before` wrote |
//! | `ww` | see below | `before` wrote `value`, `after` wrote `next`, which is later |
//! | `rw` | see below | `before` read `value` (or nothing), `after` wrote `next`, which is later |
//! | `process` | | one process did them so |
//! | `realtime` | | `before` was complete when `after` began |
//!
//! `next` is later than `value` by `list` or `unread` (somebody read the list with `value` in it
//! and `next` not before it), `initial` (`value` is nothing), `writes-follow-reads` (`after` had
//! read `value`), `atomic-visibility` (who read or wrote `next` had read something from who wrote
//! `value`), `growing` (of counters, the greater is the later), `process` or `realtime` (somebody
//! who wrote or read `value` came before somebody who wrote or read `next`).
//!
//! | anomaly | `ops` | `values` | what is seen |
//! |---|---|---|---|
//! | `internal` | one | | a read of the key contradicts what its own transaction read or did |
//! | `thin-air` | reader | read | nobody ever wrote it |
//! | `G1a` | writer, reader | read | the writer was answered as failed, and nobody else wrote it |
//! | `G1b` | writer, reader | read, later | the writer wrote `later` over what was read |
//! | `dirty-update` | failed, next | its own, next's | a list has the second behind the first |
//! | `lost-update` | two | | both read the key alike, and then wrote to it |
//! | `duplicate-elements` | reader | element | it is in the list more often than it was appended |
//! | `incompatible-order` | two readers | | neither list begins with the other |
//! | `incompatible-order` | writer, reader | first, second | appended in this order, and read in the other |
//! | `lost-append` | writer, reader | first, second | both appended, and only the second read |
//! | `future-read` | one | read | it read, as another's, what it wrote itself |
//! | `cyclic-versions` | some | | each overwrote what another of them had written |
//! | `long-fork` | two readers | two keys | one saw the write of the first key alone, the other that of the second |
//! | `wrong-total` | two reads, or one | | their totals differ, or one lacks a balance |
//! | `negative-balance` | read | | a balance in it is below zero |

use std::path::Path;

use serde::{Deserialize, Serialize};

/// The kind of a certificate that is about one order of operations.
pub const LINEARIZABILITY: &str = "linearizability";

/// The kind of a certificate that is about the isolation of transactions.
pub const TRANSACTIONS: &str = "transactions";

/// The version written, and the newest one read.
pub const FORMAT: u32 = 1;

/// A verdict, and what shows that it is right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The version of this format.
    pub format: u32,
    /// What is certified: [`LINEARIZABILITY`] or [`TRANSACTIONS`].
    pub kind: String,
    /// The model, by its name.
    pub model: String,
    /// The isolation level, by its name; of transactions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// What registers hold before everything, where it is not `nil`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<i64>,
    /// How many entries the history has: another history is noticed.
    pub entries: u64,
    /// `valid` or `violated`.
    pub verdict: String,
    /// Of linearizability: all parts of a valid history, one of a violated one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<CertifiedPart>,
    /// An order of transactions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<u64>>,
    /// An order of their starts and commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moments: Option<Vec<i64>>,
    /// What is in a bank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// What is wrong with transactions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<String>,
    /// The steps round a cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Vec<Hop>>,
    /// What shows an anomaly that is no cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shows: Option<Shows>,
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

/// One step round a cycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The transaction that comes first.
    pub before: u64,
    /// The other.
    pub after: u64,
    /// `ww`, `wr`, `rw`, `process` or `realtime`.
    pub kind: String,
    /// How it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The key it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<i64>,
    /// The earlier value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<i64>,
    /// The later value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// The operations and values that show an anomaly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shows {
    /// The key it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<i64>,
    /// The operations, by their roles.
    pub ops: Vec<u64>,
    /// The values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<i64>,
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

    /// The operations of a counterexample, by place, each once; none of a valid verdict.
    pub fn counterexample(&self) -> Vec<u64> {
        let proofs = self.parts.iter().filter_map(|part| part.proof.as_ref());
        let proven = proofs.flat_map(|proof| proof.ops.iter().flatten());
        let round = self.cycle.iter().flatten().map(|hop| &hop.before);
        let shown = self.shows.iter().flat_map(|shows| &shows.ops);
        let mut ops: Vec<u64> = proven.chain(round).chain(shown).copied().collect();
        ops.sort_unstable();
        ops.dedup();
        ops
    }
}
