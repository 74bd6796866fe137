//! Sets and queues without an order.

use rustc_hash::FxHashMap;

use crate::linear::acts::{Act, Verb};
use crate::linear::model::Model;
use crate::linear::values::{Atom, NIL, Values};

/// A set; empty before everything.
#[derive(Default)]
pub struct SetModel {
    /// What the reads saw, sorted.
    reads: FxHashMap<Atom, Vec<Atom>>,
}

impl SetModel {
    /// For these acts.
    pub fn new(acts: impl Iterator<Item = Act>, values: &mut Values) -> Self {
        let mut reads = FxHashMap::default();
        for act in acts {
            if act.verb == Verb::Read && !reads.contains_key(&act.a) {
                let elements = elements(act.a, values);
                reads.insert(act.a, elements);
            }
        }
        SetModel { reads }
    }

    /// The elements that this read saw, sorted, each as often as it was seen.
    pub(in crate::linear) fn elements(&self, read: Atom) -> &[Atom] {
        self.reads.get(&read).map_or(&[], |elements| elements)
    }
}

/// The elements that a read saw, sorted, each as often as it was seen.
pub(in crate::linear) fn elements(read: Atom, values: &mut Values) -> Vec<Atom> {
    let parts = values.parts_of(read);
    let mut elements: Vec<Atom> = parts
        .iter()
        .map(|tokens| values.intern(crate::history::stream::Value::over(tokens)))
        .collect();
    elements.sort_unstable();
    elements
}

impl Model for SetModel {
    type Op = Act;
    /// The elements, sorted.
    type State = Vec<Atom>;

    fn initial(&self) -> Self::State {
        Vec::new()
    }

    fn step(&self, now: &Self::State, act: &Act, next: &mut dyn FnMut(Self::State)) {
        let place = now.binary_search(&act.a);
        match (act.verb, place) {
            (Verb::Read, _) if self.reads.get(&act.a) == Some(now) => next(now.clone()),
            (Verb::Present, Ok(_)) | (Verb::Absent, Err(_)) => next(now.clone()),
            // Answered with `true`: it was not there.
            (Verb::Add, Ok(_)) if act.b == NIL => next(now.clone()),
            (Verb::Add, Err(at)) => {
                let mut state = now.clone();
                state.insert(at, act.a);
                next(state);
            }
            (Verb::Remove, Ok(at)) => {
                let mut state = now.clone();
                state.remove(at);
                next(state);
            }
            _ => {}
        }
    }

    fn only_looks(&self, act: &Act) -> bool {
        matches!(act.verb, Verb::Read | Verb::Present | Verb::Absent)
    }
}

/// A queue that gives back what is in it, in any order; empty before everything.
pub struct UnorderedQueueModel;

impl Model for UnorderedQueueModel {
    type Op = Act;
    /// What is in it, sorted.
    type State = Vec<Atom>;

    fn initial(&self) -> Self::State {
        Vec::new()
    }

    fn step(&self, now: &Self::State, act: &Act, next: &mut dyn FnMut(Self::State)) {
        let mut without = |at: usize| {
            let mut state = now.clone();
            state.remove(at);
            next(state);
        };
        match act.verb {
            Verb::Enqueue => {
                let mut state = now.clone();
                let at = state.partition_point(|&value| value < act.a);
                state.insert(at, act.a);
                next(state);
            }
            Verb::Dequeue => {
                if let Ok(at) = now.binary_search(&act.a) {
                    without(at);
                }
            }
            Verb::DequeueUnseen => {
                for at in 0..now.len() {
                    if at == 0 || now[at] != now[at - 1] {
                        without(at);
                    }
                }
            }
            Verb::DequeueNothing if now.is_empty() => next(now.clone()),
            _ => {}
        }
    }

    fn only_looks(&self, act: &Act) -> bool {
        act.verb == Verb::DequeueNothing
    }
}
