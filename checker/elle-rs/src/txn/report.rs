//! The verdict on transactions at a level, and what it rests on.

use crate::Finding;
use crate::levels::{Level, Ruled};

/// The verdict at a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No anomaly that the level forbids.
    Valid,
    /// Anomalies that the level forbids, the gravest first: first those of the values themselves,
    /// then cycles of data alone, of process order, of real time.
    Violated {
        /// At most one per anomaly and key, and one cycle of each kind.
        findings: Vec<Finding>,
    },
    /// The history cannot tell.
    Undecided {
        /// Why not.
        reason: String,
    },
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Transactions acknowledged.
    pub committed: u64,
    /// Transactions of which nobody knows.
    pub indeterminate: u64,
    /// Of those: seen by somebody, so they took effect.
    pub seen: u64,
    /// Transactions that failed.
    pub aborted: u64,
    /// Keys touched.
    pub keys: u64,
    /// Reads of acknowledged transactions, one per key and transaction.
    pub reads: u64,
    /// Appends or writes that took effect.
    pub appends: u64,
    /// Of those: never read by anybody.
    pub unread: u64,
    /// Edges of the graph.
    pub edges: u64,
}

/// Why one transaction of a cycle must come before the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Because {
    /// The index of the invocation of the first.
    pub before: u64,
    /// And of the second.
    pub after: u64,
    /// `ww`, `wr`, `rw`, `process` or `realtime`.
    pub kind: &'static str,
    /// The key, where it is about data.
    pub key: Option<i64>,
    /// What the first wrote (`ww`, `wr`) or the last thing it saw (`rw`; none: nothing).
    pub value: Option<i64>,
    /// What the second wrote (`ww`, `rw`).
    pub next: Option<i64>,
    /// How the order of the two values is known: `read`, `list`, `unread` (of a list), `initial`,
    /// `writes-follow-reads`, `atomic-visibility`, `growing`, `process`, `realtime`.
    pub rule: Option<&'static str>,
}

/// What shows that a verdict is right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// Nothing was asked for, or there is none.
    #[default]
    None,
    /// All transactions that took effect, by the index of their invocations, in an order that
    /// explains every read.
    Order(Vec<u64>),
    /// Their starts (`false`) and commits (`true`), likewise.
    StartsAndCommits(Vec<(u64, bool)>),
    /// One cycle, with the anomaly it is.
    Cycle(String, Vec<Because>),
}

/// The verdict, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The level asked for.
    pub level: Level,
    /// The verdict.
    pub decision: Decision,
    /// What was looked at.
    pub counts: Counts,
    /// Which levels the anomalies rule out.
    pub ruled: Ruled,
    /// What shows it.
    pub proof: Proof,
}
