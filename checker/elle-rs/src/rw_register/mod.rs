//! Isolation of transactions that read and write registers, by Elle's cycle analysis.
//!
//! Values are unique per key, so whose write a read saw is known; which of two versions is the
//! later is known only in part (`edges`, `zones`). At the levels with an order of transactions, or
//! of starts and commits, `valid` means that such an order was found that explains every read
//! (`txn::schedule`). A cycle is always true. Where there is neither, the answer is *undecided*: to
//! decide is NP-hard where writes are blind (Biswas and Enea 2019). Where each transaction reads
//! what it overwrites nothing is left open but for pending ones.
//!
//! Pending transactions of which a write was read took effect; the others are left out.

mod edges;
mod explain;
mod versions;
mod zones;

pub use crate::levels::Level;
pub use crate::txn::{Counts, Decision, Outcome, Proof};

use crate::graph::{CycleKind, Graph, Kinds, View, sort, view_of};
use crate::history::pairs::Outcome as Ended;
use crate::levels::Ruled;
use crate::txn::schedule::schedule;
use crate::txn::words::Findings;
use crate::txn::{Store, judge, orders, proof};
use edges::{Deduce, RegisterEdges};
use explain::Story;
use versions::Versions;

/// Decides whether transactions on registers satisfy a level.
pub fn check_store(store: &Store, level: Level) -> Outcome {
    check_values(store, level, false)
}

/// The same; with `growing`, the greater of two values is the later.
pub(crate) fn check_values(store: &Store, level: Level, growing: bool) -> Outcome {
    let deduce = |level: Level| Deduce {
        growing,
        ..deduce(level)
    };
    let mut findings = Findings::default();
    versions::internal(store, &mut findings);
    let versions = Versions::new(store, &mut findings);
    let found = findings.all.len();
    findings
        .all
        .retain(|finding| level.forbids(&finding.anomaly));
    // What a level permits, an order of transactions need not explain, if it explains reads.
    let explains = findings.all.len() == found;
    let mut counts = count(store, &versions);
    let (decision, proof) = match &versions.ambiguous {
        Some(reason) => (ambiguous(findings, reason), Proof::None),
        None => {
            let stronger = if found == 0 { stronger(level) } else { &[] };
            let mut proofs = stronger
                .iter()
                .map(|&level| explanation(store, &versions, level, deduce(level)));
            if let Some(proof) = proofs.find_map(|proof| proof) {
                return valid(level, counts, proof);
            }
            let edges = RegisterEdges::new(store, &versions, deduce(level));
            let graph = Graph::new(store, &edges, orders(level), &versions.took_effect);
            counts.edges = graph.size();
            let one_order = level.cycles().len() > 2;
            let undecided = one_order.then(|| {
                "no anomaly was found, but no order either that explains all reads: too many \
                 writes are blind, or pending, to know the order of all versions"
                    .to_owned()
            });
            let order = |view: View<'_>| {
                if !one_order {
                    return sort(view);
                }
                // Where the stronger levels do not hold, this one may be broken too.
                if !stronger.is_empty() {
                    sort(view)?;
                }
                let count = versions.touches.items.len();
                schedule(store, versions.uses(store), count, view)
            };
            let took_effect = &versions.took_effect;
            let story = Story { edges: &edges };
            let judged = judge(
                &story,
                &graph,
                took_effect,
                level,
                findings,
                undecided,
                order,
            );
            let is_valid = judged.decision == Decision::Valid;
            let shown = explains || !is_valid || level.is_weak();
            let proof = if shown { judged.proof } else { Proof::None };
            (judged.decision, proof)
        }
    };
    let ruled = match &decision {
        Decision::Violated { findings } => {
            Ruled::by(findings.iter().map(|finding| finding.anomaly.as_str()))
        }
        _ => Ruled::by([]),
    };
    Outcome {
        level,
        decision,
        counts,
        ruled,
        proof,
    }
}

/// Levels that imply another and have more order: where one holds, an order is found sooner, for
/// what is far apart in time, or what overlaps, need not be tried.
fn stronger(level: Level) -> &'static [Level] {
    match level {
        Level::Serializable | Level::StrongSessionSerializable | Level::RepeatableRead => {
            &[Level::StrictSerializable]
        }
        Level::SnapshotIsolation | Level::StrongSessionSnapshotIsolation => {
            &[Level::StrictSerializable, Level::StrongSnapshotIsolation]
        }
        Level::StrongSnapshotIsolation => &[Level::StrictSerializable],
        _ => &[],
    }
}

/// An order that a level permits and that explains every read.
fn explanation(store: &Store, versions: &Versions, level: Level, deduce: Deduce) -> Option<Proof> {
    let edges = RegisterEdges::new(store, versions, deduce);
    let graph = Graph::new(store, &edges, orders(level), &versions.took_effect);
    let worst = level.cycles().last().copied()?;
    let view = view_of(&graph, worst, Kinds::REALTIME);
    let count = versions.touches.items.len();
    let order = schedule(store, versions.uses(store), count, view)?;
    Some(proof(store, view, &order, &versions.took_effect))
}

fn valid(level: Level, counts: Counts, proof: Proof) -> Outcome {
    Outcome {
        level,
        decision: Decision::Valid,
        counts,
        ruled: Ruled::by([]),
        proof,
    }
}

/// What a level lets deduce: only what its violation would be.
fn deduce(level: Level) -> Deduce {
    let one_order = level.cycles().contains(&CycleKind::GNonadjacent);
    let order = level.orders().last().map_or(Kinds::NONE, |&order| order);
    Deduce {
        writes_follow_reads: level.cycles().contains(&CycleKind::G1c),
        atomic_visibility: one_order,
        growing: false,
        order: if one_order { order } else { Kinds::NONE },
        apart: level.is_snapshot(),
    }
}

/// Without knowing whose a value is, a graph would tell tales, and so would whatever rests on it.
fn ambiguous(findings: Findings, reason: &str) -> Decision {
    let mut findings = findings.all;
    findings.retain(|finding| ["internal", "thin-air"].contains(&finding.anomaly.as_str()));
    if findings.is_empty() {
        return Decision::Undecided {
            reason: reason.to_owned(),
        };
    }
    Decision::Violated { findings }
}

fn count(store: &Store, versions: &Versions) -> Counts {
    let mut counts = Counts {
        keys: store.keys.len() as u64,
        appends: versions.writes,
        unread: versions.unread,
        ..Counts::default()
    };
    for id in store.ids() {
        match store.outcome[id as usize] {
            Ended::Ok => counts.committed += 1,
            Ended::Fail => counts.aborted += 1,
            Ended::Pending => {
                counts.indeterminate += 1;
                counts.seen += u64::from(versions.took_effect[id as usize]);
            }
        }
    }
    let reads = versions
        .touches
        .items
        .iter()
        .filter(|touch| !touch.is_write);
    counts.reads = reads.count() as u64;
    counts
}
