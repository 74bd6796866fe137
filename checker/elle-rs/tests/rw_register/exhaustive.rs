//! Every order of a small history of transactions tried: slow, and too plain to be wrong.

use elle_rs::history::Kind;

use crate::store::{Registers, Transaction};

fn considered(transactions: &[Transaction]) -> Vec<&Transaction> {
    let kept = |t: &&Transaction| t.kind != Kind::Fail;
    transactions.iter().filter(kept).collect()
}

/// Whether some order of the transactions explains all reads; in `strict`, one in real time.
pub fn serializable(transactions: &[Transaction], strict: bool) -> bool {
    serial(&considered(transactions), 0, &Registers::new(), strict)
}

fn serial(all: &[&Transaction], done: u32, registers: &Registers, strict: bool) -> bool {
    let left = || (0..all.len()).filter(|i| done & (1 << i) == 0);
    if left().all(|i| !all[i].is_ok()) {
        return true;
    }
    let precedes = |a: &Transaction, b: &Transaction| a.is_ok() && a.finish < b.start;
    left().any(|i| {
        if strict && left().any(|j| precedes(all[j], all[i])) {
            return false;
        }
        let mut registers = registers.clone();
        all[i].run(&mut registers) && serial(all, done | 1 << i, &registers, strict)
    })
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Waiting,
    /// Started when this many had committed.
    Running(usize),
    Committed,
}

/// Whether some order of starts and commits explains all reads: each transaction runs on the
/// registers as they were when it started, and commits only if nobody has committed to a key that
/// it writes since then.
pub fn snapshot_isolated(transactions: &[Transaction]) -> bool {
    let all = considered(transactions);
    let mut search = Snapshots {
        states: vec![State::Waiting; all.len()],
        all,
        log: Vec::new(),
    };
    search.found(&Registers::new())
}

struct Snapshots<'a> {
    all: Vec<&'a Transaction>,
    states: Vec<State>,
    log: Vec<usize>,
}

impl Snapshots<'_> {
    fn found(&mut self, registers: &Registers) -> bool {
        let open = |i: usize| self.all[i].is_ok() && self.states[i] != State::Committed;
        if !(0..self.all.len()).any(open) {
            return true;
        }
        for i in 0..self.all.len() {
            match self.states[i] {
                State::Waiting if self.all[i].run(&mut registers.clone()) => {
                    self.states[i] = State::Running(self.log.len());
                    if self.found(registers) {
                        return true;
                    }
                    self.states[i] = State::Waiting;
                }
                State::Running(since) if self.may_commit(i, since) => {
                    let mut after = registers.clone();
                    for step in &self.all[i].steps {
                        if let Some(value) = step.write {
                            after.insert(step.key, value);
                        }
                    }
                    self.states[i] = State::Committed;
                    self.log.push(i);
                    if self.found(&after) {
                        return true;
                    }
                    self.log.pop();
                    self.states[i] = State::Running(since);
                }
                _ => {}
            }
        }
        false
    }

    fn may_commit(&self, i: usize, since: usize) -> bool {
        let others = self.log[since..].iter();
        let steps = || self.all[i].steps.iter().filter(|step| step.write.is_some());
        others
            .into_iter()
            .all(|&other| steps().all(|step| !self.all[other].writes(step.key)))
    }
}
