//! What a search must know of an object: its states, and what an operation does to them.

use std::hash::Hash;

/// An object whose operations each take effect in one instant.
///
/// An operation is what was asked together with what came back, so a step either explains the
/// answer or is impossible. A model may be nondeterministic: then a step has several outcomes.
pub trait Model: Sync {
    /// An operation with its answer. Equal ones are interchangeable.
    type Op: Clone + Eq + Hash + Send + Sync;
    /// A state. Equal ones have the same future.
    type State: Clone + Eq + Hash + Send;

    /// The state before everything.
    fn initial(&self) -> Self::State;

    /// Gives `next` each state that the operation can leave behind; none if it cannot have come
    /// back so in this state.
    fn step(&self, state: &Self::State, op: &Self::Op, next: &mut dyn FnMut(Self::State));

    /// Whether the operation never changes the state, wherever it is possible. The search then
    /// never branches on it.
    fn only_looks(&self, op: &Self::Op) -> bool;
}

/// A moment: the place of an entry in the history, plus one. 0 is before everything.
pub type Time = u32;

/// When a pending operation completes: after everything.
pub const NEVER: Time = u32::MAX;

/// One operation of a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// When it was invoked.
    pub start: Time,
    /// When it completed; [`NEVER`] if it is pending.
    pub finish: Time,
    /// What it is: a place in [`Question::classes`].
    pub class: u32,
}

impl Operation {
    /// Whether nobody knows if it took effect.
    pub fn is_pending(&self) -> bool {
        self.finish == NEVER
    }
}

/// Operations to be put in an order: each between its invocation and its completion, pending ones
/// at any time after their invocation, or never.
#[derive(Clone, Debug)]
pub struct Question<O> {
    /// By invocation. No two moments are equal.
    pub operations: Vec<Operation>,
    /// What the operations do; equal ones share a place.
    pub classes: Vec<O>,
}
