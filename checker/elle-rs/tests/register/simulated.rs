//! A simulated register: each operation takes effect at an instant between its two events.

use elle_rs::history::{Action, Key, Kind, Value};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::common::Timed;

/// What one operation does to a true register at its instant; fills in what comes back.
pub fn perform(action: &mut Action, register: &mut Option<Value>) {
    match action {
        Action::Read { value, .. } => *value = *register,
        Action::Write { value, .. } => *register = Some(*value),
        Action::Swap { value, old, .. } => {
            *old = *register;
            *register = Some(*value);
        }
        Action::Cas {
            expected,
            value,
            swapped,
            ..
        } => {
            *swapped = *register == Some(*expected);
            if *swapped {
                *register = Some(*value);
            }
        }
        Action::Txn { .. } => {}
    }
}

/// How to draw operations on one register.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub operations: usize,
    /// How many are open at once, about.
    pub clients: u64,
    /// In a hundred: operations that end in `info` or not at all.
    pub pending: u32,
    /// In a hundred: operations that end in `fail`.
    pub fails: u32,
    /// Weights of read, write, swap, compare-and-set.
    pub weights: [u32; 4],
}

/// Operations of a true register: each takes effect at an instant between its two events.
pub fn simulate(rng: &mut ChaCha8Rng, shape: &Shape, key: Key) -> Vec<Timed> {
    let mut operations: Vec<(u64, Timed)> = (1..=shape.operations as u64)
        .map(|value| {
            let start = value * 1_000 + rng.random_range(0..900);
            let finish = start + rng.random_range(1..=shape.clients * 1_000);
            let instant = rng.random_range(start..=finish);
            let kind = match rng.random_range(0..100) {
                dice if dice < shape.pending => Kind::Info,
                dice if dice < shape.pending + shape.fails => Kind::Fail,
                _ => Kind::Ok,
            };
            let finish = (kind != Kind::Info || rng.random()).then_some((finish, kind));
            let action = draw(rng, shape, key, value);
            (
                instant,
                Timed {
                    start,
                    finish,
                    action,
                },
            )
        })
        .collect();
    operations.sort_by_key(|&(instant, _)| instant);
    let mut register = None;
    for (_, operation) in &mut operations {
        // Half of the pending ones never take effect.
        let ended = operation.finish.map_or(Kind::Info, |(_, kind)| kind);
        if ended == Kind::Ok || (ended == Kind::Info && rng.random()) {
            perform(&mut operation.action, &mut register);
        }
    }
    operations.into_iter().map(|(_, timed)| timed).collect()
}

/// One action that has not come back yet; the value it puts is its own.
fn draw(rng: &mut ChaCha8Rng, shape: &Shape, key: Key, value: Value) -> Action {
    let total: u32 = shape.weights.iter().sum();
    let mut dice = rng.random_range(0..total);
    let kind = shape
        .weights
        .iter()
        .position(|&weight| {
            let hit = dice < weight;
            dice = dice.wrapping_sub(weight);
            hit
        })
        .unwrap_or(0);
    match kind {
        0 => Action::Read { key, value: None },
        1 => Action::Write { key, value },
        2 => Action::Swap {
            key,
            value,
            old: None,
        },
        _ => Action::Cas {
            key,
            expected: value.saturating_sub(rng.random_range(1..4)).max(1),
            value,
            swapped: false,
        },
    }
}
