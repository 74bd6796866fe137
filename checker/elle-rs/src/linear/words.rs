//! Operations in words, for findings.

use super::acts::{Micro, Verb};
use super::model::NEVER;
use super::operations::{Entry, Operations, Part};
use super::values::{Atom, NIL};
use crate::Finding;

/// Tells of the operations of one part.
pub(super) struct Story<'a> {
    pub operations: &'a Operations,
    pub part: &'a Part,
}

impl Story<'_> {
    pub fn value(&self, atom: Atom) -> String {
        self.operations
            .values
            .display(atom, &self.operations.symbols)
    }

    fn entry(&self, id: u32) -> &Entry {
        &self.part.entries[id as usize]
    }

    /// "read of 17 by process 3 (events 40 to 44)".
    pub fn what(&self, id: u32) -> String {
        let entry = self.entry(id);
        let until = match entry.finish {
            NEVER => "on, never answered".to_owned(),
            finish => format!("to {}", finish - 1),
        };
        format!(
            "{} by process {} (event {} {until})",
            self.act(id),
            entry.process,
            entry.start - 1,
        )
    }

    fn act(&self, id: u32) -> String {
        let act = self.entry(id).act;
        let (a, b) = (self.value(act.a), self.value(act.b));
        match act.verb {
            Verb::Read => format!("read of {a}"),
            Verb::Write => format!("write of {a}"),
            Verb::Update => format!("update from {a} to {b}"),
            Verb::Refused => format!("refused compare-and-set from {a}"),
            Verb::Append => format!("append of {a}"),
            Verb::Delete => "delete".to_owned(),
            Verb::Acquire => "acquire".to_owned(),
            Verb::Release => "release".to_owned(),
            Verb::Add if act.b != NIL => format!("first add of {a}"),
            Verb::Add => format!("add of {a}"),
            Verb::Remove => format!("remove of {a}"),
            Verb::Present => format!("finding {a} there"),
            Verb::Absent => format!("finding {a} not there"),
            Verb::Enqueue => format!("enqueue of {a}"),
            Verb::Dequeue => format!("dequeue of {a}"),
            Verb::DequeueNothing => "dequeue of nothing".to_owned(),
            Verb::DequeueUnseen => "dequeue never answered".to_owned(),
            Verb::Transaction => {
                let steps = self.operations.acts.transaction(act.a).iter();
                let steps = steps.map(|micro| match *micro {
                    Micro::Read(key, value) => {
                        format!("read {} as {}", self.value(key), self.value(value))
                    }
                    Micro::Write(key, value) => {
                        format!("write {} to {}", self.value(value), self.value(key))
                    }
                });
                format!("transaction ({})", steps.collect::<Vec<_>>().join("; "))
            }
        }
    }

    /// A finding about these operations.
    pub fn finding(&self, anomaly: &str, ids: &[u32], explanation: String) -> Finding {
        let mut ops: Vec<u64> = ids
            .iter()
            .filter_map(|&id| self.part.entries.get(id as usize))
            .map(|entry| u64::from(entry.start) - 1)
            .collect();
        ops.sort_unstable();
        ops.dedup();
        let key = self.operations.values.int(self.part.key);
        Finding {
            anomaly: anomaly.to_owned(),
            key: key.and_then(|key| u64::try_from(key).ok()),
            ops,
            explanation,
        }
    }

    /// " of key 7", where there are keys.
    pub fn of_key(&self) -> String {
        match self.part.key {
            NIL => String::new(),
            key => format!(" of key {}", self.value(key)),
        }
    }
}
