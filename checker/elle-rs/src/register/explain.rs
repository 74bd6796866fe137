//! Why a register is not linearizable, for a person: the anomaly's name and a sentence with
//! values, processes, nodes and times.

use super::blocks::{Cause, Id, NONE};
use super::operations::{Effect, Operation, Register};
use crate::Finding;
use crate::history::{Event, Value, words};

/// Words a cause as a finding. `Ambiguous` is no violation and has none.
pub(super) fn finding(events: &[Event], register: &Register, cause: &Cause) -> Option<Finding> {
    let story = Story { events, register };
    let (anomaly, explanation, ids) = match cause {
        Cause::Ambiguous { .. } => return None,
        Cause::Unwritten { observer, value } => return Some(story.unwritten(*observer, *value)),
        Cause::ReplacedTwice { first, second } => (
            "lost-update",
            format!(
                "{} and {} both replaced {}: one of the two updates is lost",
                story.what(*first),
                story.what(*second),
                story.replaced(*first),
            ),
            vec![*first, *second],
        ),
        Cause::Circle { updates } => story.circle(updates),
        Cause::Backwards { first, then } => story.backwards(*first, *then),
        Cause::Crossed {
            a_first,
            b_last,
            b_first,
            a_last,
        } => story.crossed([*a_first, *b_last, *b_first, *a_last]),
    };
    Some(story.finding(anomaly, explanation, ids))
}

/// Words the end of a sweep as a finding.
pub(super) fn impossible(
    events: &[Event],
    register: &Register,
    culprit: Id,
    values: &[Option<Value>],
) -> Finding {
    const SHOWN: usize = 5;
    let story = Story { events, register };
    let mut could_hold: Vec<String> = values
        .iter()
        .take(SHOWN)
        .map(|&v| words::value(v))
        .collect();
    if values.len() > SHOWN {
        could_hold.push(format!("{} others", values.len() - SHOWN));
    }
    let explanation = format!(
        "{}, {}, cannot be explained: in every order of the operations before and around it, the \
         register could then hold only {}",
        story.what(culprit),
        story.during(culprit),
        could_hold.join(" or "),
    );
    let start = register.operations[culprit as usize].finish;
    let mut ids = vec![culprit];
    // The latest operation that put each of the values it could hold.
    for value in values.iter().take(SHOWN).flatten() {
        ids.extend(
            (0..)
                .zip(&register.operations)
                .filter(|&(id, op)| id != culprit && op.puts() == Some(*value) && op.start < start)
                .map(|(id, _)| id)
                .last(),
        );
    }
    let anomaly = match register.operations[culprit as usize].effect {
        Effect::Refused { .. } => "false-refusal",
        _ => "nonlinearizable",
    };
    story.finding(anomaly, explanation, ids)
}

struct Story<'a> {
    events: &'a [Event],
    register: &'a Register,
}

impl Story<'_> {
    fn operation(&self, id: Id) -> &Operation {
        &self.register.operations[id as usize]
    }

    fn what(&self, id: Id) -> String {
        if id == NONE {
            return "the beginning".to_owned();
        }
        let operation = self.operation(id);
        let complete = (!operation.is_pending()).then(|| operation.finish - 1);
        words::operation(self.events, operation.start - 1, complete)
    }

    fn began(&self, id: Id) -> impl std::fmt::Display {
        words::time(self.events[self.operation(id).start as usize - 1].time_ns())
    }

    fn completed(&self, id: Id) -> impl std::fmt::Display {
        words::time(self.events[self.operation(id).finish as usize - 1].time_ns())
    }

    fn during(&self, id: Id) -> String {
        format!("from {} to {}", self.began(id), self.completed(id))
    }

    /// The value an operation stands for: what it saw or put.
    fn value(&self, id: Id) -> String {
        let operation = self.operation(id);
        match operation.effect {
            Effect::Read { value } => words::value(value),
            _ => words::value(operation.puts()),
        }
    }

    /// What an operation found there.
    fn observed(&self, id: Id) -> String {
        match self.operation(id).effect {
            Effect::Update { old, .. } => words::value(old),
            _ => self.value(id),
        }
    }

    fn replaced(&self, update: Id) -> String {
        match self.operation(update).effect {
            Effect::Update { old, .. } => words::value(old),
            _ => "the same value".to_owned(),
        }
    }

    fn finding(&self, anomaly: &str, explanation: String, ids: Vec<Id>) -> Finding {
        let mut ops: Vec<u64> = ids
            .into_iter()
            .filter(|&id| id != NONE)
            .map(|id| self.events[self.operation(id).start as usize - 1].index())
            .collect();
        ops.sort_unstable();
        ops.dedup();
        Finding {
            anomaly: anomaly.to_owned(),
            key: Some(self.register.key),
            ops,
            explanation,
        }
    }

    fn unwritten(&self, observer: Id, value: Value) -> Finding {
        let what = self.what(observer);
        let when = self.began(observer);
        let Some(&failed) = self.register.failed.get(&value) else {
            let explanation = format!(
                "{what}, which began at {when}, saw {value}, which no operation ever wrote to this key"
            );
            return self.finding("thin-air", explanation, vec![observer]);
        };
        let writer = words::operation(self.events, failed - 1, None);
        let explanation = format!(
            "{what}, which began at {when}, saw the value of {writer}, which was answered as failed"
        );
        let mut finding = self.finding("dirty-read", explanation, vec![observer]);
        finding.ops.push(self.events[failed as usize - 1].index());
        finding.ops.sort_unstable();
        finding
    }

    fn circle(&self, updates: &[Id]) -> (&'static str, String, Vec<Id>) {
        const SHOWN: usize = 4;
        if let [update] = updates {
            let explanation = format!(
                "{} found its own value already there: it took effect twice",
                self.what(*update)
            );
            return ("duplicate-swap", explanation, vec![*update]);
        }
        let mut told: Vec<String> = updates.iter().take(SHOWN).map(|&u| self.what(u)).collect();
        if updates.len() > SHOWN {
            told.push(format!("{} more", updates.len() - SHOWN));
        }
        let explanation = format!(
            "each of these replaced the value of the one named before it, and the first that of the last: {}",
            told.join("; ")
        );
        let shown = updates.iter().copied().take(SHOWN).collect();
        ("circular-update", explanation, shown)
    }

    fn backwards(&self, first: Id, then: Id) -> (&'static str, String, Vec<Id>) {
        let (what_first, what_then) = (self.what(first), self.what(then));
        let (began, completed) = (self.began(first), self.completed(then));
        let ids = vec![first, then];
        if self.operation(first).puts().is_some() {
            let explanation = format!(
                "{what_then} had completed at {completed}, before {what_first} began at {began}, \
                 though it saw {} or what came after it",
                self.value(first)
            );
            return ("future-read", explanation, ids);
        }
        let explanation = format!(
            "{what_first} began at {began}, after {what_then} had completed at {completed}, and so \
             after {} had been replaced",
            self.value(first)
        );
        ("stale-read", explanation, ids)
    }

    /// `ids`: a's first to finish, b's last to start, b's first to finish, a's last to start.
    fn crossed(&self, ids: [Id; 4]) -> (&'static str, String, Vec<Id>) {
        let [a_first, b_last, b_first, a_last] = ids;
        let reads = |id: Id| self.operation(id).puts().is_none();
        // Told from the side of a late read where there is one. Where both are, the later one.
        let later = self.operation(b_last).start > self.operation(a_last).start;
        if (reads(b_last), later) > (reads(a_last), !later) && a_first != NONE {
            return self.told_crossed([b_first, a_last, a_first, b_last]);
        }
        self.told_crossed(ids)
    }

    fn told_crossed(&self, ids: [Id; 4]) -> (&'static str, String, Vec<Id>) {
        let [a_first, b_last, b_first, a_last] = ids;
        let mut explanation = format!(
            "{} began at {}, after {} had completed at {}",
            self.what(a_last),
            self.began(a_last),
            self.what(b_first),
            self.completed(b_first),
        );
        if a_first == NONE {
            explanation += ": the key was no longer nil";
        } else {
            let subject = if b_first == b_last {
                "that one".to_owned()
            } else {
                self.what(b_last)
            };
            explanation += &format!(
                "; but {subject} had begun at {}, after {} had completed at {}, so ",
                self.began(b_last),
                self.what(a_first),
                self.completed(a_first),
            );
            let (old, observed) = (self.value(a_first), self.observed(a_last));
            explanation += &if old == observed {
                format!("{old} had been replaced by then")
            } else {
                format!(
                    "{} stood between {old} and {observed}, where there was no room",
                    self.value(b_last)
                )
            };
        }
        let anomaly = if self.operation(a_last).puts().is_none() {
            "stale-read"
        } else {
            "lost-update"
        };
        (anomaly, explanation, ids.to_vec())
    }
}
