//! A depth-first search for one order of a few operations, near an order already at hand.
//!
//! It tries the operations in the order they are given in, so it is quick where little has to
//! change; it is no proof that there is no order, since its budget is small. (The [`super::sweep`]
//! walks all configurations at once: it can prove that, and is slow where many writes are open.)

use rustc_hash::FxHashSet;

use super::blocks::Id;
use super::operations::{Effect, Operation};
use crate::history::Value;

/// What is done (a bit per operation asked for), and the value there.
type State = (u128, Option<Value>);

pub(super) struct Search<'a> {
    operations: &'a [Operation],
    asked: Vec<Id>,
    /// For each operation asked for: those that finished before it began.
    earlier: Vec<u128>,
    /// Those that must be in the order: all but the pending ones.
    required: u128,
    after: Option<Option<Value>>,
    steps: u64,
    met: FxHashSet<State>,
    order: Vec<Id>,
}

impl<'a> Search<'a> {
    /// At most 128 operations, in the order to try them in. `after` is the value that must be
    /// there in the end, if that matters.
    pub fn new(
        operations: &'a [Operation],
        asked: Vec<Id>,
        after: Option<Option<Value>>,
        steps: u64,
    ) -> Self {
        let times: Vec<&Operation> = asked.iter().map(|&id| &operations[id as usize]).collect();
        let bits = |is: &dyn Fn(&Operation) -> bool| {
            let places = times.iter().enumerate();
            places
                .filter(|(_, operation)| is(operation))
                .fold(0u128, |bits, (place, _)| bits | 1 << place)
        };
        Search {
            earlier: times
                .iter()
                .map(|now| bits(&|other| other.finish < now.start))
                .collect(),
            required: bits(&|operation| !operation.is_pending()),
            operations,
            asked,
            after,
            steps,
            met: FxHashSet::default(),
            order: Vec::new(),
        }
    }

    /// An order that begins with this value, if one is found.
    pub fn from(mut self, before: Option<Value>) -> Option<Vec<Id>> {
        self.go((0, before)).then_some(self.order)
    }

    /// As deep as there are operations: 128 at most.
    fn go(&mut self, (mut done, value): State) -> bool {
        let length = self.order.len();
        self.look(&mut done, value);
        let ends = self.required & !done == 0 && self.after.is_none_or(|after| after == value);
        if ends {
            return true;
        }
        if self.met.insert((done, value)) {
            for place in 0..self.asked.len() {
                let Some(put) = self.may_put(place, done, value) else {
                    continue;
                };
                let Some(steps) = self.steps.checked_sub(1) else {
                    break;
                };
                self.steps = steps;
                self.order.push(self.asked[place]);
                if self.go((done | 1 << place, Some(put))) {
                    return true;
                }
                self.order.pop();
            }
        }
        self.order.truncate(length);
        false
    }

    fn operation(&self, place: usize) -> &'a Operation {
        &self.operations[self.asked[place] as usize]
    }

    fn is_free(&self, place: usize, done: u128) -> bool {
        done & (1 << place) == 0 && self.earlier[place] & !done == 0
    }

    /// What only looks is done the moment it can be; doing it may make room for more.
    fn look(&mut self, done: &mut u128, value: Option<Value>) {
        let mut before = None;
        while before != Some(*done) {
            before = Some(*done);
            for place in 0..self.asked.len() {
                let looks = match self.operation(place).effect {
                    Effect::Read { value: read } => read == value,
                    Effect::Refused { expected } => Some(expected) != value,
                    Effect::Write { .. } | Effect::Update { .. } => false,
                };
                if looks && self.is_free(place, *done) {
                    *done |= 1 << place;
                    self.order.push(self.asked[place]);
                }
            }
        }
    }

    /// What an operation puts, if it may be next and leaves nobody behind that needs the value
    /// there now.
    fn may_put(&self, place: usize, done: u128, value: Option<Value>) -> Option<Value> {
        if !self.is_free(place, done) {
            return None;
        }
        let put = match self.operation(place).effect {
            Effect::Write { value: put } => put,
            Effect::Update { old, value: put } if old == value => put,
            _ => return None,
        };
        let left = |other: &usize| *other != place && done & (1 << other) == 0;
        let needs = |other: usize| match self.operation(other).effect {
            Effect::Read { value: seen } => seen == value,
            Effect::Update { old, .. } => old == value && !self.operation(other).is_pending(),
            _ => false,
        };
        let brings = |other: usize| value.is_some() && self.operation(other).puts() == value;
        let places = || (0..self.asked.len()).filter(left);
        let forsakes = places().any(needs) && !places().any(brings);
        (!forsakes).then_some(put)
    }
}
