//! What comes of a step, and what may.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What came of a step, or of a member's process because of it.
///
/// Written as plans and histories spell it: `accepted`, `refused`, `refused NAME`, `halts`,
/// `halts NAME`, `serves`, `failed`, `indeterminate`, `unchanged`, `changed`, `unknown`, `any`. A name is a refusal's
/// (`proposer-not-configured`) or an error's (`ErrKEKMismatch`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Outcome {
    /// Of a call or a change of members: answered with success.
    Accepted,
    /// Of a call: a definite refusal. Of a start: it ended by itself, non-zero, before it served.
    /// In an expectation `None` stands for every name; in an observation, for a name not known.
    Refused(Option<String>),
    /// The process applies no further and ends: at an entry that it can't apply.
    Halts(Option<String>),
    /// Of a start: it came up, registered where it must, and serves.
    Serves,
    /// Of a call: certainly nothing was done, and nobody gave a reason (no connection).
    Failed,
    /// Of a call: it may have been committed.
    Indeterminate,
    /// Of what a refusal must leave alone: it is as it was.
    Unchanged,
    /// Of what a refusal must leave alone: it is not as it was.
    Changed,
    /// In an observation only: nobody could tell.
    Unknown,
    /// In an expectation only: whatever comes.
    Any,
}

/// A word that is no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no outcome; there are accepted, refused, `refused NAME`, halts, `halts NAME`, serves, failed, indeterminate, unchanged, changed, unknown, any"
)]
pub struct UnknownOutcome(String);

impl Outcome {
    /// Whether this expectation is met by what was seen.
    pub fn allows(&self, seen: &Outcome) -> bool {
        match (self, seen) {
            (Outcome::Any, _) => true,
            (Outcome::Refused(None), Outcome::Refused(_)) => true,
            (Outcome::Halts(None), Outcome::Halts(_)) => true,
            _ => self == seen,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Accepted => f.write_str("accepted"),
            Outcome::Refused(None) => f.write_str("refused"),
            Outcome::Refused(Some(name)) => write!(f, "refused {name}"),
            Outcome::Halts(None) => f.write_str("halts"),
            Outcome::Halts(Some(name)) => write!(f, "halts {name}"),
            Outcome::Serves => f.write_str("serves"),
            Outcome::Failed => f.write_str("failed"),
            Outcome::Indeterminate => f.write_str("indeterminate"),
            Outcome::Unchanged => f.write_str("unchanged"),
            Outcome::Changed => f.write_str("changed"),
            Outcome::Unknown => f.write_str("unknown"),
            Outcome::Any => f.write_str("any"),
        }
    }
}

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (word, name) = match text.split_once(' ') {
            Some((word, name)) if !name.trim().is_empty() => (word, Some(name.trim().to_owned())),
            _ => (text, None),
        };
        Ok(match (word, name) {
            ("accepted", None) => Outcome::Accepted,
            ("refused", name) => Outcome::Refused(name),
            ("halts", name) => Outcome::Halts(name),
            ("serves", None) => Outcome::Serves,
            ("failed", None) => Outcome::Failed,
            ("indeterminate", None) => Outcome::Indeterminate,
            ("unchanged", None) => Outcome::Unchanged,
            ("changed", None) => Outcome::Changed,
            ("unknown", None) => Outcome::Unknown,
            ("any", None) => Outcome::Any,
            _ => return Err(UnknownOutcome(text.to_owned())),
        })
    }
}

impl TryFrom<String> for Outcome {
    type Error = UnknownOutcome;

    fn try_from(text: String) -> Result<Self, UnknownOutcome> {
        text.parse()
    }
}

impl From<Outcome> for String {
    fn from(outcome: Outcome) -> Self {
        outcome.to_string()
    }
}

/// What was seen of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Of the step itself.
    pub outcome: Outcome,
    /// Of members whose process ended or halted because of it.
    pub members: BTreeMap<u16, Outcome>,
}
