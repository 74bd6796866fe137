//! Isolation levels by their usual names, which anomalies each forbids, and which levels the
//! anomalies of a history rule out.

mod lattice;
mod spelling;

use std::fmt;
use std::str::FromStr;

pub use lattice::Ruled;
pub(crate) use spelling::nearest;

use crate::graph::{CycleKind, Kinds};

/// An isolation level that can be asked for. Each forbids all that the levels it implies forbid;
/// the whole lattice is in [`Ruled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Writes have one order: no `G0`.
    ReadUncommitted,
    /// Only committed, final states are read: no `G1`.
    ReadCommitted,
    /// And no cycle over single keys at all. (For operations on single keys it forbids what
    /// serializability does, but for a transaction's own view of itself.)
    RepeatableRead,
    /// Reads come from one snapshot, and of two concurrent writers of a key one aborts.
    SnapshotIsolation,
    /// All transactions fit into one order.
    Serializable,
    /// No `G0`, and each process's writes follow each other.
    StrongSessionReadUncommitted,
    /// No `G1`, and each process reads nothing from its own future.
    StrongSessionReadCommitted,
    /// Snapshot isolation, and each process sees its own past.
    StrongSessionSnapshotIsolation,
    /// One order, which has each process's transactions in theirs.
    StrongSessionSerializable,
    /// No `G0`, and writes follow each other as in real time.
    StrongReadUncommitted,
    /// No `G1`, and nothing is read from the future.
    StrongReadCommitted,
    /// Snapshot isolation, and everybody sees what was complete before they began.
    StrongSnapshotIsolation,
    /// One order, which is that of real time, where transactions did not overlap.
    StrictSerializable,
}

use Level::{
    ReadCommitted, ReadUncommitted, RepeatableRead, Serializable, SnapshotIsolation,
    StrictSerializable, StrongReadCommitted, StrongReadUncommitted, StrongSessionReadCommitted,
    StrongSessionReadUncommitted, StrongSessionSerializable, StrongSessionSnapshotIsolation,
    StrongSnapshotIsolation,
};

/// The name of each level, and others it goes by (Adya's among them).
const NAMES: [(Level, &str, &[&str]); 13] = [
    (
        StrictSerializable,
        "strict-serializable",
        &["strong-serializable", "PL-SS"],
    ),
    (
        StrongSessionSerializable,
        "strong-session-serializable",
        &[],
    ),
    (
        Serializable,
        "serializable",
        &["conflict-serializable", "PL-3"],
    ),
    (StrongSnapshotIsolation, "strong-snapshot-isolation", &[]),
    (
        StrongSessionSnapshotIsolation,
        "strong-session-snapshot-isolation",
        &[],
    ),
    (SnapshotIsolation, "snapshot-isolation", &["PL-SI"]),
    (RepeatableRead, "repeatable-read", &["PL-2.99"]),
    (
        StrongReadCommitted,
        "strong-read-committed",
        &["strong-PL-2"],
    ),
    (
        StrongSessionReadCommitted,
        "strong-session-read-committed",
        &["strong-session-PL-2"],
    ),
    (ReadCommitted, "read-committed", &["PL-2"]),
    (
        StrongReadUncommitted,
        "strong-read-uncommitted",
        &["strong-PL-1"],
    ),
    (
        StrongSessionReadUncommitted,
        "strong-session-read-uncommitted",
        &["strong-session-PL-1"],
    ),
    (ReadUncommitted, "read-uncommitted", &["PL-1"]),
];

/// A name that is no level that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownLevel {
    /// Nobody knows it.
    #[error("there is no isolation level \"{name}\"; did you mean {nearest}? There are: {all}", all = all_names())]
    Misspelt {
        /// What was asked for.
        name: String,
        /// The level whose name is nearest.
        nearest: &'static str,
    },
    /// It is known, and no check here decides it.
    #[error("{name} is a level that is not decided here; {stronger} implies it and is. There are: {all}", all = all_names())]
    Undecided {
        /// What was asked for.
        name: String,
        /// The weakest level that implies it.
        stronger: &'static str,
    },
}

fn all_names() -> String {
    NAMES.map(|(_, name, _)| name).join(", ")
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(name: &str) -> Result<Self, UnknownLevel> {
        let known = NAMES.iter().find(|(_, known, others)| {
            known.eq_ignore_ascii_case(name)
                || others.iter().any(|other| other.eq_ignore_ascii_case(name))
        });
        if let Some(&(level, ..)) = known {
            return Ok(level);
        }
        if let Some(stronger) = lattice::weakest_that_implies(name, &NAMES.map(|(_, n, _)| n)) {
            return Err(UnknownLevel::Undecided {
                name: name.to_owned(),
                stronger,
            });
        }
        let names = NAMES.iter().map(|&(_, name, _)| name);
        Err(UnknownLevel::Misspelt {
            name: name.to_owned(),
            nearest: spelling::nearest(name, names),
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Level {
    /// All of them, the strongest first.
    pub fn all() -> impl Iterator<Item = Level> {
        NAMES.into_iter().map(|(level, ..)| level)
    }

    /// Its usual name.
    pub fn name(self) -> &'static str {
        let name = NAMES.iter().find(|(level, ..)| *level == self);
        name.map_or("", |&(_, name, _)| name)
    }

    /// The cycles it forbids, the gravest first.
    pub(crate) fn cycles(self) -> &'static [CycleKind] {
        use CycleKind::{G0, G1c, G2Item, GNonadjacent, GSingle};
        match self {
            ReadUncommitted | StrongSessionReadUncommitted | StrongReadUncommitted => &[G0],
            ReadCommitted | StrongSessionReadCommitted | StrongReadCommitted => &[G0, G1c],
            SnapshotIsolation | StrongSessionSnapshotIsolation | StrongSnapshotIsolation => {
                &[G0, G1c, GSingle, GNonadjacent]
            }
            RepeatableRead | Serializable | StrongSessionSerializable | StrictSerializable => {
                &[G0, G1c, GSingle, GNonadjacent, G2Item]
            }
        }
    }

    /// What else than data orders its transactions, from the least to the most.
    pub(crate) fn orders(self) -> &'static [Kinds] {
        match self {
            ReadUncommitted | ReadCommitted | RepeatableRead | SnapshotIsolation | Serializable => {
                &[Kinds::NONE]
            }
            StrongSessionReadUncommitted
            | StrongSessionReadCommitted
            | StrongSessionSnapshotIsolation
            | StrongSessionSerializable => &[Kinds::NONE, Kinds::PROCESS],
            // A process's transactions follow each other in real time too.
            StrongReadUncommitted
            | StrongReadCommitted
            | StrongSnapshotIsolation
            | StrictSerializable => &[Kinds::NONE, Kinds::PROCESS, Kinds::REALTIME],
        }
    }

    /// Whether an anomaly rules it out.
    pub fn forbids(self, anomaly: &str) -> bool {
        lattice::rules_out(anomaly, self.name())
    }

    /// Whether a transaction's reads are of one snapshot and its own writes.
    pub(crate) fn is_snapshot_or_more(self) -> bool {
        self.forbids("internal")
    }

    /// Whether it says nothing about what a read missed.
    pub(crate) fn is_weak(self) -> bool {
        self.cycles().len() <= 2
    }

    /// Whether it is snapshot isolation, of whatever strength, and not more.
    pub(crate) fn is_snapshot(self) -> bool {
        self.cycles().last() == Some(&CycleKind::GNonadjacent)
    }
}
