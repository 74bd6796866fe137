//! Simulated stores that run transactions: strictly serializable, by snapshots, or worse.

use std::collections::BTreeMap;

use elle_rs::history::{Action, Key, Kind, Step, Value};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::common::Timed;

/// What the store guarantees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Store {
    /// Each transaction takes effect at an instant between its two events.
    Strict,
    /// At any instant at all.
    Serial,
    /// Reads at one instant, commits at a later one, if no one has committed to its keys between.
    Snapshot,
    /// The same without asking who committed: appends go where they go.
    Careless,
}

/// How to draw transactions.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub transactions: usize,
    pub clients: u64,
    pub keys: Key,
    pub steps: usize,
    /// In a hundred.
    pub pending: u32,
    pub fails: u32,
}

/// Runs random transactions; each has a process of its own.
pub fn simulate(rng: &mut ChaCha8Rng, store: Store, shape: &Shape) -> Vec<Timed> {
    let mut next = 0;
    let mut transactions: Vec<Timed> = Vec::new();
    // (moment, transaction, whether it is the commit)
    let mut moments: Vec<(u64, usize, bool)> = Vec::new();
    for at in 0..shape.transactions {
        let start = at as u64 * 1_000 + rng.random_range(0..900);
        let finish = start + rng.random_range(2..=shape.clients * 1_000);
        let (from, to) = match store {
            Store::Serial => (0, shape.transactions as u64 * 1_000),
            _ => (start, finish),
        };
        let commit = rng.random_range(from..=to);
        moments.push((commit, at, true));
        if matches!(store, Store::Snapshot | Store::Careless) {
            moments.push((rng.random_range(start..=commit), at, false));
        }
        let kind = match rng.random_range(0..100) {
            dice if dice < shape.pending => Kind::Info,
            dice if dice < shape.pending + shape.fails => Kind::Fail,
            _ => Kind::Ok,
        };
        let steps = draw(rng, shape, &mut next);
        transactions.push(Timed {
            start,
            finish: (kind != Kind::Info || rng.random()).then_some((finish, kind)),
            action: Action::Txn { steps },
        });
    }
    moments.sort_unstable();
    run(rng, store, &mut transactions, &moments);
    transactions
}

fn draw(rng: &mut ChaCha8Rng, shape: &Shape, next: &mut Value) -> Vec<Step> {
    (0..rng.random_range(1..=shape.steps))
        .map(|_| {
            let key = rng.random_range(0..shape.keys);
            if rng.random() {
                return Step::Read { key, list: None };
            }
            *next += 1;
            Step::Append { key, value: *next }
        })
        .collect()
}

type Lists = BTreeMap<Key, Vec<Value>>;

fn run(
    rng: &mut ChaCha8Rng,
    store: Store,
    transactions: &mut [Timed],
    moments: &[(u64, usize, bool)],
) {
    let mut lists = Lists::new();
    let mut snapshots: BTreeMap<usize, Lists> = BTreeMap::new();
    for &(_, at, commit) in moments {
        if !commit {
            snapshots.insert(at, lists.clone());
            continue;
        }
        let transaction = &mut transactions[at];
        let ended = transaction.finish.map_or(Kind::Info, |(_, kind)| kind);
        if ended == Kind::Fail || (ended == Kind::Info && rng.random()) {
            continue;
        }
        let Action::Txn { steps } = &mut transaction.action else {
            continue;
        };
        let snapshot = snapshots.remove(&at).unwrap_or_else(|| lists.clone());
        let appended = |key: &Key| {
            steps
                .iter()
                .any(|s| matches!(s, Step::Append { key: k, .. } if k == key))
        };
        let conflict = snapshot != lists
            && lists
                .iter()
                .any(|(key, list)| appended(key) && snapshot.get(key) != Some(list));
        if store == Store::Snapshot && conflict {
            // An abort; one that was to be acknowledged is answered as failed instead.
            if let Some((_, kind)) = &mut transaction.finish {
                *kind = Kind::Fail;
            }
            continue;
        }
        let mut mine = snapshot;
        for step in steps {
            match step {
                Step::Append { key, value } => {
                    mine.entry(*key).or_default().push(*value);
                    lists.entry(*key).or_default().push(*value);
                }
                Step::Read { key, list } => {
                    *list = Some(mine.get(key).cloned().unwrap_or_default());
                }
            }
        }
    }
}
