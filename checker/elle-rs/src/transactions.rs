//! From a file, a model and a level, all by their names, to a verdict on transactions.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::certificate::Certificate;
use crate::history::stream::{Format, Reader, Torn};
use crate::levels::{Level, nearest};
use crate::proof::Subject;
use crate::txn::{self, Decision, Outcome, TransactionsError};
use crate::{bank, list_append, long_fork, monotonic, rmw, rw_register};

/// What transactions do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Model {
    /// Append to lists and read them whole.
    ListAppend,
    /// Write and read registers, each value once per key.
    RwRegister,
    /// The same, and nobody writes what it has not read.
    Rmw,
    /// Read all accounts of a bank, between which others move money.
    Bank,
    /// Write registers, each once, and read groups of them.
    LongFork,
    /// Write registers that only grow, and read them.
    Monotonic,
}

const NAMES: [(Model, &str); 6] = [
    (Model::ListAppend, "list-append"),
    (Model::RwRegister, "rw-register"),
    (Model::Rmw, "rmw"),
    (Model::Bank, "bank"),
    (Model::LongFork, "long-fork"),
    (Model::Monotonic, "monotonic"),
];

/// A name that is no model of transactions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no model of transactions \"{name}\"; did you mean {nearest}?")]
pub struct UnknownModel {
    /// What was asked for.
    pub name: String,
    /// The model whose name is nearest.
    pub nearest: &'static str,
}

impl FromStr for Model {
    type Err = UnknownModel;

    fn from_str(name: &str) -> Result<Self, UnknownModel> {
        let found = NAMES.iter().find(|(_, known)| *known == name);
        found.map(|&(model, _)| model).ok_or_else(|| UnknownModel {
            name: name.to_owned(),
            nearest: nearest(name, NAMES.iter().map(|&(_, known)| known)),
        })
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(model, _)| model == self);
        f.pad(name.map_or("", |&(_, name)| name))
    }
}

/// The verdict on a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The model asked for.
    pub model: Model,
    /// The verdict, and what it rests on. `valid` is never said of a history that is torn, or of
    /// one in which nothing was acknowledged.
    pub outcome: Outcome,
    /// Where the file was torn off, if it was (of a bank, the reason says it).
    pub torn: Option<Torn>,
    /// What shows the verdict, where it can be shown.
    pub certificate: Option<Certificate>,
    /// Why it can't be, where it can't.
    pub uncertified: Option<String>,
}

impl Report {
    fn new(
        model: Model,
        outcome: Outcome,
        torn: Option<Torn>,
        certified: Result<Certificate, String>,
    ) -> Report {
        let (certificate, uncertified) = match certified {
            Ok(certificate) => (Some(certificate), None),
            Err(reason) => (None, Some(reason)),
        };
        Report {
            model,
            outcome,
            torn,
            certificate,
            uncertified,
        }
    }
}

/// Checks a history file.
pub fn check(
    path: &Path,
    format: Option<Format>,
    model: Model,
    level: Level,
) -> Result<Report, TransactionsError> {
    check_from(Reader::open(path, format)?, model, level)
}

/// Checks a history from a reader.
pub fn check_from(reader: Reader, model: Model, level: Level) -> Result<Report, TransactionsError> {
    if model == Model::Bank {
        let judged = bank::judge(reader, None, level)?;
        let subject = Subject {
            model: &model.to_string(),
            entries: judged.entries,
            outcome: &judged.outcome,
        };
        let certified = subject.of_bank(judged.total, judged.shows);
        return Ok(Report::new(model, judged.outcome, None, certified));
    }
    let read = txn::read_from(reader, model == Model::ListAppend)?;
    let mut outcome = match model {
        Model::ListAppend => list_append::check_store(&read.store, level),
        Model::Rmw => rmw::check_store(&read.store, level),
        Model::LongFork => long_fork::check_store(&read.store, level),
        Model::Monotonic => monotonic::check_store(&read.store, level),
        Model::Bank | Model::RwRegister => rw_register::check_store(&read.store, level),
    };
    if outcome.decision == Decision::Valid {
        let doubt = match &read.torn {
            Some(torn) => Some(torn.to_string()),
            None if outcome.counts.committed == 0 => {
                Some("no transaction was acknowledged".to_owned())
            }
            None if level.forbids("G1a")
                && !level.forbids("internal")
                && read.store.contradicts() =>
            {
                Some(format!(
                    "some transaction read a key again and saw something else, which {level} \
                     permits; who wrote that was not looked at, so it may be of one that failed. \
                     Ask for a level that forbids \"internal\""
                ))
            }
            None => None,
        };
        if let Some(reason) = doubt {
            outcome.decision = Decision::Undecided { reason };
        }
    }
    let subject = Subject {
        model: &model.to_string(),
        entries: read.entries,
        outcome: &outcome,
    };
    let certified = subject.of_store(&read.store);
    Ok(Report::new(model, outcome, read.torn, certified))
}
