//! Simulated stores of registers: strictly serializable, by snapshots, or worse.

use std::collections::BTreeMap;

use elle_rs::history::Kind;
use elle_rs::txn::{Builder, Head, Seen, Store};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

pub type Registers = BTreeMap<i64, i64>;

#[derive(Clone, Debug)]
pub struct Step {
    pub key: i64,
    /// What is written; a read if nothing.
    pub write: Option<i64>,
    /// What was read.
    pub read: Option<i64>,
}

/// A transaction with the moments it begins and ends at.
#[derive(Clone, Debug)]
pub struct Transaction {
    pub start: u64,
    pub finish: u64,
    pub kind: Kind,
    pub steps: Vec<Step>,
}

impl Transaction {
    pub fn is_ok(&self) -> bool {
        self.kind == Kind::Ok
    }

    /// Runs on `registers`; `false` if it cannot have read what it did.
    pub fn run(&self, registers: &mut Registers) -> bool {
        self.steps.iter().all(|step| match step.write {
            Some(value) => {
                registers.insert(step.key, value);
                true
            }
            None => !self.is_ok() || registers.get(&step.key).copied() == step.read,
        })
    }

    pub fn writes(&self, key: i64) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.key == key && step.write.is_some())
    }
}

/// What the store guarantees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Guarantee {
    Strict,
    Serial,
    Snapshot,
    Careless,
}

/// Runs random transactions; with `update`, each writes only what it has read.
pub fn simulate(
    rng: &mut ChaCha8Rng,
    guarantee: Guarantee,
    count: u64,
    update: bool,
    pending: u32,
) -> Vec<Transaction> {
    let clients = rng.random_range(1..=5);
    let keys = rng.random_range(1..=3);
    let mut value = 0;
    let mut moments = Vec::new();
    let mut transactions: Vec<Transaction> = (0..count)
        .map(|at| {
            let start = at * 1_000 + rng.random_range(0..900);
            let finish = start + rng.random_range(2..=clients * 1_000);
            let (from, to) = match guarantee {
                Guarantee::Serial => (0, count * 1_000),
                _ => (start, finish),
            };
            let commit = rng.random_range(from..=to);
            moments.push((commit, at as usize, true));
            if matches!(guarantee, Guarantee::Snapshot | Guarantee::Careless) {
                moments.push((rng.random_range(start..=commit), at as usize, false));
            }
            let dice = rng.random_range(0..100);
            let kind = match dice {
                _ if dice < pending => Kind::Info,
                _ if dice < pending + 5 => Kind::Fail,
                _ => Kind::Ok,
            };
            Transaction {
                start,
                finish,
                kind,
                steps: draw(rng, keys, update, &mut value),
            }
        })
        .collect();
    moments.sort_unstable();
    let mut registers = Registers::new();
    let mut snapshots: BTreeMap<usize, Registers> = BTreeMap::new();
    for (_, at, commits) in moments {
        if !commits {
            snapshots.insert(at, registers.clone());
            continue;
        }
        let transaction = &mut transactions[at];
        let lost = transaction.kind == Kind::Info && rng.random();
        if transaction.kind == Kind::Fail || lost {
            continue;
        }
        let mut mine = snapshots.remove(&at).unwrap_or_else(|| registers.clone());
        let changed = |key: i64| mine.get(&key) != registers.get(&key);
        let conflict = (0..keys).any(|key| transaction.writes(key) && changed(key));
        if guarantee == Guarantee::Snapshot && conflict {
            transaction.kind = Kind::Fail;
            continue;
        }
        for step in &mut transaction.steps {
            match step.write {
                Some(value) => {
                    mine.insert(step.key, value);
                    registers.insert(step.key, value);
                }
                None => step.read = mine.get(&step.key).copied(),
            }
        }
    }
    transactions
}

fn draw(rng: &mut ChaCha8Rng, keys: i64, update: bool, value: &mut i64) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for _ in 0..rng.random_range(1..=4) {
        let key = rng.random_range(0..keys);
        let read = Step {
            key,
            write: None,
            read: None,
        };
        let known = steps.iter().any(|step| step.key == key);
        if rng.random() {
            steps.push(read);
            continue;
        }
        if update && !known {
            steps.push(read);
        }
        *value += 1;
        steps.push(Step {
            key,
            write: Some(*value),
            read: None,
        });
    }
    steps
}

/// The transactions as a history, each by a process of its own.
pub fn store(transactions: &[Transaction]) -> Store {
    let mut moments = Vec::new();
    for (at, transaction) in transactions.iter().enumerate() {
        moments.push((transaction.start, at, Kind::Invoke));
        moments.push((transaction.finish, at, transaction.kind));
    }
    moments.sort_by_key(|&(moment, _, kind)| (moment, kind != Kind::Invoke));
    let mut builder = Builder::new(false);
    for (index, (time_ns, at, kind)) in (0..).zip(moments) {
        for step in &transactions[at].steps {
            match (step.write, step.read) {
                (Some(value), _) => builder.write(step.key, value),
                (None, Some(value)) => builder.read(step.key, Seen::Value(value)),
                (None, None) => builder.read(step.key, Seen::Nil),
            }
        }
        let head = Head {
            index,
            time_ns,
            process: at as i64,
            kind,
            node: None,
        };
        builder.event(head).unwrap();
    }
    builder.finish().unwrap()
}
