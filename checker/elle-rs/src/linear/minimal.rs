//! Counterexamples made small, by sound moves only: what is left of a linearizable history when
//! its end, or operations that only look, or whole values with all that put, saw and took them
//! are left out is linearizable too. (Leaving out one that changes something is not sound: what it put
//! would be seen out of thin air.)

use rustc_hash::{FxHashMap, FxHashSet};

use super::acts::{Act, Verb};
use super::model::{Model, NEVER, Operation, Question};
use super::search::{Found, search};
use super::values::Atom;

/// Searches that making a counterexample smaller may take, and the steps of each.
const SEARCHES_MAX: usize = 64;
const STEPS: u64 = 100_000;

/// Operations that are in conflict, the one that cannot return first. `values_apart`: no value of this
/// object says anything of another one.
pub(super) fn conflict<M: Model<Op = Act>>(
    model: &M,
    question: &Question<Act>,
    culprit: u32,
    values_apart: bool,
) -> Vec<u32> {
    let all = (0..question.operations.len() as u32).collect();
    let mut conflict = Conflict {
        model,
        question,
        kept: until_return(model, question, all, culprit),
        culprit,
    };
    conflict.leave_out_looks();
    if values_apart {
        conflict.leave_out_values();
    }
    culprit_first(conflict.kept, conflict.culprit)
}

struct Conflict<'a, M> {
    model: &'a M,
    question: &'a Question<Act>,
    kept: Vec<u32>,
    culprit: u32,
}

impl<M: Model<Op = Act>> Conflict<'_, M> {
    fn act(&self, id: u32) -> Act {
        let class = self.question.operations[id as usize].class;
        self.question.classes[class as usize]
    }

    /// Whether there is a conflict without these as well; then they are left out.
    fn leave_out(&mut self, out: impl Fn(u32) -> bool) -> bool {
        let without: Vec<u32> = self.kept.iter().copied().filter(|&id| !out(id)).collect();
        let found = impossible(self.model, self.question, &without, self.culprit);
        if let Some(found) = found {
            self.kept = until_return(self.model, self.question, without, found);
            self.culprit = found;
        }
        found.is_some()
    }

    fn leave_out_looks(&mut self) {
        let mut chunk = self.kept.len();
        let mut searches = 0;
        while chunk > 0 && searches < SEARCHES_MAX {
            let mut start = 0;
            while start < self.kept.len() && searches < SEARCHES_MAX {
                let end = (start + chunk).min(self.kept.len());
                let mut out = self.kept[start..end].to_vec();
                out.retain(|&id| id != self.culprit && looks(self.model, self.question, id));
                start = end;
                if out.is_empty() {
                    continue;
                }
                searches += 1;
                let before = self.kept.len();
                if self.leave_out(|id| out.binary_search(&id).is_ok()) {
                    start = start.saturating_sub(before - self.kept.len());
                }
            }
            chunk /= 2;
        }
    }

    fn leave_out_values(&mut self) {
        let is_told = |&id: &u32| values(self.act(id)).is_some();
        if !self.kept.iter().all(is_told) {
            return;
        }
        let mut values: Vec<Atom> = self
            .kept
            .iter()
            .filter_map(|&id| self.changes(id))
            .collect();
        values.sort_unstable();
        values.dedup();
        let mut chunk = values.len();
        let mut searches = 0;
        while chunk > 0 && searches < SEARCHES_MAX {
            let mut start = 0;
            while start < values.len() && searches < SEARCHES_MAX {
                let end = (start + chunk).min(values.len());
                let out = self.with_what_follows(&values[start..end]);
                if self.touches(self.culprit, &out) {
                    start = end;
                    continue;
                }
                searches += 1;
                let leave = |id: u32| self.touches(id, &out);
                let left: FxHashSet<u32> =
                    self.kept.iter().copied().filter(|&id| leave(id)).collect();
                match self.leave_out(|id| left.contains(&id)) {
                    true => values.retain(|value| !out.contains(value)),
                    false => start = end,
                }
            }
            chunk /= 2;
        }
    }

    /// The value that an operation puts, or takes.
    fn changes(&self, id: u32) -> Option<Atom> {
        let act = self.act(id);
        match act.verb {
            Verb::Enqueue | Verb::Dequeue => Some(act.a),
            _ => act.puts(),
        }
    }

    fn touches(&self, id: u32, out: &FxHashSet<Atom>) -> bool {
        let mut touched = values(self.act(id)).into_iter().flatten().flatten();
        touched.any(|value| out.contains(&value))
    }

    /// With a value goes what was put in its place where it stood.
    fn with_what_follows(&self, values: &[Atom]) -> FxHashSet<Atom> {
        let mut follows: FxHashMap<Atom, Vec<Atom>> = FxHashMap::default();
        for &id in &self.kept {
            let act = self.act(id);
            if act.verb == Verb::Update {
                follows.entry(act.a).or_default().push(act.b);
            }
        }
        let mut out = FxHashSet::default();
        let mut waiting = values.to_vec();
        while let Some(value) = waiting.pop() {
            if out.insert(value) {
                waiting.extend(follows.get(&value).into_iter().flatten());
            }
        }
        out
    }
}

/// The values that an operation puts, sees or takes; `None` if it depends on others as well.
fn values(act: Act) -> Option<[Option<Atom>; 2]> {
    match act.verb {
        Verb::Read | Verb::Write | Verb::Enqueue | Verb::Dequeue => Some([Some(act.a), None]),
        Verb::Update => Some([Some(act.a), Some(act.b)]),
        // Where there is less, there is nothing all the more; who took nobody knows what may have taken
        // nothing.
        Verb::DequeueNothing | Verb::DequeueUnseen => Some([None, None]),
        _ => None,
    }
}

fn culprit_first(mut kept: Vec<u32>, culprit: u32) -> Vec<u32> {
    kept.retain(|&id| id != culprit);
    kept.insert(0, culprit);
    kept
}

/// All that may be in conflict with an operation that cannot return, that one first.
pub(super) fn until<M: Model>(model: &M, question: &Question<M::Op>, culprit: u32) -> Vec<u32> {
    let all = (0..question.operations.len() as u32).collect();
    culprit_first(until_return(model, question, all, culprit), culprit)
}

fn looks<M: Model>(model: &M, question: &Question<M::Op>, id: u32) -> bool {
    let class = question.operations[id as usize].class;
    model.only_looks(&question.classes[class as usize])
}

/// What was invoked before the culprit returned; of what only looks, what returned by then.
fn until_return<M: Model>(
    model: &M,
    question: &Question<M::Op>,
    ids: Vec<u32>,
    culprit: u32,
) -> Vec<u32> {
    let end = question.operations[culprit as usize].finish;
    ids.into_iter()
        .filter(|&id| {
            let operation = question.operations[id as usize];
            let returned = operation.finish <= end;
            operation.start < end && (returned || !looks(model, question, id))
        })
        .collect()
}

/// The operation that cannot return, if these alone have no order either.
fn impossible<M: Model>(
    model: &M,
    question: &Question<M::Op>,
    ids: &[u32],
    culprit: u32,
) -> Option<u32> {
    let end = question.operations[culprit as usize].finish;
    let part = Question {
        operations: ids
            .iter()
            .map(|&id| question.operations[id as usize])
            .map(|operation| Operation {
                finish: if operation.finish > end {
                    NEVER
                } else {
                    operation.finish
                },
                ..operation
            })
            .collect(),
        classes: question.classes.clone(),
    };
    match search(model, &part, STEPS) {
        Found::Impossible { culprit } => Some(ids[culprit as usize]),
        Found::Order(_) | Found::Exhausted { .. } => None,
    }
}
