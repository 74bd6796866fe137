//! Every order of a small history of transactions tried: slow, and too plain to be wrong.

use std::collections::BTreeMap;

use elle_rs::history::{Action, Key, Kind, Step, Value};

use crate::common::Timed;

type Lists = BTreeMap<Key, Vec<Value>>;

fn is_ok(transaction: &Timed) -> bool {
    matches!(transaction.finish, Some((_, Kind::Ok)))
}

fn steps(transaction: &Timed) -> &[Step] {
    match &transaction.action {
        Action::Txn { steps } => steps,
        _ => &[],
    }
}

/// Runs a transaction on `lists`; `false` if it cannot have read what it did.
fn run(transaction: &Timed, lists: &mut Lists) -> bool {
    steps(transaction).iter().all(|step| match step {
        Step::Append { key, value } => {
            lists.entry(*key).or_default().push(*value);
            true
        }
        Step::Read { key, list } => {
            let now = lists.get(key).map_or(&[][..], Vec::as_slice);
            !is_ok(transaction) || list.as_deref().is_none_or(|list| list == now)
        }
    })
}

fn considered(transactions: &[Timed]) -> Vec<&Timed> {
    let kept = |t: &&Timed| !matches!(t.finish, Some((_, Kind::Fail)));
    transactions.iter().filter(kept).collect()
}

fn precedes(a: &Timed, b: &Timed) -> bool {
    is_ok(a) && a.finish.is_some_and(|(finish, _)| finish < b.start)
}

/// Whether some order of the transactions explains all reads; in `strict`, one in real time.
pub fn serializable(transactions: &[Timed], strict: bool) -> bool {
    serial(&considered(transactions), 0, &Lists::new(), strict)
}

fn serial(all: &[&Timed], done: u32, lists: &Lists, strict: bool) -> bool {
    let left = || (0..all.len()).filter(|i| done & (1 << i) == 0);
    if left().all(|i| !is_ok(all[i])) {
        return true;
    }
    left().any(|i| {
        if strict && left().any(|j| precedes(all[j], all[i])) {
            return false;
        }
        let mut lists = lists.clone();
        run(all[i], &mut lists) && serial(all, done | 1 << i, &lists, strict)
    })
}

/// Whether some order of starts and commits explains all reads: each transaction runs on the
/// lists as they were when it started, and commits only if nobody has committed to a key that it
/// appends to since then.
pub fn snapshot_isolated(transactions: &[Timed]) -> bool {
    let all = considered(transactions);
    let mut search = Snapshots {
        states: vec![State::Waiting; all.len()],
        all,
        lists: Lists::new(),
        log: Vec::new(),
    };
    search.found()
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Waiting,
    /// Started when this many had committed.
    Running(usize),
    Committed,
}

struct Snapshots<'a> {
    all: Vec<&'a Timed>,
    states: Vec<State>,
    lists: Lists,
    log: Vec<usize>,
}

impl Snapshots<'_> {
    fn found(&mut self) -> bool {
        let open = |i: &usize| is_ok(self.all[*i]) && self.states[*i] != State::Committed;
        if !(0..self.all.len()).any(|i| open(&i)) {
            return true;
        }
        for i in 0..self.all.len() {
            match self.states[i] {
                // Its reads depend on nothing later.
                State::Waiting if run(self.all[i], &mut self.lists.clone()) => {
                    self.states[i] = State::Running(self.log.len());
                    if self.found() {
                        return true;
                    }
                    self.states[i] = State::Waiting;
                }
                State::Running(since) if self.may_commit(i, since) => {
                    let before = self.lists.clone();
                    for step in steps(self.all[i]) {
                        if let Step::Append { key, value } = step {
                            self.lists.entry(*key).or_default().push(*value);
                        }
                    }
                    self.states[i] = State::Committed;
                    self.log.push(i);
                    if self.found() {
                        return true;
                    }
                    self.log.pop();
                    self.states[i] = State::Running(since);
                    self.lists = before;
                }
                _ => {}
            }
        }
        false
    }

    fn may_commit(&self, i: usize, since: usize) -> bool {
        let appends = |t: usize| {
            steps(self.all[t]).iter().filter_map(|step| match step {
                Step::Append { key, .. } => Some(*key),
                Step::Read { .. } => None,
            })
        };
        self.log[since..]
            .iter()
            .all(|&other| !appends(other).any(|key| appends(i).any(|k| k == key)))
    }
}
