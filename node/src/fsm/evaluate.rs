//! What each command does to a view and answers: the one place where the
//! store's semantics are written down. Runs at apply time, in log order, on
//! every replica alike, so nothing here may depend on clock, node or chance.

use super::{FsmError, View, rows};
use crate::wire::{self, Command, Replies, Reply, SetIf, Step, command, reply, step};

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";

/// A step's end: an answer, or a refusal with its full text.
enum Stop {
    Refused(&'static str),
    Broken(FsmError),
}

impl From<FsmError> for Stop {
    fn from(error: FsmError) -> Self {
        Stop::Broken(error)
    }
}

type Outcome = Result<Reply, Stop>;

/// Runs a whole command. A refusal anywhere undoes all of it.
///
/// # Errors
/// Only what no replica could get past: a failing disk, an unreadable row.
pub fn evaluate(view: &mut View<'_>, command: &Command) -> Result<Reply, FsmError> {
    let outcome = match &command.body {
        Some(command::Body::Single(step)) => run(view, step),
        Some(command::Body::Batch(batch)) => batch
            .steps
            .iter()
            .map(|step| run(view, step))
            .collect::<Result<Vec<_>, _>>()
            .map(array),
        None => Err(Stop::Refused("ERR invalid request")),
    };
    match outcome {
        Ok(reply) => Ok(reply),
        Err(Stop::Refused(text)) => {
            view.discard();
            Ok(shape(reply::Shape::Error(text.to_owned())))
        }
        Err(Stop::Broken(error)) => Err(error),
    }
}

fn run(view: &mut View<'_>, step: &Step) -> Outcome {
    match &step.op {
        Some(step::Op::RawPut(put)) => {
            view.put(put.key.to_vec(), put.value.to_vec());
            Ok(ok())
        }
        Some(step::Op::RawDelete(delete)) => {
            view.remove(delete.key.to_vec());
            Ok(ok())
        }
        Some(step::Op::RawGet(get)) => Ok(bulk_or_nil(view.get(&get.key)?)),
        Some(step::Op::Set(set)) => run_set(view, set),
        Some(step::Op::Get(get)) => Ok(bulk_or_nil(string(view, &get.key)?)),
        Some(step::Op::Del(del)) => run_del(view, del),
        Some(step::Op::Exists(exists)) => {
            let mut count = 0;
            for key in &exists.keys {
                count += i64::from(exists_any(view, key)?);
            }
            Ok(integer(count))
        }
        Some(step::Op::Incr(incr)) => run_incr(view, &incr.key),
        Some(step::Op::Rpush(push)) => run_rpush(view, push),
        Some(step::Op::Lrange(range)) => run_lrange(view, range),
        Some(step::Op::CompareAndSet(cas)) => {
            let equal = string(view, &cas.key)?.as_deref() == Some(&cas.expected[..]);
            if equal {
                view.put(rows::redis_string(&cas.key), cas.value.to_vec());
            }
            Ok(integer(i64::from(equal)))
        }
        None => Err(Stop::Refused("ERR invalid request")),
    }
}

fn run_set(view: &mut View<'_>, set: &wire::Set) -> Outcome {
    let old = if set.get {
        string(view, &set.key)?
    } else {
        None
    };
    let wanted = match set.condition() {
        SetIf::Always => true,
        SetIf::Absent => !exists_any(view, &set.key)?,
        SetIf::Present => exists_any(view, &set.key)?,
    };
    if wanted {
        remove_list(view, &set.key)?;
        view.put(rows::redis_string(&set.key), set.value.to_vec());
    }
    Ok(match (set.get, wanted) {
        (true, _) => bulk_or_nil(old),
        (false, true) => ok(),
        (false, false) => nil(),
    })
}

fn run_del(view: &mut View<'_>, del: &wire::Del) -> Outcome {
    let mut count = 0;
    for key in &del.keys {
        count += i64::from(exists_any(view, key)?);
        remove_list(view, key)?;
        view.remove(rows::redis_string(key));
    }
    Ok(integer(count))
}

fn run_incr(view: &mut View<'_>, key: &[u8]) -> Outcome {
    let old = match string(view, key)? {
        Some(text) => std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.parse::<i64>().ok())
            .ok_or(Stop::Refused(NOT_AN_INTEGER))?,
        None => 0,
    };
    let new = old
        .checked_add(1)
        .ok_or(Stop::Refused("ERR increment or decrement would overflow"))?;
    view.put(rows::redis_string(key), new.to_string().into_bytes());
    Ok(integer(new))
}

fn run_rpush(view: &mut View<'_>, push: &wire::RPush) -> Outcome {
    let mut length = list_length(view, &push.key)?;
    if length == 0 && view.get(&rows::redis_string(&push.key))?.is_some() {
        return Err(Stop::Refused(WRONG_TYPE));
    }
    for item in &push.items {
        view.put(rows::list_item(&push.key, length), item.to_vec());
        length += 1;
    }
    view.put(rows::list_length(&push.key), length.to_le_bytes().to_vec());
    Ok(integer(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn run_lrange(view: &View<'_>, range: &wire::LRange) -> Outcome {
    let length = list_length(view, &range.key)?;
    if length == 0 {
        if view.get(&rows::redis_string(&range.key))?.is_some() {
            return Err(Stop::Refused(WRONG_TYPE));
        }
        return Ok(array(Vec::new()));
    }
    let Some((first, last)) = clamp(range.start, range.stop, length) else {
        return Ok(array(Vec::new()));
    };
    let items = view.scan(
        &rows::list_item(&range.key, first),
        &rows::list_item(&range.key, last),
    )?;
    Ok(array(items.into_iter().map(bulk).collect()))
}

/// Redis' index rules: negative counts from the end, out of range is cut.
fn clamp(start: i64, stop: i64, length: u64) -> Option<(u64, u64)> {
    let length = i64::try_from(length).ok()?;
    let from_end = |index: i64| {
        if index < 0 {
            index.saturating_add(length)
        } else {
            index
        }
    };
    let first = from_end(start).max(0);
    let last = from_end(stop).min(length - 1);
    (first <= last && last >= 0).then(|| (first.unsigned_abs(), last.unsigned_abs()))
}

fn string(view: &View<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, Stop> {
    let found = view.get(&rows::redis_string(key))?;
    if found.is_none() && list_length(view, key)? > 0 {
        return Err(Stop::Refused(WRONG_TYPE));
    }
    Ok(found)
}

fn exists_any(view: &View<'_>, key: &[u8]) -> Result<bool, FsmError> {
    Ok(view.get(&rows::redis_string(key))?.is_some() || list_length(view, key)? > 0)
}

fn list_length(view: &View<'_>, key: &[u8]) -> Result<u64, FsmError> {
    match view.get(&rows::list_length(key))? {
        Some(body) => body
            .try_into()
            .map(u64::from_le_bytes)
            .map_err(|_| FsmError::Row("store: list length row is not 8 bytes".to_owned())),
        None => Ok(0),
    }
}

fn remove_list(view: &mut View<'_>, key: &[u8]) -> Result<(), FsmError> {
    let length = list_length(view, key)?;
    if length > 0 {
        view.remove(rows::list_length(key));
        for position in 0..length {
            view.remove(rows::list_item(key, position));
        }
    }
    Ok(())
}

fn shape(shape: reply::Shape) -> Reply {
    Reply { shape: Some(shape) }
}

fn ok() -> Reply {
    shape(reply::Shape::Ok(true))
}

fn nil() -> Reply {
    shape(reply::Shape::Nil(true))
}

fn integer(value: i64) -> Reply {
    shape(reply::Shape::Integer(value))
}

fn bulk(body: Vec<u8>) -> Reply {
    shape(reply::Shape::Bulk(body.into()))
}

fn bulk_or_nil(body: Option<Vec<u8>>) -> Reply {
    body.map_or_else(nil, bulk)
}

fn array(items: Vec<Reply>) -> Reply {
    shape(reply::Shape::Array(Replies { items }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_indices_follow_redis() {
        assert_eq!(clamp(0, -1, 3), Some((0, 2)));
        assert_eq!(clamp(-2, 99, 3), Some((1, 2)));
        assert_eq!(clamp(3, 5, 3), None);
        assert_eq!(clamp(2, 1, 3), None);
        assert_eq!(clamp(i64::MIN, i64::MAX, 1), Some((0, 0)));
        assert_eq!(clamp(0, -5, 3), None);
    }
}
