//! Isolation of list-append transactions, by Elle's cycle analysis, in linear time.
//!
//! Each key is a list, transactions append unique values and read whole lists. A list read
//! shows the order of its appends, so the order in which transactions must have taken effect
//! can be read off (`graph`), and a cycle in it is an anomaly with a name (`cycles`); other
//! anomalies stand in the lists themselves (`versions`).
//!
//! For the serializable levels the answer is complete: if nothing is found, any order that
//! respects the graph explains every read. For the snapshot-isolation levels it is complete but
//! for keys on which several appends were read by nobody: their order is not known, and that
//! some orders are not allowed is not used. What is found is always true.
//!
//! Pending transactions of which an append was read took effect; the others are left out.

mod components;
mod cycles;
mod explain;
mod graph;
mod level;
mod transactions;
mod versions;

pub use level::{Level, UnknownLevel};

use crate::Finding;
use crate::history::Event;
use crate::history::pairs::Malformed;
use crate::history::pairs::Outcome as Ended;
use explain::Story;
use graph::Kinds;
use transactions::Transactions;

/// The verdict at a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No anomaly that the level forbids.
    Valid,
    /// Anomalies that the level forbids, the gravest first: first those of the lists themselves,
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
    /// Appends that took effect.
    pub appends: u64,
    /// Of those: never read by anybody.
    pub unread: u64,
    /// Edges of the graph.
    pub edges: u64,
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
}

/// Decides whether a history's transactions satisfy a level. Events that are no transactions
/// are passed over.
pub fn check(events: &[Event], level: Level) -> Result<Outcome, Malformed> {
    let mut all = transactions::transactions(events)?;
    let seen = versions::order(&mut all, level.is_snapshot_or_more());
    let orders = level
        .orders()
        .iter()
        .fold(Kinds::NONE, |all, &order| all.with(order));
    let mut counts = count(&all);
    let mut findings: Vec<Finding> = seen
        .findings
        .into_iter()
        .filter(|finding| level.forbids(&finding.anomaly))
        .collect();
    // Without knowing whose an element is, a graph would tell tales, and so would whatever
    // rests on who appended an element.
    if seen.ambiguous.is_some() {
        let certain = ["internal", "thin-air", "duplicate-elements"];
        findings.retain(|finding| certain.contains(&finding.anomaly.as_str()));
    } else {
        let graph = graph::build(&all, orders);
        counts.edges = graph.size() as u64;
        let story = Story::new(&all);
        findings.extend(
            cycles::forbidden(&graph, level)
                .iter()
                .map(|cycle| story.cycle(cycle)),
        );
    }
    let decision = match seen.ambiguous {
        _ if !findings.is_empty() => Decision::Violated { findings },
        Some(reason) => Decision::Undecided { reason },
        None => Decision::Valid,
    };
    Ok(Outcome {
        level,
        decision,
        counts,
    })
}

fn count(all: &Transactions<'_>) -> Counts {
    let mut counts = Counts {
        keys: all.lists.len() as u64,
        ..Counts::default()
    };
    for transaction in &all.transactions {
        match transaction.outcome {
            Ended::Ok => counts.committed += 1,
            Ended::Fail => counts.aborted += 1,
            Ended::Pending => counts.indeterminate += 1,
        }
        let pending = transaction.outcome == Ended::Pending;
        counts.seen += u64::from(pending && transaction.took_effect);
    }
    for list in &all.lists {
        counts.reads += list.reads.len() as u64;
        for append in &list.appends {
            let took_effect = all.transactions[append.transaction as usize].took_effect;
            counts.appends += u64::from(took_effect);
            counts.unread += u64::from(took_effect && append.position == transactions::NONE);
        }
    }
    counts
}
