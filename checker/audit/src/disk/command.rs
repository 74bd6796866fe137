//! What a command of the reference store certainly does to rows (its `Command`, in a log entry behind the
//! opcode). Whether a write with a condition took effect depends on the state before it, so of its key
//! nothing is said.

use prost::{Message, Oneof};

const COMMAND: u8 = 0x00;
/// Where a text lies among the rows.
const TEXT: &[u8] = b"!redis|str|";
/// Rows of the store's own begin so.
const OWN: u8 = b'!';
const ALWAYS: i32 = 0;

#[derive(Clone, PartialEq, Message)]
struct Command {
    #[prost(oneof = "Body", tags = "1, 2")]
    body: Option<Body>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Body {
    #[prost(message, tag = "1")]
    Single(Step),
    #[prost(message, tag = "2")]
    Batch(Batch),
}

#[derive(Clone, PartialEq, Message)]
struct Batch {
    #[prost(message, repeated, tag = "1")]
    steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Message)]
struct Step {
    #[prost(oneof = "Op", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
    op: Option<Op>,
}

/// `Step`'s kinds. Of most only the keys matter.
#[derive(Clone, PartialEq, Oneof)]
enum Op {
    #[prost(message, tag = "1")]
    RawPut(OfKey),
    #[prost(message, tag = "2")]
    RawDelete(OfKey),
    #[prost(message, tag = "3")]
    RawGet(OfKey),
    #[prost(message, tag = "4")]
    Set(Set),
    #[prost(message, tag = "5")]
    Get(OfKey),
    #[prost(message, tag = "6")]
    Del(OfKeys),
    #[prost(message, tag = "7")]
    Exists(OfKeys),
    #[prost(message, tag = "8")]
    Incr(OfKey),
    #[prost(message, tag = "9")]
    RPush(OfKey),
    #[prost(message, tag = "10")]
    LRange(OfKey),
    #[prost(message, tag = "11")]
    CompareAndSet(OfKey),
}

#[derive(Clone, PartialEq, Message)]
struct OfKey {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct OfKeys {
    #[prost(bytes = "vec", repeated, tag = "1")]
    keys: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Set {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(int32, tag = "3")]
    condition: i32,
    #[prost(bool, tag = "4")]
    get: bool,
}

/// What a command does to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It is written.
    Written,
    /// It is gone.
    Gone,
    /// That depends on what was there.
    Depends,
}

/// The rows that a payload in the clear writes, by their keys without the timestamp, in order. `None` for
/// a command that is not understood.
pub(crate) fn effects(payload: &[u8]) -> Option<Vec<(Vec<u8>, Effect)>> {
    let command = match payload.split_first() {
        Some((&COMMAND, command)) => Command::decode(command).ok()?,
        // Entries about keys write no user's row.
        _ => return Some(Vec::new()),
    };
    let steps = match command.body? {
        Body::Single(step) => vec![step],
        Body::Batch(batch) => batch.steps,
    };
    // One step that is refused undoes all of them.
    let is_sure = steps.iter().all(|step| !may_be_refused(step));
    let all = steps.into_iter().flat_map(effects_of_step);
    let all = all.map(|(key, effect)| match is_sure {
        true => (key, effect),
        false => (key, Effect::Depends),
    });
    Some(all.collect())
}

fn may_be_refused(step: &Step) -> bool {
    match &step.op {
        Some(Op::RawPut(_) | Op::RawDelete(_) | Op::RawGet(_) | Op::Del(_) | Op::Exists(_)) => {
            false
        }
        Some(Op::Set(set)) => set.get,
        _ => true,
    }
}

fn effects_of_step(step: Step) -> Vec<(Vec<u8>, Effect)> {
    let text = |key: &[u8]| [TEXT, key].concat();
    // A raw key could be that of any row.
    let raw = |key: Vec<u8>, effect| match key.first() {
        Some(&OWN) => vec![(key, Effect::Depends)],
        _ => vec![(key, effect)],
    };
    match step.op {
        Some(Op::RawPut(OfKey { key })) => raw(key, Effect::Written),
        Some(Op::RawDelete(OfKey { key })) => raw(key, Effect::Gone),
        Some(Op::Set(set)) => {
            let effect = match set.condition {
                ALWAYS => Effect::Written,
                _ => Effect::Depends,
            };
            vec![(text(&set.key), effect)]
        }
        Some(Op::Del(OfKeys { keys })) => {
            let gone = keys.iter().map(|key| (text(key), Effect::Gone));
            gone.collect()
        }
        Some(Op::Incr(OfKey { key }) | Op::CompareAndSet(OfKey { key })) => {
            vec![(text(&key), Effect::Depends)]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(steps: Vec<Op>) -> Vec<u8> {
        let mut steps: Vec<_> = steps.into_iter().map(|op| Step { op: Some(op) }).collect();
        let body = match steps.len() {
            1 => Body::Single(steps.remove(0)),
            _ => Body::Batch(Batch { steps }),
        };
        let command = Command { body: Some(body) };
        [&[COMMAND][..], &command.encode_to_vec()].concat()
    }

    fn key(key: &str) -> OfKey {
        OfKey {
            key: key.as_bytes().to_vec(),
        }
    }

    fn set(key: &str, condition: i32, get: bool) -> Op {
        let key = key.as_bytes().to_vec();
        Op::Set(Set {
            key,
            condition,
            get,
        })
    }

    fn said(steps: Vec<Op>) -> Vec<(String, Effect)> {
        let text = |(key, effect): (Vec<u8>, _)| (String::from_utf8(key).unwrap(), effect);
        let effects = effects(&payload(steps)).unwrap();
        effects.into_iter().map(text).collect()
    }

    #[test]
    fn only_what_certainly_happens_is_said() {
        use Effect::{Depends, Gone, Written};
        let del = |one: &str| {
            Op::Del(OfKeys {
                keys: vec![one.into()],
            })
        };
        for (op, row, effect) in [
            (Op::RawPut(key("a")), "a", Written),
            (Op::RawDelete(key("a")), "a", Gone),
            (Op::RawPut(key("!redis|str|a")), "!redis|str|a", Depends),
            (set("a", ALWAYS, false), "!redis|str|a", Written),
            (set("a", ALWAYS, true), "!redis|str|a", Depends),
            (set("a", 1, false), "!redis|str|a", Depends),
            (del("a"), "!redis|str|a", Gone),
            (Op::Incr(key("a")), "!redis|str|a", Depends),
            (Op::CompareAndSet(key("a")), "!redis|str|a", Depends),
        ] {
            assert_eq!(said(vec![op.clone()]), [(row.to_owned(), effect)], "{op:?}");
        }
        for op in [
            Op::RawGet(key("a")),
            Op::RPush(key("a")),
            Op::LRange(key("a")),
        ] {
            assert_eq!(said(vec![op.clone()]), [], "{op:?}");
        }
        let both = said(vec![set("a", ALWAYS, false), del("b")]);
        assert_eq!(both[0].1, Written);
        assert_eq!(both[1].1, Gone);
        let refusable = said(vec![set("a", ALWAYS, false), Op::Incr(key("b"))]);
        assert!(refusable.iter().all(|(_, effect)| *effect == Depends));
        assert_eq!(effects(b"\x00SET v17.something"), None);
        assert_eq!(effects(b"\x00"), None);
        assert_eq!(effects(b"\x03\x01"), Some(Vec::new()));
        assert_eq!(effects(b""), Some(Vec::new()));
    }
}
