//! Queues with an order.

use crate::linear::acts::{Act, Verb};
use crate::linear::model::Model;
use crate::linear::values::{Atom, Values};

/// First in, first out; empty before everything.
pub struct FifoQueueModel;

impl Model for FifoQueueModel {
    type Op = Act;
    /// What is in it, the oldest first.
    type State = Vec<Atom>;

    fn initial(&self) -> Self::State {
        Vec::new()
    }

    fn step(&self, now: &Self::State, act: &Act, next: &mut dyn FnMut(Self::State)) {
        match act.verb {
            Verb::Enqueue => {
                let mut state = now.clone();
                state.push(act.a);
                next(state);
            }
            Verb::Dequeue if now.first() == Some(&act.a) => next(now[1..].to_vec()),
            Verb::DequeueUnseen if !now.is_empty() => next(now[1..].to_vec()),
            Verb::DequeueNothing if now.is_empty() => next(Vec::new()),
            _ => {}
        }
    }

    fn only_looks(&self, act: &Act) -> bool {
        act.verb == Verb::DequeueNothing
    }
}

/// The greatest number first; empty before everything.
pub struct PriorityQueueModel<'a> {
    /// The numbers.
    pub values: &'a Values,
}

impl PriorityQueueModel<'_> {
    fn number(&self, act: &Act) -> i64 {
        self.values.int(act.a).unwrap_or_default()
    }
}

impl Model for PriorityQueueModel<'_> {
    type Op = Act;
    /// What is in it, sorted.
    type State = Vec<i64>;

    fn initial(&self) -> Self::State {
        Vec::new()
    }

    fn step(&self, now: &Self::State, act: &Act, next: &mut dyn FnMut(Self::State)) {
        let rest = || now[..now.len() - 1].to_vec();
        match act.verb {
            Verb::Enqueue => {
                let number = self.number(act);
                let mut state = now.clone();
                let at = state.partition_point(|&other| other < number);
                state.insert(at, number);
                next(state);
            }
            Verb::Dequeue if now.last() == Some(&self.number(act)) => next(rest()),
            Verb::DequeueUnseen if !now.is_empty() => next(rest()),
            Verb::DequeueNothing if now.is_empty() => next(Vec::new()),
            _ => {}
        }
    }

    fn only_looks(&self, act: &Act) -> bool {
        act.verb == Verb::DequeueNothing
    }
}
