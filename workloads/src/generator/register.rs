//! Reads, writes, swaps and compare-and-sets of a few hot registers.

use std::collections::HashMap;
use std::ops::Range;

use elle_rs::history::{Action, Key, Value};
use rand_chacha::ChaCha8Rng;

use super::below;
use crate::client::Capabilities;
use crate::options::WorkloadOptions;

/// The last value of each key that one client knows of.
#[derive(Clone, Debug, Default)]
pub struct Seen(HashMap<Key, Value>);

impl Seen {
    /// Takes note of an operation that came back `ok`.
    pub fn note(&mut self, action: &Action) {
        match action {
            Action::Read {
                key,
                value: Some(value),
            }
            | Action::Write { key, value }
            | Action::Swap { key, value, .. }
            | Action::Cas {
                key,
                value,
                swapped: true,
                ..
            } => {
                self.0.insert(*key, *value);
            }
            // Someone else wrote since: what this client knew is of no use any more.
            Action::Cas { key, .. } | Action::Read { key, .. } => {
                self.0.remove(key);
            }
            Action::Txn { .. } => {}
        }
    }

    /// The last value known of a key.
    pub fn value(&self, key: Key) -> Option<Value> {
        self.0.get(&key).copied()
    }
}

/// Generates the `register` workload.
pub struct Register {
    rng: ChaCha8Rng,
    first_key: Key,
    keys: u32,
    swap: bool,
    compare_and_set: bool,
    next_value: Value,
}

impl Register {
    pub(super) fn new(
        options: &WorkloadOptions,
        capabilities: Capabilities,
        first_key: Key,
        rng: ChaCha8Rng,
    ) -> Self {
        Self {
            rng,
            first_key,
            keys: options.keys,
            swap: capabilities.swap,
            compare_and_set: options.cas && capabilities.compare_and_set,
            next_value: 1,
        }
    }

    /// 45 % reads, 25 % writes, 30 % swaps; with compare-and-set 40, 15, 20 and 25 %. What the
    /// store can't do becomes a write, and so does a compare-and-set without a value to expect.
    ///
    /// Every action draws the same amount of randomness, so that the sequence does not depend
    /// on what clients saw.
    pub(super) fn next(&mut self, seen: &Seen) -> Action {
        let key = self.first_key + below(&mut self.rng, u64::from(self.keys));
        let percent = below(&mut self.rng, 100);
        let (reads, writes, swaps) = if self.compare_and_set {
            (40, 15, 20)
        } else {
            (45, 25, 30)
        };
        if percent < reads {
            return Action::Read { key, value: None };
        }
        let value = self.next_value;
        self.next_value += 1;
        if percent < reads + writes {
            return Action::Write { key, value };
        }
        if percent < reads + writes + swaps && self.swap {
            return Action::Swap {
                key,
                value,
                old: None,
            };
        }
        match seen.value(key) {
            Some(expected) if self.compare_and_set => Action::Cas {
                key,
                expected,
                value,
                swapped: false,
            },
            _ => Action::Write { key, value },
        }
    }

    pub(super) fn keys(&self) -> Range<Key> {
        self.first_key..self.first_key + u64::from(self.keys)
    }
}
