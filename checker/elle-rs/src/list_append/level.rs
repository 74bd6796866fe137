//! Isolation levels by their usual names, and which anomalies each rules out.

use std::fmt;
use std::str::FromStr;

use super::graph::Kinds;

/// An isolation level. Each forbids all that the levels it implies forbid:
///
/// ```text
/// strict-serializable → strong-session-serializable → serializable
///        ↓                          ↓                      ↓
/// strong-snapshot-isolation → strong-session-snapshot-isolation → snapshot-isolation
///                                            → read-committed → read-uncommitted
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Writes have one order: no `G0`.
    ReadUncommitted,
    /// Only committed, final states are read: no `G1`.
    ReadCommitted,
    /// Reads come from one snapshot, and of two concurrent writers of a key one aborts.
    SnapshotIsolation,
    /// And each process sees its own past.
    StrongSessionSnapshotIsolation,
    /// And everybody sees what was complete before they began.
    StrongSnapshotIsolation,
    /// All transactions fit into one order.
    Serializable,
    /// And the order has each process's transactions in theirs.
    StrongSessionSerializable,
    /// And the order is that of real time, where transactions did not overlap.
    StrictSerializable,
}

const NAMES: [(Level, &str); 8] = [
    (Level::ReadUncommitted, "read-uncommitted"),
    (Level::ReadCommitted, "read-committed"),
    (Level::SnapshotIsolation, "snapshot-isolation"),
    (
        Level::StrongSessionSnapshotIsolation,
        "strong-session-snapshot-isolation",
    ),
    (Level::StrongSnapshotIsolation, "strong-snapshot-isolation"),
    (Level::Serializable, "serializable"),
    (
        Level::StrongSessionSerializable,
        "strong-session-serializable",
    ),
    (Level::StrictSerializable, "strict-serializable"),
];

/// A name that is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no isolation level \"{name}\"; there are: {}", NAMES.map(|(_, name)| name).join(", "))]
pub struct UnknownLevel {
    /// What was asked for.
    pub name: String,
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(name: &str) -> Result<Self, UnknownLevel> {
        NAMES
            .iter()
            .find(|&&(_, known)| known == name)
            .map(|&(level, _)| level)
            .ok_or_else(|| UnknownLevel {
                name: name.to_owned(),
            })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(level, _)| level == self);
        f.pad(name.map_or("", |&(_, name)| name))
    }
}

/// The kinds of cycles, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum CycleKind {
    /// Only appends following appends.
    G0,
    /// Appends and reads of them.
    G1c,
    /// Exactly one read that missed an append.
    GSingle,
    /// Several, but none right after another.
    GNonadjacent,
    /// Any.
    G2Item,
}

impl CycleKind {
    pub fn name(self) -> &'static str {
        match self {
            CycleKind::G0 => "G0",
            CycleKind::G1c => "G1c",
            CycleKind::GSingle => "G-single",
            CycleKind::GNonadjacent => "G-nonadjacent",
            CycleKind::G2Item => "G2-item",
        }
    }
}

impl Level {
    /// The cycles it forbids, the gravest first.
    pub(super) fn cycles(self) -> &'static [CycleKind] {
        use CycleKind::{G0, G1c, G2Item, GNonadjacent, GSingle};
        match self {
            Level::ReadUncommitted => &[G0],
            Level::ReadCommitted => &[G0, G1c],
            Level::SnapshotIsolation
            | Level::StrongSessionSnapshotIsolation
            | Level::StrongSnapshotIsolation => &[G0, G1c, GSingle, GNonadjacent],
            Level::Serializable | Level::StrongSessionSerializable | Level::StrictSerializable => {
                &[G0, G1c, GSingle, GNonadjacent, G2Item]
            }
        }
    }

    /// What else than data orders its transactions, from the least to the most.
    pub(super) fn orders(self) -> &'static [Kinds] {
        match self {
            Level::ReadUncommitted
            | Level::ReadCommitted
            | Level::SnapshotIsolation
            | Level::Serializable => &[Kinds::NONE],
            Level::StrongSessionSnapshotIsolation | Level::StrongSessionSerializable => {
                &[Kinds::NONE, Kinds::PROCESS]
            }
            // A process's transactions follow each other in real time too.
            Level::StrongSnapshotIsolation | Level::StrictSerializable => {
                &[Kinds::NONE, Kinds::PROCESS, Kinds::REALTIME]
            }
        }
    }

    /// Whether it forbids an anomaly that is no cycle.
    pub(super) fn forbids(self, anomaly: &str) -> bool {
        match anomaly {
            // The lists themselves are broken: no level at all.
            "duplicate-elements" | "thin-air" | "lost-append" => true,
            "G1a" | "G1b" | "dirty-update" | "incompatible-order" => self != Level::ReadUncommitted,
            _ => self.is_snapshot_or_more(),
        }
    }

    /// Whether it implies snapshot isolation.
    pub(super) fn is_snapshot_or_more(self) -> bool {
        !matches!(self, Level::ReadUncommitted | Level::ReadCommitted)
    }
}
