//! The layered sweep: decides any register history, at a price that may grow exponentially with
//! the number of operations open at once, and so under a budget of steps.
//!
//! Time is walked event by event with the set of all *configurations* the register may be in:
//! which of the open operations have already taken effect, and the value there. When an
//! operation returns, those configurations remain in which it has. Operations that only look
//! (reads, refused compare-and-sets) take effect the moment they can: that changes no value and
//! takes no choice away.

use rustc_hash::FxHashSet;

use super::blocks::Id;
use super::operations::{Effect, NEVER, Operation, Time};
use crate::history::Value;

/// What the sweep found.
pub(super) enum Swept {
    /// An order that explains every operation.
    Order(Vec<Id>),
    /// No order lets `culprit` return what it did: the register could then hold only `values`.
    Impossible {
        culprit: Id,
        values: Vec<Option<Value>>,
    },
    /// The budget, or the number of operations it can follow at once, was not enough.
    Exhausted { from: Time, to: Time, open: usize },
}

/// Operations that can be open at once: one bit each.
const SLOTS: usize = u128::BITS as usize;

/// Configurations that one is compared with before it is kept: it need not be all, and all is
/// quadratic.
const COMPARED: usize = 64;

/// Which open operations have taken effect (a bit per slot), and the value there.
type State = (u128, Option<Value>);

/// A state and the way to it, as a position in `Sweep::trail`.
type Configuration = (State, u32);

struct Sweep<'a> {
    operations: &'a [Operation],
    slots: [Option<Id>; SLOTS],
    layer: Vec<Configuration>,
    /// (what was done before, what was done): the ways of all configurations, as a tree.
    trail: Vec<(u32, Id)>,
    steps: u64,
}

/// What is to be put in an order, and between what.
pub(super) struct Question<'a> {
    /// All operations of the register.
    pub operations: &'a [Operation],
    /// Those to be put in an order, in the order of invocation.
    pub asked: Vec<Id>,
    /// The value before.
    pub before: Option<Value>,
    /// The value that must be there after, if that matters.
    pub after: Option<Option<Value>>,
}

/// Decides within `budget` steps.
pub(super) fn sweep(question: &Question<'_>, budget: u64) -> Swept {
    let operations = question.operations;
    let idle = idle_writes(question);
    let mut events: Vec<(Time, Id)> = Vec::new();
    for &id in &question.asked {
        let operation = &operations[id as usize];
        if idle.binary_search(&id).is_err() {
            events.push((operation.start, id));
        }
        if !operation.is_pending() {
            events.push((operation.finish, id));
        }
    }
    events.sort_unstable();
    let mut sweep = Sweep {
        operations,
        slots: [None; SLOTS],
        layer: vec![((0, question.before), u32::MAX)],
        trail: Vec::new(),
        steps: budget,
    };
    let mut last = None;
    for (time, id) in events {
        let went_on = if operations[id as usize].start == time {
            sweep.invoke(id)
        } else {
            last = Some(id);
            sweep.complete(id)
        };
        match went_on {
            Ok(()) => {}
            Err(Stop::Budget) => return sweep.exhausted(time),
            Err(Stop::Impossible(values)) => {
                return Swept::Impossible {
                    culprit: id,
                    values,
                };
            }
        }
    }
    let fits = |value: Option<Value>| question.after.is_none_or(|after| after == value);
    match sweep.layer.iter().find(|((_, value), _)| fits(*value)) {
        Some(&(_, way)) => Swept::Order(sweep.way(way)),
        None => Swept::Impossible {
            culprit: last.unwrap_or_default(),
            values: sweep.layer.iter().map(|&((_, value), _)| value).collect(),
        },
    }
}

/// Pending blind writes that need not be followed. A value that nobody looks for matters only
/// as something other than what a refused compare-and-set expected, so all such writes are alike
/// but for their start; each refusal needs at most one, and the earliest serve best.
fn idle_writes(question: &Question<'_>) -> Vec<Id> {
    let asked = || {
        let operation = |&id: &Id| (id, &question.operations[id as usize]);
        question.asked.iter().map(operation)
    };
    let mut looked_for: FxHashSet<Value> = FxHashSet::default();
    looked_for.extend(question.after.flatten());
    let mut refusals = 0;
    for (_, operation) in asked() {
        match operation.effect {
            Effect::Read { value } => looked_for.extend(value),
            Effect::Update { old, .. } => looked_for.extend(old),
            Effect::Refused { expected } => {
                looked_for.insert(expected);
                refusals += 1;
            }
            Effect::Write { .. } => {}
        }
    }
    asked()
        .filter(|(_, operation)| {
            operation.is_pending()
                && matches!(operation.effect, Effect::Write { value } if !looked_for.contains(&value))
        })
        .map(|(id, _)| id)
        .skip(refusals)
        .collect()
}

enum Stop {
    Budget,
    Impossible(Vec<Option<Value>>),
}

impl Sweep<'_> {
    fn invoke(&mut self, id: Id) -> Result<(), Stop> {
        if self.slots.iter().all(Option::is_some) {
            self.release_settled();
        }
        let slot = self
            .slots
            .iter()
            .position(Option::is_none)
            .ok_or(Stop::Budget)?;
        self.slots[slot] = Some(id);
        let operations = self.operations;
        for ((taken, value), way) in &mut self.layer {
            if looks(&operations[id as usize], *value) {
                *taken |= 1 << slot;
                self.trail.push((*way, id));
                *way = self.trail.len() as u32 - 1;
            }
        }
        Ok(())
    }

    fn complete(&mut self, id: Id) -> Result<(), Stop> {
        // Always open: events come sorted, and a pending operation never completes.
        let Some(slot) = self.slots.iter().position(|&open| open == Some(id)) else {
            return Ok(());
        };
        let mut stack = std::mem::take(&mut self.layer);
        let mut seen: FxHashSet<State> = stack.iter().map(|&(state, _)| state).collect();
        let mut kept: FxHashSet<State> = FxHashSet::default();
        while let Some(((taken, value), way)) = stack.pop() {
            if taken & (1 << slot) != 0 {
                let state = (taken & !(1 << slot), value);
                if kept.insert(state) {
                    self.layer.push((state, way));
                }
                continue;
            }
            for open in 0..SLOTS {
                let Some(next) = self.slots[open] else {
                    continue;
                };
                if taken & (1 << open) != 0 || self.has_elder_twin(taken, next) {
                    continue;
                }
                let Some(put) = puts_on(&self.operations[next as usize], value) else {
                    continue;
                };
                self.steps = self.steps.checked_sub(1).ok_or(Stop::Budget)?;
                let (state, way) = self.look(taken | 1 << open, put, way, next)?;
                if seen.insert(state) {
                    stack.push((state, way));
                }
            }
        }
        if self.layer.is_empty() {
            let mut values: Vec<Option<Value>> = seen.iter().map(|&(_, value)| value).collect();
            values.sort_unstable();
            values.dedup();
            return Err(Stop::Impossible(values));
        }
        self.slots[slot] = None;
        self.prune();
        Ok(())
    }

    /// Pending operations that do the same are alike from when both are open, so the elder goes
    /// first.
    fn has_elder_twin(&self, taken: u128, id: Id) -> bool {
        let operation = &self.operations[id as usize];
        operation.is_pending()
            && (0..SLOTS).any(|slot| {
                taken & (1 << slot) == 0
                    && self.slots[slot].is_some_and(|other| {
                        let elder = &self.operations[other as usize];
                        other < id && elder.is_pending() && elder.effect == operation.effect
                    })
            })
    }

    /// Of two configurations that differ only in pending operations, one of which has used up
    /// more of them, the other can do all that it can: pending operations need not happen.
    fn prune(&mut self) {
        let pending = (0..SLOTS)
            .filter(|&slot| {
                self.slots[slot].is_some_and(|id| self.operations[id as usize].is_pending())
            })
            .fold(0u128, |pending, slot| pending | 1 << slot);
        if pending == 0 {
            return;
        }
        let group = |&((taken, value), _): &Configuration| (value, taken & !pending);
        self.layer.sort_unstable_by_key(|configuration| {
            let (taken, _) = configuration.0;
            (group(configuration), (taken & pending).count_ones(), taken)
        });
        let mut kept: Vec<Configuration> = Vec::with_capacity(self.layer.len());
        let mut first_of_group = 0;
        for configuration in self.layer.drain(..) {
            if kept
                .last()
                .is_some_and(|last| group(last) != group(&configuration))
            {
                first_of_group = kept.len();
            }
            let (taken, _) = configuration.0;
            let is_covered = |less: &Configuration| less.0.0 & !taken == 0;
            let mut compared = kept[first_of_group..].iter().take(COMPARED);
            if !compared.any(is_covered) {
                kept.push(configuration);
            }
        }
        self.layer = kept;
    }

    /// The configuration after `put` was put: everything that only looks, and can, does.
    fn look(&mut self, taken: u128, put: Value, way: u32, id: Id) -> Result<Configuration, Stop> {
        let operations = self.operations;
        let (mut taken, mut way) = (taken, self.step(way, id)?);
        for slot in 0..SLOTS {
            if let Some(open) = self.slots[slot]
                && taken & (1 << slot) == 0
                && looks(&operations[open as usize], Some(put))
            {
                taken |= 1 << slot;
                way = self.step(way, open)?;
            }
        }
        Ok(((taken, Some(put)), way))
    }

    fn step(&mut self, way: u32, id: Id) -> Result<u32, Stop> {
        let at = u32::try_from(self.trail.len()).map_err(|_| Stop::Budget)?;
        self.trail.push((way, id));
        Ok(at)
    }

    /// A pending operation that has taken effect in every configuration needs no bit any more.
    fn release_settled(&mut self) {
        let settled = self
            .layer
            .iter()
            .fold(u128::MAX, |all, &((taken, _), _)| all & taken);
        let mut released = 0;
        for (slot, open) in self.slots.iter_mut().enumerate() {
            let pending = open.is_some_and(|id| self.operations[id as usize].finish == NEVER);
            if pending && settled & (1 << slot) != 0 {
                *open = None;
                released |= 1 << slot;
            }
        }
        for ((taken, _), _) in &mut self.layer {
            *taken &= !released;
        }
    }

    fn way(&self, mut at: u32) -> Vec<Id> {
        let mut way = Vec::new();
        while let Some(&(before, id)) = self.trail.get(at as usize) {
            way.push(id);
            at = before;
        }
        way.reverse();
        way
    }

    fn exhausted(&self, to: Time) -> Swept {
        let open = || self.slots.iter().flatten();
        let from = open()
            .map(|&id| &self.operations[id as usize])
            .filter(|operation| !operation.is_pending())
            .map(|operation| operation.start)
            .min();
        Swept::Exhausted {
            from: from.unwrap_or(to),
            to,
            open: open().count(),
        }
    }
}

/// Whether an operation that changes nothing may happen while `value` is there.
fn looks(operation: &Operation, value: Option<Value>) -> bool {
    match operation.effect {
        Effect::Read { value: read } => read == value,
        Effect::Refused { expected } => Some(expected) != value,
        Effect::Write { .. } | Effect::Update { .. } => false,
    }
}

/// What an operation puts in place of `value`, if it may happen while that is there.
fn puts_on(operation: &Operation, value: Option<Value>) -> Option<Value> {
    match operation.effect {
        Effect::Write { value: put } => Some(put),
        Effect::Update { old, value: put } if old == value => Some(put),
        _ => None,
    }
}
