//! Commands as the two client protocols build them.

use crate::wire::{Batch, Command, Step, command, step};

/// Keys longer than this do not fit the storage engine with their timestamp and prefix.
pub const KEY_LIMIT: usize = 60_000;
/// Values longer than this are refused (a log entry must fit a message between nodes).
pub const VALUE_LIMIT: usize = 64 << 20;

/// A command of one step.
pub fn single(op: step::Op) -> Command {
    Command {
        body: Some(command::Body::Single(Step { op: Some(op) })),
    }
}

/// A MULTI/EXEC: all steps or none, as one log entry.
pub fn batch(ops: Vec<step::Op>) -> Command {
    let steps = ops.into_iter().map(|op| Step { op: Some(op) }).collect();
    Command {
        body: Some(command::Body::Batch(Batch { steps })),
    }
}

/// Whether a command only reads and so need not enter the log.
pub fn is_read(command: &Command) -> bool {
    let Some(command::Body::Single(Step { op: Some(op) })) = &command.body else {
        return false;
    };
    matches!(
        op,
        step::Op::RawGet(_) | step::Op::Get(_) | step::Op::Exists(_) | step::Op::Lrange(_)
    )
}

/// Checks the sizes of a step's keys and values before it is proposed.
///
/// # Errors
/// elastickv's text for what is out of bounds.
pub fn check(op: &step::Op) -> Result<(), &'static str> {
    let keys: &[bytes::Bytes] = match op {
        step::Op::RawPut(o) => std::slice::from_ref(&o.key),
        step::Op::RawDelete(o) => std::slice::from_ref(&o.key),
        step::Op::RawGet(o) => std::slice::from_ref(&o.key),
        step::Op::Set(o) => std::slice::from_ref(&o.key),
        step::Op::Get(o) => std::slice::from_ref(&o.key),
        step::Op::Del(o) => &o.keys,
        step::Op::Exists(o) => &o.keys,
        step::Op::Incr(o) => std::slice::from_ref(&o.key),
        step::Op::Rpush(o) => std::slice::from_ref(&o.key),
        step::Op::Lrange(o) => std::slice::from_ref(&o.key),
        step::Op::CompareAndSet(o) => std::slice::from_ref(&o.key),
    };
    if keys.iter().any(|key| key.len() > KEY_LIMIT) {
        return Err("invalid request: key too long");
    }
    let value_bytes = match op {
        step::Op::RawPut(o) => o.value.len(),
        step::Op::Set(o) => o.value.len(),
        step::Op::Rpush(o) => o.items.iter().map(bytes::Bytes::len).sum(),
        step::Op::CompareAndSet(o) => o.value.len() + o.expected.len(),
        _ => 0,
    };
    if value_bytes > VALUE_LIMIT {
        return Err("value too large");
    }
    Ok(())
}
