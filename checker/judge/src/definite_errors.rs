//! ERR: an operation answered with a definite error took no effect.

use elle_rs::Finding;
use elle_rs::history::pairs::{Outcome, Pair};
use elle_rs::history::{Action, Event, Key, Step, Value, words};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::judgement::InvariantVerdict;
use crate::run::{Operation, Run, anomalies, valid, violated};

const ID: &str = "ERR";

/// Left out if no operation was answered so.
pub(crate) fn judge(run: &Run<'_>) -> Option<InvariantVerdict> {
    let failed: u64 = run
        .stats
        .workloads
        .values()
        .map(|workload| workload.fail)
        .sum();
    if failed == 0 {
        return None;
    }
    if let Some(verdict) = run.malformed(ID) {
        return Some(verdict);
    }
    let writes = Writes::of(run);
    let mut findings = Vec::new();
    let mut told: FxHashSet<Put> = FxHashSet::default();
    // What has been looked through of each list; reads that agree with it need no second look.
    let mut looked: FxHashMap<Key, &[Value]> = FxHashMap::default();
    for operation in run
        .operations()
        .filter(|operation| operation.answer.is_some())
    {
        for put in writes.seen_by(&operation, &mut looked) {
            if told.insert(put) {
                findings.push(finding(run, put, writes.failed[&put], &operation));
            }
        }
    }
    if findings.is_empty() {
        let reason = format!(
            "none of {failed} operations answered as failed was seen to have taken effect \
             ({} of them would have changed something)",
            writes.failed.len()
        );
        return Some(valid(ID, reason));
    }
    let reason = format!(
        "{} of {failed} operations answered as failed took effect ({})",
        findings.len(),
        anomalies(&findings)
    );
    Some(violated(ID, reason, findings))
}

/// A value put under a key: in a register, or in a list.
type Put = (bool, Key, Value);

/// What operations that failed would have put, and nobody else.
struct Writes {
    failed: FxHashMap<Put, Pair>,
    lists: FxHashSet<Key>,
}

impl Writes {
    fn of(run: &Run<'_>) -> Self {
        let mut failed: FxHashMap<Put, Pair> = FxHashMap::default();
        for operation in run.operations() {
            if operation.pair.outcome == Outcome::Fail {
                each_put(&operation, |put| {
                    failed.entry(put).or_insert(operation.pair);
                });
            }
        }
        for operation in run.operations() {
            if operation.pair.outcome != Outcome::Fail {
                each_put(&operation, |put| {
                    failed.remove(&put);
                });
            }
        }
        let lists = failed.keys().filter(|put| put.0).map(|put| put.1).collect();
        Writes { failed, lists }
    }

    /// Failed puts that an acknowledged operation saw.
    fn seen_by<'a>(
        &self,
        operation: &Operation<'a>,
        looked: &mut FxHashMap<Key, &'a [Value]>,
    ) -> Vec<Put> {
        let mut seen = Vec::new();
        let mut look = |put: Put| {
            if self.failed.contains_key(&put) {
                seen.push(put);
            }
        };
        match operation.action() {
            Action::Read {
                key,
                value: Some(value),
            }
            | Action::Swap {
                key,
                old: Some(value),
                ..
            }
            | Action::Cas {
                key,
                expected: value,
                swapped: true,
                ..
            } => look((false, *key, *value)),
            Action::Txn { steps } => {
                for step in steps {
                    let Step::Read {
                        key,
                        list: Some(list),
                    } = step
                    else {
                        continue;
                    };
                    let before = looked.entry(*key).or_default();
                    if !self.lists.contains(key) || before.starts_with(list) {
                        continue;
                    }
                    let from = if list.starts_with(before) {
                        before.len()
                    } else {
                        0
                    };
                    list[from..]
                        .iter()
                        .for_each(|&value| look((true, *key, value)));
                    if list.len() > before.len() {
                        *before = list;
                    }
                }
            }
            _ => {}
        }
        seen
    }
}

fn each_put(operation: &Operation<'_>, mut put: impl FnMut(Put)) {
    match operation.action() {
        Action::Write { key, value }
        | Action::Swap { key, value, .. }
        | Action::Cas { key, value, .. } => put((false, *key, *value)),
        Action::Txn { steps } => {
            for step in steps {
                if let Step::Append { key, value } = step {
                    put((true, *key, *value));
                }
            }
        }
        Action::Read { .. } => {}
    }
}

fn finding(run: &Run<'_>, put: Put, failed: Pair, observer: &Operation<'_>) -> Finding {
    let (is_list, key, value) = put;
    let error = failed
        .complete
        .and_then(|at| match run.events.get(at as usize) {
            Some(Event::Op(op)) => op.error.as_deref(),
            _ => None,
        });
    let invoked = |pair: &Pair| run.events.get(pair.invoke as usize).map(Event::index);
    let mut ops: Vec<u64> = [failed, observer.pair].iter().filter_map(invoked).collect();
    ops.sort_unstable();
    Finding {
        // Elle's name for it in lists, and the one for registers.
        anomaly: if is_list { "G1a" } else { "dirty-read" }.to_owned(),
        key: Some(key),
        ops,
        explanation: format!(
            "{} was answered as failed at {} ({}), and yet its {value} was seen by {}, which began at {}",
            run.words(&failed),
            words::time(failed.complete.map_or(0, |at| run.time_at(at))),
            error.unwrap_or("no reason was given"),
            run.words(&observer.pair),
            words::time(run.time_at(observer.pair.invoke)),
        ),
    }
}
