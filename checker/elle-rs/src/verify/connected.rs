//! Registers that no transaction ties together: an order of each such part makes one of them all.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::history::{Did, NIL, Number, Operation};

/// The parts, each by the register named first in it; `None` if there is only one, or if a
/// transaction touches nothing or a register named `nil`.
pub(super) fn split(operations: &[Operation]) -> Option<FxHashMap<Number, Vec<usize>>> {
    // Which register each one is in one part with; spread until nothing changes.
    let mut same: BTreeMap<Number, Vec<Number>> = BTreeMap::new();
    let mut touched: Vec<Vec<Number>> = Vec::with_capacity(operations.len());
    for operation in operations {
        let Did::Transaction(steps) = &operation.did else {
            return None;
        };
        let keys: Vec<Number> = steps.iter().map(|&(_, key, _)| key).collect();
        if keys.is_empty() || keys.contains(&NIL) {
            return None;
        }
        for &key in &keys {
            same.entry(keys[0]).or_default().push(key);
            same.entry(key).or_default().push(keys[0]);
        }
        touched.push(keys);
    }
    let mut part_of: FxHashMap<Number, Number> = FxHashMap::default();
    let mut parts: FxHashMap<Number, Vec<usize>> = FxHashMap::default();
    for (id, keys) in touched.iter().enumerate() {
        if !part_of.contains_key(&keys[0]) {
            let name = keys[0];
            let mut waiting = vec![name];
            while let Some(key) = waiting.pop() {
                if part_of.insert(key, name).is_none() {
                    waiting.extend(same.get(&key).into_iter().flatten());
                }
            }
        }
        parts.entry(part_of[&keys[0]]).or_default().push(id);
    }
    (parts.len() > 1).then_some(parts)
}
