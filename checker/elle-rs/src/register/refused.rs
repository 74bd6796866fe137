//! Places refused compare-and-sets into a witness.
//!
//! A refused compare-and-set changes nothing and saw only that the value was *not* the expected
//! one. In a given order of all other operations it may stand in any gap that time allows, if
//! another value is there. Each is given the earliest such gap, in the order they began: that
//! leaves the most room for those that must come after it. If one cannot be placed so, the order
//! around it is searched anew, in windows of growing size. If that fails too, an order that
//! differs everywhere may still have room for it: then this file has no answer.

use super::blocks::Id;
use super::operations::{BEGINNING, Effect, Operation, Time};
use super::repair::repair;
use crate::history::Value;
use rustc_hash::FxHashSet;

/// The witness with all refused compare-and-sets in it, or `None` if one has no place.
pub(super) fn place(operations: &[Operation], witness: Vec<Id>) -> Option<Vec<Id>> {
    let refused: Vec<(Id, Value)> = (0..)
        .zip(operations)
        .filter_map(|(id, operation)| match operation.effect {
            Effect::Refused { expected } => Some((id, expected)),
            _ => None,
        })
        .collect();
    if refused.is_empty() {
        return Some(witness);
    }
    let gaps = Gaps::new(operations, &witness);
    // (finish, gap) of those placed, in the order they began; gaps need not grow with finish.
    let mut placed: Vec<(Time, usize)> = Vec::with_capacity(refused.len());
    let mut after = Frontier::default();
    let mut misplaced: FxHashSet<Id> = FxHashSet::default();
    for &(id, expected) in &refused {
        let operation = &operations[id as usize];
        let earliest = gaps
            .earliest(operation.start)
            .max(after.gap_before(operation.start));
        let mut gap = gaps.without(expected, earliest);
        if gap > gaps.latest(operation.finish) {
            // Time allows it here, the value does not: left to `repair`.
            gap = earliest;
            misplaced.insert(id);
        }
        after.add(operation.finish, gap);
        placed.push((operation.start, gap));
    }
    let mut placed: Vec<(usize, Id)> = placed
        .iter()
        .zip(&refused)
        .map(|(&(_, gap), &(id, _))| (gap, id))
        .collect();
    // Stable: within a gap the order of beginning stays.
    placed.sort_by_key(|&(gap, _)| gap);
    let mut whole = Vec::with_capacity(witness.len() + placed.len());
    let mut placed = placed.into_iter().peekable();
    for gap in 0..=witness.len() {
        while let Some((_, id)) = placed.next_if(|&(at, _)| at == gap) {
            whole.push(id);
        }
        whole.extend(witness.get(gap));
    }
    repair(operations, whole, &misplaced)
}

/// The gaps of a witness: gap g stands before its operation g.
struct Gaps {
    /// (finish, 1 + the greatest place of those that finished by then), by finish.
    finished: Vec<(Time, usize)>,
    /// (start, the least place of those that start from then on), by start.
    started: Vec<(Time, usize)>,
    /// The value in each gap, and the next gap with another value.
    values: Vec<Option<Value>>,
    changes: Vec<usize>,
}

impl Gaps {
    fn new(operations: &[Operation], witness: &[Id]) -> Self {
        let places = || (0..).zip(witness.iter().map(|&id| &operations[id as usize]));
        let mut finished: Vec<(Time, usize)> =
            places().map(|(place, op)| (op.finish, place + 1)).collect();
        finished.sort_unstable();
        let mut most = 0;
        for (_, place) in &mut finished {
            most = most.max(*place);
            *place = most;
        }
        let mut started: Vec<(Time, usize)> =
            places().map(|(place, op)| (op.start, place)).collect();
        started.sort_unstable();
        let mut least = witness.len();
        for (_, place) in started.iter_mut().rev() {
            least = least.min(*place);
            *place = least;
        }
        let mut values = vec![None];
        let mut value = None;
        for (_, operation) in places() {
            value = operation.puts().or(value);
            values.push(value);
        }
        let mut changes = vec![values.len(); values.len()];
        for gap in (0..values.len() - 1).rev() {
            changes[gap] = if values[gap] == values[gap + 1] {
                changes[gap + 1]
            } else {
                gap + 1
            };
        }
        Gaps {
            finished,
            started,
            values,
            changes,
        }
    }

    /// The first gap behind everything that finished before `start`.
    fn earliest(&self, start: Time) -> usize {
        let before = self.finished.partition_point(|&(finish, _)| finish < start);
        before.checked_sub(1).map_or(0, |at| self.finished[at].1)
    }

    /// The last gap before everything that started after `finish`.
    fn latest(&self, finish: Time) -> usize {
        let after = self.started.partition_point(|&(start, _)| start <= finish);
        self.started
            .get(after)
            .map_or(self.values.len() - 1, |&(_, place)| place)
    }

    /// The first gap from `gap` on in which another value than this stands; past the end if none.
    fn without(&self, value: Value, gap: usize) -> usize {
        if self.values[gap] == Some(value) {
            self.changes[gap]
        } else {
            gap
        }
    }
}

/// The greatest gap used by those that finished before a moment; moments asked for only grow.
#[derive(Default)]
struct Frontier {
    open: std::collections::BinaryHeap<std::cmp::Reverse<(Time, usize)>>,
    gap: usize,
}

impl Frontier {
    fn add(&mut self, finish: Time, gap: usize) {
        debug_assert!(finish > BEGINNING);
        self.open.push(std::cmp::Reverse((finish, gap)));
    }

    fn gap_before(&mut self, start: Time) -> usize {
        while let Some(&std::cmp::Reverse((finish, gap))) = self.open.peek()
            && finish < start
        {
            self.gap = self.gap.max(gap);
            self.open.pop();
        }
        self.gap
    }
}
