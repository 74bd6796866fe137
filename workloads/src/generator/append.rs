//! Transactions that append to lists and read them whole.

use std::ops::Range;

use elle_rs::history::{Action, Key, Step, Value};
use rand_chacha::ChaCha8Rng;

use super::{KEYS_PER_WORKLOAD, below};
use crate::options::WorkloadOptions;

/// Steps in a transaction: 1 to this many.
const STEPS_MAX: u64 = 4;

/// Generates the `append` workload.
///
/// A few lists are in use at a time. One that got its share of appends is replaced by a fresh
/// one, as reads return whole lists and would grow with the run.
pub struct Append {
    rng: ChaCha8Rng,
    active: Vec<List>,
    appends_per_key: u32,
    range: Range<Key>,
    next_key: Key,
    next_value: Value,
}

/// A list in use.
struct List {
    key: Key,
    appends: u32,
}

impl Append {
    pub(super) fn new(options: &WorkloadOptions, first_key: Key, rng: ChaCha8Rng) -> Self {
        Self::with_key_range(options, first_key..first_key + KEYS_PER_WORKLOAD, rng)
    }

    pub(super) fn with_key_range(
        options: &WorkloadOptions,
        range: Range<Key>,
        rng: ChaCha8Rng,
    ) -> Self {
        let next_key = range.start + u64::from(options.keys);
        Self {
            rng,
            active: (range.start..next_key)
                .map(|key| List { key, appends: 0 })
                .collect(),
            appends_per_key: options.appends_per_key,
            range,
            next_key,
            next_value: 1,
        }
    }

    pub(super) fn next(&mut self) -> Option<Action> {
        let count = 1 + below(&mut self.rng, STEPS_MAX);
        let steps = (0..count)
            .map(|_| self.next_step())
            .collect::<Option<Vec<_>>>()?;
        Some(Action::Txn { steps })
    }

    fn next_step(&mut self) -> Option<Step> {
        let slot = below(&mut self.rng, self.active.len() as u64) as usize;
        if below(&mut self.rng, 2) == 0 {
            let key = self.active[slot].key;
            return Some(Step::Read { key, list: None });
        }
        if self.active[slot].appends == self.appends_per_key {
            if self.next_key == self.range.end {
                return None;
            }
            self.active[slot] = List {
                key: self.next_key,
                appends: 0,
            };
            self.next_key += 1;
        }
        let list = &mut self.active[slot];
        list.appends += 1;
        let value = self.next_value;
        self.next_value += 1;
        Some(Step::Append {
            key: list.key,
            value,
        })
    }

    pub(super) fn keys(&self) -> Range<Key> {
        self.range.start..self.next_key
    }
}
