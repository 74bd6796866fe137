//! Certificates of verdicts on transactions, and a check of them that trusts nobody.
//!
//! ```json
//! {"format": 1, "kind": "transactions", "model": "list-append", "level": "serializable",
//!  "entries": 8, "verdict": "valid", "order": [0, 2, 5]}
//! ```
//!
//! Transactions go by the place of their invocation among the entries of the history. `valid` has
//! an `order` of all that took effect, or, for snapshot isolation, `moments`: the place for a
//! start, `-1 - place` for a commit. `violated` has one `cycle`, each step with its reason:
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
//! `value`), `growing` (of counters, the greater is the later), `process` or `realtime` (somebody who wrote or read `value` came before somebody who
//! wrote or read `next`).
//!
//! The check shares no code with the checkers, only the reader of files, and takes linear time.

mod cycle;
mod history;
mod order;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::history::stream::{Format, Reader};
use crate::levels::Level;
use crate::txn::{Because, Decision, Outcome, Proof};

/// What stands in `kind`.
pub const TRANSACTIONS: &str = "transactions";

/// The version written, and the newest one read.
pub const FORMAT: u32 = 1;

/// A verdict on transactions with what shows that it is right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The version of this format.
    pub format: u32,
    /// [`TRANSACTIONS`].
    pub kind: String,
    /// The model, by its name.
    pub model: String,
    /// The isolation level, by its name.
    pub level: String,
    /// How many entries the history has: another history is noticed.
    pub entries: u64,
    /// `valid` or `violated`.
    pub verdict: String,
    /// An order of transactions that explains every read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<u64>>,
    /// An order of starts and commits that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moments: Option<Vec<i64>>,
    /// What the cycle is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<String>,
    /// The steps round it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Vec<Hop>>,
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

/// Why a certificate is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The history cannot be read.
    #[error(transparent)]
    Read(#[from] crate::history::stream::ReadError),
    /// It is no certificate that this release reads.
    #[error("no certificate of transactions: {0}")]
    Malformed(String),
    /// It does not show what it claims.
    #[error("the certificate does not hold: {0}")]
    Refuted(String),
}

impl Certificate {
    /// The certificate of a verdict; `None` where it has no proof: what is undecided, an anomaly
    /// that is no cycle (the operations in the finding show it), levels without one order.
    pub fn of(model: &str, entries: u64, outcome: &Outcome) -> Option<Certificate> {
        let mut certificate = Certificate {
            format: FORMAT,
            kind: TRANSACTIONS.to_owned(),
            model: model.to_owned(),
            level: outcome.level.name().to_owned(),
            entries,
            ..Certificate::default()
        };
        let verdict = match (&outcome.decision, &outcome.proof) {
            (Decision::Valid, Proof::Order(order)) => {
                certificate.order = Some(order.clone());
                "valid"
            }
            (Decision::Valid, Proof::StartsAndCommits(moments)) => {
                let moment = |&(place, commits): &(u64, bool)| {
                    let place = place as i64;
                    if commits { -1 - place } else { place }
                };
                certificate.moments = Some(moments.iter().map(moment).collect());
                "valid"
            }
            (Decision::Violated { .. }, Proof::Cycle(anomaly, cycle)) => {
                certificate.anomaly = Some(anomaly.clone());
                certificate.cycle = Some(cycle.iter().map(hop).collect());
                "violated"
            }
            _ => return None,
        };
        certificate.verdict = verdict.to_owned();
        Some(certificate)
    }

    /// Reads a certificate from its text.
    pub fn parse(text: &[u8]) -> Result<Certificate, ProofError> {
        let certificate: Certificate = serde_json::from_slice(text)
            .map_err(|error| ProofError::Malformed(error.to_string()))?;
        if certificate.format > FORMAT || certificate.kind != TRANSACTIONS {
            return Err(ProofError::Malformed(format!(
                "its format is {} and its kind {:?}; this release reads {TRANSACTIONS} up to \
                 format {FORMAT}",
                certificate.format, certificate.kind
            )));
        }
        Ok(certificate)
    }

    /// Its text: one line, the same bytes for the same verdict.
    pub fn text(&self) -> String {
        // Strings, numbers and lists of them: nothing that JSON could refuse.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

fn hop(because: &Because) -> Hop {
    Hop {
        before: because.before,
        after: because.after,
        kind: because.kind.to_owned(),
        rule: because.rule.map(str::to_owned),
        key: because.key,
        value: because.value,
        next: because.next,
    }
}

/// Checks a certificate against its history; says what the verdict rests on.
pub fn verify(
    certificate: &Certificate,
    history: &Path,
    format: Option<Format>,
) -> Result<String, ProofError> {
    verify_from(certificate, Reader::open(history, format)?)
}

/// The same, from a reader.
pub fn verify_from(certificate: &Certificate, reader: Reader) -> Result<String, ProofError> {
    let malformed = ProofError::Malformed;
    let level: Level = certificate
        .level
        .parse()
        .map_err(|error| malformed(format!("{error}")))?;
    let lists = match certificate.model.as_str() {
        "list-append" => true,
        "rw-register" | "rmw" | "long-fork" | "monotonic" => false,
        other => return Err(malformed(format!("its model is {other:?}"))),
    };
    let mut history = history::read(reader, lists)?.map_err(ProofError::Refuted)?;
    history.growing = certificate.model == "monotonic";
    if history.entries != certificate.entries {
        return Err(ProofError::Refuted(format!(
            "it is about a history of {} entries, and this one has {}",
            certificate.entries, history.entries
        )));
    }
    let shown = match certificate.verdict.as_str() {
        "valid" if history.torn => Err("the history is torn".to_owned()),
        "valid" => match (&certificate.order, &certificate.moments) {
            (Some(order), _) => order::serial(&history, level, order),
            (None, Some(moments)) => order::apart(&history, level, moments),
            (None, None) => Err("it has no order".to_owned()),
        },
        "violated" => {
            let cycle = certificate.cycle.as_deref().unwrap_or_default();
            cycle::refute(&history, level, cycle)
        }
        other => Err(format!("its verdict is {other:?}")),
    };
    shown.map_err(ProofError::Refuted)
}
