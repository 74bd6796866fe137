//! The levels with one order of transactions, or of starts and commits: every order tried.

use elle_rs::history::Kind;
use elle_rs::levels::Level;

use crate::draw::{KEYS, Model, Order, Transaction};

type Lists = Vec<Vec<u64>>;

pub struct Orders<'a> {
    pub all: &'a [Transaction],
    pub model: Model,
    pub order: Order,
    /// Whether what is written to a key only grows.
    pub grows: bool,
}

impl Orders<'_> {
    fn explains(&self, at: usize, lists: &Lists) -> bool {
        let transaction = &self.all[at];
        let mut reads = transaction.steps.iter().filter(|s| s.write.is_none());
        !transaction.is_ok()
            || reads.all(|step| match self.model {
                Model::List => step.read == lists[step.key],
                Model::Register => step.read.last() == lists[step.key].last(),
            })
    }

    /// `None` if it may not commit now.
    fn commit(&self, at: usize, lists: &Lists) -> Option<Lists> {
        let mut lists = lists.clone();
        for (key, list) in lists.iter_mut().enumerate() {
            list.extend(self.all[at].writes(key));
        }
        (!self.grows || lists.iter().all(|list| list.is_sorted())).then_some(lists)
    }

    /// Whether everything that must come before has committed.
    fn may_start(&self, at: usize, committed: &[usize]) -> bool {
        (0..self.all.len()).all(|other| {
            committed.contains(&other) || !self.order.has(&self.all[other], &self.all[at])
        })
    }

    fn is_done(&self, committed: &[usize]) -> bool {
        (0..self.all.len()).all(|at| !self.all[at].is_ok() || committed.contains(&at))
    }

    fn candidates(&self, committed: &[usize]) -> Vec<usize> {
        let may = |&at: &usize| self.all[at].kind != Kind::Fail && !committed.contains(&at);
        (0..self.all.len()).filter(may).collect()
    }

    /// Whether some order explains what this level asks for.
    pub fn satisfy(&self, level: Level) -> bool {
        match level {
            Level::SnapshotIsolation
            | Level::StrongSessionSnapshotIsolation
            | Level::StrongSnapshotIsolation => self.snapshot_isolated(),
            _ => self.serializable(),
        }
    }

    fn serializable(&self) -> bool {
        self.serial(&mut Vec::new(), &vec![Vec::new(); KEYS])
    }

    fn serial(&self, committed: &mut Vec<usize>, lists: &Lists) -> bool {
        self.is_done(committed)
            || self.candidates(committed).into_iter().any(|at| {
                if !self.may_start(at, committed) || !self.explains(at, lists) {
                    return false;
                }
                let Some(after) = self.commit(at, lists) else {
                    return false;
                };
                committed.push(at);
                let found = self.serial(committed, &after);
                committed.pop();
                found
            })
    }

    fn snapshot_isolated(&self) -> bool {
        let mut started = vec![None; self.all.len()];
        self.snapshots(&mut started, &mut Vec::new(), &vec![Vec::new(); KEYS])
    }

    /// `started`: how many had committed when each began.
    fn snapshots(
        &self,
        started: &mut Vec<Option<usize>>,
        committed: &mut Vec<usize>,
        lists: &Lists,
    ) -> bool {
        if self.is_done(committed) {
            return true;
        }
        for at in self.candidates(committed) {
            let Some(since) = started[at] else {
                if self.may_start(at, committed) && self.explains(at, lists) {
                    started[at] = Some(committed.len());
                    if self.snapshots(started, committed, lists) {
                        return true;
                    }
                    started[at] = None;
                }
                continue;
            };
            let wrote = |t: usize, key| self.all[t].writes(key).next().is_some();
            let conflicts = |&other: &usize| (0..KEYS).any(|k| wrote(at, k) && wrote(other, k));
            if committed[since..].iter().any(conflicts) {
                continue;
            }
            let Some(after) = self.commit(at, lists) else {
                continue;
            };
            committed.push(at);
            if self.snapshots(started, committed, &after) {
                return true;
            }
            committed.pop();
        }
        false
    }
}
