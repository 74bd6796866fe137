//! Isolation of *mini-transactions*: each write of a key follows a read of it by the same
//! transaction, so which version it replaced is known ("MTC", arXiv 2504.02344).
//!
//! With that rule the order of all versions is known, and for serializability and snapshot
//! isolation the answer is complete, but where the write of a pending transaction was read: what
//! that replaced nobody saw.

use crate::levels::Level;
use crate::rw_register;
use crate::txn::store::{NONE, Step, What};
use crate::txn::{Decision, Outcome, Proof, Store};

/// Decides whether mini-transactions satisfy a level; undecided where one breaks the rule.
pub fn check_store(store: &Store, level: Level) -> Outcome {
    let mut outcome = rw_register::check_store(store, level);
    let Some((id, key)) = blind_write(store) else {
        return outcome;
    };
    if !matches!(outcome.decision, Decision::Violated { .. }) {
        outcome.proof = Proof::None;
        outcome.decision = Decision::Undecided {
            reason: format!(
                "{} wrote to key {} without having read it, so this is no history of \
                 read-modify-write transactions; ask for the model rw-register",
                store.told(id),
                store.key_told(key)
            ),
        };
    }
    outcome
}

/// The first write of an acknowledged transaction to a key that it had not read.
fn blind_write(store: &Store) -> Option<(u32, u32)> {
    let mut read: Vec<u32> = vec![NONE; store.keys.len()];
    for id in store.ids().filter(|&id| store.is_ok(id)) {
        for &step in store.steps_of(id) {
            if blind(step, id, &mut read) {
                return Some((id, step.key()));
            }
        }
    }
    None
}

fn blind(step: Step, id: u32, read: &mut [u32]) -> bool {
    let by = &mut read[step.key() as usize];
    match step.what() {
        What::Write => *by != id,
        What::Read | What::Again | What::Odd | What::Asked => {
            *by = id;
            false
        }
    }
}
