//! Linearizability of registers: reads, writes, swaps and compare-and-sets, key by key.
//!
//! Where each value is written once (as the workloads do), the answer is exact at any
//! concurrency in O(n log n): `blocks` lets the values force what must stand together,
//! `zones` asks time whether the rest fits. Two things need more: refused compare-and-sets,
//! which are placed into the order found (`refused`, `repair`) or else decided by the
//! `sweep`; and values written twice and seen, which the sweep decides too. The sweep has a budget, and says
//! so when it was not enough: nothing is ever guessed.
//!
//! Pending operations (answered `info`, or never) may have taken effect at any later moment or
//! not at all. A pending swap saw nobody knows what, so it is a write.

mod blocks;
mod explain;
mod operations;
mod refused;
mod repair;
mod search;
mod sweep;
mod verify;
mod zones;

pub(crate) use blocks::{Cause, Id, NONE};
pub(crate) use operations::{Effect, Operation, Register};
use sweep::{Question, Swept};

use crate::Finding;
pub use crate::history::pairs::Malformed;
use crate::history::{Event, Key, words};
pub use verify::verify;

/// Steps the sweep may take on one key: some seconds, some hundreds of megabytes at worst.
pub const SWEEP_BUDGET: u64 = 5_000_000;

/// The verdict on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Linearizable; here is an order that shows it, as indices of invocations.
    /// [`verify`] replays it.
    Valid {
        /// Every acknowledged operation, and the pending ones that took effect.
        witness: Vec<u64>,
    },
    /// Not linearizable.
    Violated {
        /// Why not.
        finding: Finding,
    },
    /// Nobody knows.
    Undecided {
        /// What stood in the way.
        reason: String,
    },
}

/// What was looked at on one key, and the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    /// The key.
    pub key: Key,
    /// Operations that took effect, or may have.
    pub operations: u64,
    /// Of those: neither acknowledged nor failed.
    pub pending: u64,
    /// Of those: compare-and-sets that found another value than they expected.
    pub refused: u64,
    /// The verdict.
    pub outcome: Outcome,
}

/// Decides each register of a history, in the order of their keys. Events that are no register
/// operations are passed over.
pub fn check(events: &[Event]) -> Result<Vec<KeyReport>, Malformed> {
    check_within(events, SWEEP_BUDGET)
}

/// [`check`] with another budget for the sweep, in steps per key.
pub fn check_within(events: &[Event], budget: u64) -> Result<Vec<KeyReport>, Malformed> {
    let registers = operations::registers(events)?;
    Ok(registers
        .into_iter()
        .map(|register| {
            let count = |is: fn(&Operation) -> bool| {
                register.operations.iter().filter(|op| is(op)).count() as u64
            };
            KeyReport {
                key: register.key,
                operations: register.operations.len() as u64,
                pending: count(|op| op.is_pending()),
                refused: count(|op| matches!(op.effect, Effect::Refused { .. })),
                outcome: decide(events, &register, budget),
            }
        })
        .collect())
}

/// What the values alone decide.
pub(crate) enum ByValues {
    /// An order that explains everything.
    Order(Vec<Id>),
    /// There is none, or ([`Cause::Ambiguous`]) a value that was seen was put twice.
    Broken(Cause),
    /// There is an order of all but the refused compare-and-sets, and no room for these in it.
    Refusals,
}

/// Decides a register as far as its values do.
pub(crate) fn by_values(register: &Register) -> ByValues {
    match order(register) {
        Ok(order) => match refused::place(&register.operations, order) {
            Some(order) => ByValues::Order(order),
            None => ByValues::Refusals,
        },
        Err(cause) => ByValues::Broken(cause),
    }
}

fn decide(events: &[Event], register: &Register, budget: u64) -> Outcome {
    let cause = match by_values(register) {
        ByValues::Order(order) => return valid(events, register, &order),
        ByValues::Broken(cause) => Some(cause),
        ByValues::Refusals => None,
    };
    if let Some(finding) = cause
        .as_ref()
        .and_then(|cause| explain::finding(events, register, cause))
    {
        return Outcome::Violated { finding };
    }
    let question = Question {
        operations: &register.operations,
        asked: (0..register.operations.len() as Id).collect(),
        before: None,
        after: None,
    };
    match sweep::sweep(&question, budget) {
        Swept::Order(order) => valid(events, register, &order),
        Swept::Impossible { culprit, values } => Outcome::Violated {
            finding: explain::impossible(events, register, culprit, &values),
        },
        Swept::Exhausted { from, to, open } => Outcome::Undecided {
            reason: exhausted(events, register, cause, (from, to), open),
        },
    }
}

/// An order of all operations but the refused compare-and-sets, by zones.
fn order(register: &Register) -> Result<Vec<Id>, Cause> {
    let clusters = blocks::clusters(register)?;
    let blocks = blocks::blocks(register, &clusters.clusters)?;
    let blocks = zones::order(&register.operations, &clusters, blocks)?;
    Ok(zones::witness(&register.operations, &clusters, &blocks))
}

fn valid(events: &[Event], register: &Register, order: &[Id]) -> Outcome {
    let index = |&id: &Id| events[register.operations[id as usize].start as usize - 1].index();
    let witness: Vec<u64> = order.iter().map(index).collect();
    Outcome::Valid { witness }
}

fn exhausted(
    events: &[Event],
    register: &Register,
    cause: Option<Cause>,
    (from, to): (operations::Time, operations::Time),
    open: usize,
) -> String {
    let why = match cause {
        Some(Cause::Ambiguous { value }) => {
            format!("value {value} was written more than once and seen")
        }
        _ => "a refused compare-and-set fits into no order found directly".to_owned(),
    };
    let (from, to) = (&events[from as usize - 1], &events[to as usize - 1]);
    format!(
        "key {}: {why}, and the search for an order gave up between {} and {} (events {} to {}), where {open} \
         operations were open at once",
        register.key,
        words::time(from.time_ns()),
        words::time(to.time_ns()),
        from.index(),
        to.index(),
    )
}
