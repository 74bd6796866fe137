//! Registers, locks, counters: states of a few words.

use crate::linear::acts::{Act, Acts, Micro, Verb};
use crate::linear::model::Model;
use crate::linear::values::{Atom, Values};

/// A register, with compare-and-set and swap.
pub struct RegisterModel {
    /// What is there before everything.
    pub initial: Atom,
}

impl Model for RegisterModel {
    type Op = Act;
    type State = Atom;

    fn initial(&self) -> Atom {
        self.initial
    }

    fn step(&self, &now: &Atom, act: &Act, next: &mut dyn FnMut(Atom)) {
        match act.verb {
            Verb::Read if act.a == now => next(now),
            Verb::Refused if act.a != now => next(now),
            Verb::Write => next(act.a),
            Verb::Update if act.a == now => next(act.b),
            _ => {}
        }
    }

    fn only_looks(&self, act: &Act) -> bool {
        matches!(act.verb, Verb::Read | Verb::Refused)
    }
}

/// Several registers, read and written together.
pub struct MultiRegisterModel<'a> {
    /// What every register holds before everything.
    pub initial: Atom,
    /// What the transactions do.
    pub acts: &'a Acts,
}

impl Model for MultiRegisterModel<'_> {
    type Op = Act;
    /// The registers that were written, by key.
    type State = Vec<(Atom, Atom)>;

    fn initial(&self) -> Self::State {
        Vec::new()
    }

    fn step(&self, now: &Self::State, act: &Act, next: &mut dyn FnMut(Self::State)) {
        let mut state = now.clone();
        for micro in self.acts.transaction(act.a) {
            let (Micro::Read(key, _) | Micro::Write(key, _)) = *micro;
            let at = state.binary_search_by_key(&key, |&(key, _)| key);
            match (*micro, at) {
                (Micro::Read(_, value), Ok(at)) if state[at].1 == value => {}
                (Micro::Read(_, value), Err(_)) if self.initial == value => {}
                (Micro::Read(..), _) => return,
                (Micro::Write(_, value), Ok(at)) => state[at].1 = value,
                (Micro::Write(_, value), Err(at)) => state.insert(at, (key, value)),
            }
        }
        // A register written with what it held before everything is as one not written.
        state.retain(|&(_, value)| value != self.initial);
        next(state);
    }

    fn only_looks(&self, act: &Act) -> bool {
        let steps = self.acts.transaction(act.a);
        steps.iter().all(|micro| matches!(micro, Micro::Read(..)))
    }
}

/// A lock, free before everything.
pub struct MutexModel;

impl Model for MutexModel {
    type Op = Act;
    type State = bool;

    fn initial(&self) -> bool {
        false
    }

    fn step(&self, &held: &bool, act: &Act, next: &mut dyn FnMut(bool)) {
        match act.verb {
            Verb::Acquire if !held => next(true),
            Verb::Release if held => next(false),
            _ => {}
        }
    }

    fn only_looks(&self, _: &Act) -> bool {
        false
    }
}

/// A number that is added to; 0 before everything.
pub struct CounterModel<'a> {
    /// The numbers.
    pub values: &'a Values,
}

impl Model for CounterModel<'_> {
    type Op = Act;
    type State = i128;

    fn initial(&self) -> i128 {
        0
    }

    fn step(&self, &now: &i128, act: &Act, next: &mut dyn FnMut(i128)) {
        let Some(number) = self.values.int(act.a).map(i128::from) else {
            return;
        };
        match act.verb {
            Verb::Add => next(now + number),
            Verb::Read if number == now => next(now),
            _ => {}
        }
    }

    fn only_looks(&self, act: &Act) -> bool {
        act.verb == Verb::Read
    }
}
