//! Every order of a small history tried: slow, and too plain to be wrong.

use elle_rs::history::{Action, Kind, Value};

use crate::common::Timed;

/// Whether any order of the operations (all on one key) explains them.
pub fn linearizable(operations: &[Timed]) -> bool {
    let considered: Vec<&Timed> = operations
        .iter()
        .filter(|op| !matches!(op.finish, Some((_, Kind::Fail))))
        .collect();
    search(&considered, 0, None)
}

fn is_ok(operation: &Timed) -> bool {
    matches!(operation.finish, Some((_, Kind::Ok)))
}

fn search(operations: &[&Timed], done: u32, value: Option<Value>) -> bool {
    let left = || (0..operations.len()).filter(|i| done & (1 << i) == 0);
    if left().all(|i| !is_ok(operations[i])) {
        return true;
    }
    left().any(|i| {
        let now = operations[i];
        // Nobody left may have finished before this one started. (At equal moments the
        // invocation comes first, so those two overlap.)
        let barred = left().any(|j| {
            is_ok(operations[j])
                && operations[j]
                    .finish
                    .is_some_and(|(finish, _)| finish < now.start)
        });
        !barred && step(now, value).is_some_and(|value| search(operations, done | 1 << i, value))
    })
}

fn step(operation: &Timed, now: Option<Value>) -> Option<Option<Value>> {
    let ok = is_ok(operation);
    match operation.action {
        Action::Read { value, .. } => (!ok || value == now).then_some(now),
        Action::Write { value, .. } => Some(Some(value)),
        Action::Swap { value, old, .. } => (!ok || old == now).then_some(Some(value)),
        Action::Cas {
            expected,
            value,
            swapped,
            ..
        } => {
            let there = now == Some(expected);
            (!ok || swapped == there).then_some(if there { Some(value) } else { now })
        }
        Action::Txn { .. } => None,
    }
}
