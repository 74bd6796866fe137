//! Transactions and what they read, in words.

use super::numbers::NIL;
use super::store::{Id, NONE, Odd, Store, What};
use crate::Finding;
use crate::history::words;

/// Steps told of a transaction; of a longer one, the rest is only counted.
const STEPS_TOLD: usize = 8;

/// A list, its middle left out where it is long.
pub(crate) fn list(list: &[i64]) -> String {
    const ENDS: usize = 5;
    if list.len() <= 2 * ENDS + 1 {
        return format!("{list:?}");
    }
    let words = |part: &[i64]| {
        let words: Vec<String> = part.iter().map(i64::to_string).collect();
        words.join(", ")
    };
    let (head, tail) = (&list[..ENDS], &list[list.len() - ENDS..]);
    let between = list.len() - 2 * ENDS;
    format!("[{}, … {between} more …, {}]", words(head), words(tail))
}

impl Store {
    pub(crate) fn value_told(&self, value: u32) -> String {
        if value == NIL {
            return "nil".to_owned();
        }
        self.numbers.value(value).to_string()
    }

    pub(crate) fn key_told(&self, key: u32) -> String {
        self.keys[key as usize].to_string()
    }

    pub(crate) fn values(&self, numbers: &[u32]) -> Vec<i64> {
        let value = |&number: &u32| self.numbers.value(number);
        numbers.iter().map(value).collect()
    }

    /// What the step of a transaction read of a list: others' elements and then its own.
    pub(crate) fn list_read(&self, id: Id, nth: usize) -> Option<Vec<i64>> {
        let steps = self.steps_of(id);
        let step = steps.get(nth)?;
        let key = step.key();
        let (branch, length) = match step.what() {
            What::Read | What::Again => (0, step.argument),
            What::Odd => match &self.odd[step.argument as usize] {
                Odd::Branch { branch, length, .. } => (*branch, *length),
                Odd::Internal { read, .. } => return Some(self.values(read)),
            },
            What::Write | What::Asked => return None,
        };
        let mut list = self.values(&self.branch(key, branch)[..length as usize]);
        let own = steps[..nth]
            .iter()
            .filter(|step| step.what() == What::Write && step.key() == key);
        list.extend(own.map(|step| self.numbers.value(step.argument)));
        Some(list)
    }

    /// "as [1, 2]", "as 5".
    fn read_told(&self, id: Id, nth: usize) -> Option<String> {
        if self.are_lists {
            return self.list_read(id, nth).map(|read| list(&read));
        }
        let step = self.steps_of(id).get(nth)?;
        match step.what() {
            What::Read | What::Again => Some(self.value_told(step.argument)),
            What::Odd => match &self.odd[step.argument as usize] {
                Odd::Internal { read, .. } => read.first().map(|&value| self.value_told(value)),
                Odd::Branch { .. } => None,
            },
            What::Write | What::Asked => None,
        }
    }

    fn step_told(&self, id: Id, nth: usize) -> String {
        let step = self.steps_of(id)[nth];
        let key = self.key_told(step.key());
        match (step.what(), self.read_told(id, nth)) {
            (What::Write, _) if self.are_lists => {
                format!("append {} to {key}", self.value_told(step.argument))
            }
            (What::Write, _) => format!("write {} to {key}", self.value_told(step.argument)),
            (_, Some(read)) => format!("read {key} as {read}"),
            (_, None) => format!("read {key}"),
        }
    }

    /// "by process 1 on n2".
    fn whose(&self, id: Id) -> String {
        let process = self.processes[self.process[id as usize] as usize];
        let mut words = format!("by process {process}");
        let node = self.node[id as usize];
        if node != u16::MAX {
            words += &format!(" on {}", words::node(node));
        }
        words
    }

    /// "transaction (append 3 to 5) by process 1 on n2".
    pub(crate) fn told(&self, id: Id) -> String {
        let count = self.steps_of(id).len();
        let told = (0..count.min(STEPS_TOLD)).map(|nth| self.step_told(id, nth));
        let mut told: Vec<String> = told.collect();
        if count > STEPS_TOLD {
            told.push(format!("{} more steps", count - STEPS_TOLD));
        }
        format!("transaction ({}) {}", told.join("; "), self.whose(id))
    }

    /// "the read of key 5 as [1, 2] by process 3 on n2 (begun at 1.2 s)".
    pub(crate) fn first_read_told(&self, id: Id, key: u32) -> String {
        if id == NONE {
            return format!("a read of key {}", self.key_told(key));
        }
        let read = (0..self.steps_of(id).len())
            .filter(|&nth| self.steps_of(id)[nth].key() == key)
            .find_map(|nth| self.read_told(id, nth));
        format!(
            "the read of key {} as {} {} (begun at {})",
            self.key_told(key),
            read.unwrap_or_else(|| "nobody knows what".to_owned()),
            self.whose(id),
            self.begun_told(id),
        )
    }

    pub(crate) fn begun_told(&self, id: Id) -> String {
        words::time(self.times[id as usize][0]).to_string()
    }

    pub(crate) fn completed_told(&self, id: Id) -> String {
        words::time(self.times[id as usize][1]).to_string()
    }

    /// "1.2 s to 1.3 s".
    pub(crate) fn during_told(&self, id: Id) -> String {
        if self.complete[id as usize] == NONE {
            return format!("from {}, never answered", self.begun_told(id));
        }
        format!("{} to {}", self.begun_told(id), self.completed_told(id))
    }

    pub(crate) fn finding(
        &self,
        anomaly: &str,
        key: Option<u32>,
        ids: &[Id],
        explanation: String,
    ) -> Finding {
        let ids = ids.iter().filter(|&&id| id != NONE);
        let mut ops: Vec<u64> = ids.map(|&id| u64::from(self.invoke[id as usize])).collect();
        ops.sort_unstable();
        ops.dedup();
        Finding {
            anomaly: anomaly.to_owned(),
            key: key.map(|key| self.keys[key as usize] as u64),
            ops,
            explanation,
        }
    }
}

/// Findings as they come: the first of an anomaly per key, and not too many of one anomaly.
#[derive(Default)]
pub(crate) struct Findings {
    pub all: Vec<Finding>,
}

/// Findings of one anomaly; a store that gets something wrong may do so all the time.
const ONE_ANOMALY_MAX: usize = 16;

impl Findings {
    pub fn add(
        &mut self,
        store: &Store,
        anomaly: &str,
        key: u32,
        ids: &[Id],
        explanation: impl FnOnce() -> String,
    ) {
        let name = store.keys[key as usize] as u64;
        let same = || self.all.iter().filter(|other| other.anomaly == anomaly);
        if same().count() < ONE_ANOMALY_MAX && !same().any(|other| other.key == Some(name)) {
            self.all
                .push(store.finding(anomaly, Some(key), ids, explanation()));
        }
    }
}
