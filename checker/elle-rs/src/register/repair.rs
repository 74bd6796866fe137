//! Searches anew around refused compare-and-sets that an order has no room for.
//!
//! The order respects time everywhere, so any window of it may be put in another order that
//! respects time within the window: what stands before and behind stays. All that must remain is
//! the value that the operations behind find.

use std::ops::Range;

use rustc_hash::FxHashSet;

use super::blocks::Id;
use super::operations::{Effect, Operation};
use super::search::Search;
use crate::history::Value;

/// Operations on each side of a misplaced one that may be put in another order with it, and the
/// steps that may take: small windows first, nearly all there is to find is near.
const WINDOWS: [(usize, u64); 4] = [(4, 1_000), (16, 10_000), (32, 50_000), (60, 500_000)];

/// Windows searched before giving up.
const REPAIRS_MAX: usize = 1_000;

struct Repair<'a> {
    operations: &'a [Operation],
    order: Vec<Id>,
    /// The value before each operation of the order.
    values: Vec<Option<Value>>,
    /// Pending writes that the order does not use, by start.
    unused: Vec<Id>,
}

/// An order with room for all of `misplaced`, if the windows around them have one.
pub(super) fn repair(
    operations: &[Operation],
    order: Vec<Id>,
    misplaced: &FxHashSet<Id>,
) -> Option<Vec<Id>> {
    if misplaced.is_empty() {
        return Some(order);
    }
    if misplaced.len() > REPAIRS_MAX {
        return None;
    }
    let used: FxHashSet<Id> = order.iter().copied().collect();
    let is_unused = |&id: &Id| {
        let operation = &operations[id as usize];
        let writes = matches!(operation.effect, Effect::Write { .. });
        operation.is_pending() && writes && !used.contains(&id)
    };
    let mut repair = Repair {
        operations,
        values: Vec::new(),
        unused: (0..operations.len() as Id).filter(is_unused).collect(),
        order,
    };
    repair.values = repair.replay(None, &repair.order);
    let mut at = 0;
    while at < repair.order.len() {
        if misplaced.contains(&repair.order[at]) {
            // A window found anew has room for all that are in it: go on behind it.
            at = repair.around(at)?;
        } else {
            at += 1;
        }
    }
    Some(repair.order)
}

impl Repair<'_> {
    /// Puts a window around a place in a new order; says where it ends then.
    fn around(&mut self, at: usize) -> Option<usize> {
        WINDOWS.iter().find_map(|&(reach, steps)| {
            let window = at.saturating_sub(reach)..(at + reach).min(self.order.len());
            let found = self.search(window.clone(), steps)?;
            self.unused.retain(|id| !found.contains(id));
            let values = self.replay(self.values[window.start], &found);
            let end = window.start + found.len();
            self.order.splice(window.clone(), found);
            self.values.splice(window, values);
            Some(end)
        })
    }

    fn search(&self, window: Range<usize>, steps: u64) -> Option<Vec<Id>> {
        let behind = self.order.get(window.end);
        let overwrites = |&id: &Id| matches!(self.operation(id).effect, Effect::Write { .. });
        let after = match behind {
            Some(id) if !overwrites(id) => Some(self.values[window.end]),
            _ => None,
        };
        let mut asked = self.order[window.clone()].to_vec();
        let refusals = asked
            .iter()
            .filter(|&&id| matches!(self.operation(id).effect, Effect::Refused { .. }))
            .count();
        // A pending write may come in if it began before something in the window did: nothing
        // behind the window can have finished by then.
        let latest = asked.iter().map(|&id| self.operation(id).start).max()?;
        let began = |&&id: &&Id| self.operation(id).start < latest;
        let spare = self.unused.iter().take_while(began).take(refusals);
        asked.extend(spare.take((u128::BITS as usize).saturating_sub(window.len())));
        Search::new(self.operations, asked, after, steps).from(self.values[window.start])
    }

    fn operation(&self, id: Id) -> &Operation {
        &self.operations[id as usize]
    }

    /// The value before each of these operations.
    fn replay(&self, before: Option<Value>, order: &[Id]) -> Vec<Option<Value>> {
        let mut value = before;
        order
            .iter()
            .map(|&id| {
                let here = value;
                value = self.operation(id).puts().or(value);
                here
            })
            .collect()
    }
}
