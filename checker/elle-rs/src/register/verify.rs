//! Checks a witness by replaying it, in linear time, with nothing but the history: this file
//! shares no code with the check that made the witness.

use rustc_hash::FxHashMap;

use crate::history::{Action, Event, Key, Kind, Op, Value};

/// One operation as the history has it.
struct Entry<'a> {
    invoked: usize,
    completed: usize,
    action: &'a Action,
    ok: bool,
    failed: bool,
    used: bool,
}

/// Replays `witness` (indices of invocations) as the order in which the operations on `key` took
/// effect. Every acknowledged operation must be in it once, none that failed, each must come
/// back as it did, and none may come after one that began only when it had completed.
pub fn verify(events: &[Event], key: Key, witness: &[u64]) -> Result<(), String> {
    let mut entries = entries(events, key);
    let mut value: Option<Value> = None;
    let mut latest_invocation = 0;
    for index in witness {
        let entry = entries
            .get_mut(index)
            .ok_or(format!("event {index} invokes nothing on key {key}"))?;
        if entry.failed || entry.used {
            return Err(format!(
                "operation {index} failed, or stands twice in the witness"
            ));
        }
        entry.used = true;
        if entry.completed < latest_invocation {
            return Err(format!(
                "operation {index} had completed before one that stands earlier began"
            ));
        }
        latest_invocation = latest_invocation.max(entry.invoked);
        value = replay(entry, value).ok_or(format!(
            "operation {index} cannot have come back so while the value was {value:?}"
        ))?;
    }
    match entries.iter().find(|(_, entry)| entry.ok && !entry.used) {
        Some((index, _)) => Err(format!("operation {index} is missing")),
        None => Ok(()),
    }
}

fn entries(events: &[Event], key: Key) -> FxHashMap<u64, Entry<'_>> {
    let mut entries = FxHashMap::default();
    let mut open: FxHashMap<u32, u64> = FxHashMap::default();
    for (position, event) in events.iter().enumerate() {
        let Event::Op(op) = event else { continue };
        if op.kind == Kind::Invoke {
            open.insert(op.process, op.index);
            if on_key(op, key) {
                let entry = Entry {
                    invoked: position,
                    completed: usize::MAX,
                    action: &op.action,
                    ok: false,
                    failed: false,
                    used: false,
                };
                entries.insert(op.index, entry);
            }
        } else if let Some(entry) = open
            .remove(&op.process)
            .and_then(|index| entries.get_mut(&index))
        {
            entry.failed = op.kind == Kind::Fail;
            if op.kind == Kind::Ok {
                entry.ok = true;
                entry.completed = position;
                entry.action = &op.action;
            }
        }
    }
    entries
}

fn on_key(op: &Op, wanted: Key) -> bool {
    match op.action {
        Action::Read { key, .. }
        | Action::Write { key, .. }
        | Action::Swap { key, .. }
        | Action::Cas { key, .. } => key == wanted,
        Action::Txn { .. } => false,
    }
}

/// The value afterwards, or `None` if it cannot have happened now.
fn replay(entry: &Entry<'_>, now: Option<Value>) -> Option<Option<Value>> {
    match *entry.action {
        Action::Read { value, .. } => (entry.ok && value == now).then_some(now),
        Action::Write { value, .. } => Some(Some(value)),
        Action::Swap { value, old, .. } => (!entry.ok || old == now).then_some(Some(value)),
        Action::Cas {
            expected,
            value,
            swapped,
            ..
        } => {
            let is_there = now == Some(expected);
            // Of one that is pending, only that it was made can be seen.
            let made = swapped || !entry.ok;
            (made == is_there).then_some(if made { Some(value) } else { now })
        }
        Action::Txn { .. } => None,
    }
}
