//! Isolation of list-append transactions, by Elle's cycle analysis, in linear time.
//!
//! Each key is a list, transactions append unique values and read whole lists. A list read
//! shows the order of its appends (`lists`), so the order in which transactions must have taken
//! effect can be read off (`edges`), and a cycle in it is an anomaly with a name; other
//! anomalies stand in the lists themselves (`inspect`).
//!
//! For the serializable levels the answer is complete: if nothing is found, any order that
//! respects the graph explains every read, and one is given. For the snapshot-isolation levels
//! it is too, but for keys on which several appends were read by nobody: an order of them is
//! searched for, and where none is found the answer is that it is undecided. What is found is always true.
//!
//! Pending transactions of which an append was read took effect; the others are left out.

mod edges;
mod explain;
mod inspect;
mod lists;

pub use crate::levels::{Level, UnknownLevel};
pub use crate::txn::{Counts, Decision, Malformed, Outcome, Proof};

use crate::graph::{Graph, View, sort};
use crate::history::Event;
use crate::history::pairs::Outcome as Ended;
use crate::levels::Ruled;
use crate::txn::schedule::schedule;
use crate::txn::words::Findings;
use crate::txn::{Store, from_events, judge, orders};
use edges::ListEdges;
use explain::Story;
use lists::Lists;

/// Decides whether a history's transactions satisfy a level. Events that are no transactions
/// are passed over.
pub fn check(events: &[Event], level: Level) -> Result<Outcome, Malformed> {
    Ok(check_store(&from_events(events)?, level))
}

/// Decides whether transactions on lists satisfy a level.
pub fn check_store(store: &Store, level: Level) -> Outcome {
    let mut findings = Findings::default();
    inspect::internal(store, &mut findings);
    let lists = lists::order(store, level.is_snapshot_or_more(), &mut findings);
    inspect::inspect(store, &lists, &mut findings);
    let found = findings.all.len();
    findings
        .all
        .retain(|finding| level.forbids(&finding.anomaly));
    // What a level permits, an order of transactions need not explain, if it explains reads.
    let explains = findings.all.len() == found;
    let mut counts = count(store, &lists);
    let (decision, proof) = match &lists.ambiguous {
        Some(reason) => (ambiguous(findings, reason), Proof::None),
        None => {
            let edges = ListEdges::new(store, &lists);
            let rivals = edges.rivals;
            let uses = (level.is_snapshot() && rivals > 0).then(|| edges.rival_appends());
            let graph = Graph::new(store, &edges, orders(level), &lists.took_effect);
            drop(edges);
            counts.edges = graph.size();
            let story = Story {
                store,
                lists: &lists,
            };
            let undecided = uses.is_some().then(|| {
                format!(
                    "{rivals} keys have several appends that nobody read, and no order of them \
                     was found in which none overlaps with another"
                )
            });
            let order = |view: View<'_>| match uses {
                Some(uses) => schedule(store, uses, 0, view),
                None => sort(view),
            };
            let took_effect = &lists.took_effect;
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

/// Without knowing whose an element is, a graph would tell tales, and so would whatever rests on
/// who appended an element.
fn ambiguous(findings: Findings, reason: &str) -> Decision {
    let mut findings = findings.all;
    let certain = ["internal", "thin-air"];
    findings.retain(|finding| certain.contains(&finding.anomaly.as_str()));
    if findings.is_empty() {
        return Decision::Undecided {
            reason: reason.to_owned(),
        };
    }
    Decision::Violated { findings }
}

fn count(store: &Store, lists: &Lists) -> Counts {
    let mut counts = Counts {
        keys: store.keys.len() as u64,
        ..Counts::default()
    };
    for id in store.ids() {
        match store.outcome[id as usize] {
            Ended::Ok => counts.committed += 1,
            Ended::Fail => counts.aborted += 1,
            Ended::Pending => {
                counts.indeterminate += 1;
                counts.seen += u64::from(lists.took_effect[id as usize]);
            }
        }
        let steps = store.steps_of(id).iter();
        let reads = steps.filter(|&&step| lists.first_read(store, step).is_some());
        counts.reads += reads.count() as u64;
    }
    for key in lists.keys() {
        for append in lists.appends(key) {
            let took_effect = lists.took_effect[append.transaction as usize];
            counts.appends += u64::from(took_effect);
            counts.unread += u64::from(took_effect && append.position == crate::txn::store::NONE);
        }
    }
    counts
}
