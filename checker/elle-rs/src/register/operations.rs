//! The operations of each register, compact, in the order of invocation.

use rustc_hash::FxHashMap;

use crate::history::pairs::{Malformed, Outcome, pair};
use crate::history::{Action, Event, Key, Value};

/// A moment: the position of an event in the history, plus one.
pub(crate) type Time = u32;

/// Before every event: when the initial `nil` was written.
pub(crate) const BEGINNING: Time = 0;

/// After every event: when a pending operation completes.
pub(crate) const NEVER: Time = u32::MAX;

/// What an operation does to the register, given what came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Saw `value`.
    Read { value: Option<Value> },
    /// Put `value`, whatever was there: a write, or a pending swap, whose old value is unknown.
    Write { value: Value },
    /// Put `value` where `old` was: a swap, or a compare-and-set that was made (or may be).
    Update { old: Option<Value>, value: Value },
    /// Found something other than `expected`, and changed nothing.
    Refused { expected: Value },
}

/// One operation on one register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub start: Time,
    pub finish: Time,
    pub effect: Effect,
}

impl Operation {
    pub fn is_pending(&self) -> bool {
        self.finish == NEVER
    }

    /// What it puts, if it puts anything.
    pub fn puts(&self) -> Option<Value> {
        match self.effect {
            Effect::Write { value } | Effect::Update { value, .. } => Some(value),
            Effect::Read { .. } | Effect::Refused { .. } => None,
        }
    }
}

/// All that was done to one register.
pub(crate) struct Register {
    pub key: Key,
    /// In the order of invocation. No pending reads: whatever they saw, nobody knows.
    pub operations: Vec<Operation>,
    /// Values of writes that certainly did not happen, with the start of one such write.
    pub failed: FxHashMap<Value, Time>,
}

/// The registers of a history, by key.
pub(crate) fn registers(events: &[Event]) -> Result<Vec<Register>, Malformed> {
    let mut registers: Vec<Register> = Vec::new();
    let mut by_key: FxHashMap<Key, usize> = FxHashMap::default();
    for pair in pair(events)? {
        let at = match (pair.outcome, pair.complete) {
            (Outcome::Ok, Some(complete)) => complete,
            _ => pair.invoke,
        };
        let Event::Op(op) = &events[at as usize] else {
            continue;
        };
        let known = pair.outcome == Outcome::Ok;
        let Some((key, effect)) = effect(&op.action, known) else {
            continue;
        };
        let register = *by_key.entry(key).or_insert_with(|| {
            registers.push(Register {
                key,
                operations: Vec::new(),
                failed: FxHashMap::default(),
            });
            registers.len() - 1
        });
        let register = &mut registers[register];
        let start = pair.invoke + 1;
        let finish = match (pair.outcome, pair.complete) {
            (Outcome::Ok, Some(complete)) => complete + 1,
            _ => NEVER,
        };
        let operation = Operation {
            start,
            finish,
            effect,
        };
        match pair.outcome {
            Outcome::Ok => register.operations.push(operation),
            Outcome::Pending if operation.puts().is_some() => register.operations.push(operation),
            Outcome::Pending => {}
            Outcome::Fail => {
                if let Some(value) = operation.puts() {
                    register.failed.entry(value).or_insert(start);
                }
            }
        }
    }
    registers.sort_unstable_by_key(|register| register.key);
    Ok(registers)
}

/// The effect of an action; `known` if the action holds what came back.
fn effect(action: &Action, known: bool) -> Option<(Key, Effect)> {
    Some(match *action {
        Action::Read { key, value } => (key, Effect::Read { value }),
        Action::Write { key, value } => (key, Effect::Write { value }),
        Action::Swap { key, value, old } if known => (key, Effect::Update { old, value }),
        Action::Swap { key, value, .. } => (key, Effect::Write { value }),
        Action::Cas {
            key,
            expected,
            swapped: false,
            ..
        } if known => (key, Effect::Refused { expected }),
        Action::Cas {
            key,
            expected,
            value,
            ..
        } => (
            key,
            Effect::Update {
                old: Some(expected),
                value,
            },
        ),
        Action::Txn { .. } => return None,
    })
}
