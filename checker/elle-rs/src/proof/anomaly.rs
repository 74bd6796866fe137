//! The operations and values that show an anomaly which is no cycle: from a finding, which names
//! the operations, and what they read and wrote.

use crate::Finding;
use crate::certificate::Shows;
use crate::history::pairs::Outcome;
use crate::txn::Store;
use crate::txn::numbers::NIL;
use crate::txn::store::{Id, Odd, What};

/// What shows a finding; `None` if the operations it names do not.
pub(super) fn shows(store: &Store, finding: &Finding) -> Option<Shows> {
    let ids: Option<Vec<Id>> = finding.ops.iter().map(|&place| id(store, place)).collect();
    let ids = ids?;
    if finding.anomaly == "long-fork" {
        let &[a, b] = &ids[..] else { return None };
        return fork(store, a, b);
    }
    let key = finding.key? as i64;
    let number = store.keys.iter().position(|&known| known == key)? as u32;
    let of = |id: Id| Part::of(store, id, number);
    let told = |ids: &[Id], values: Vec<i64>| Shows {
        key: Some(key),
        ops: ids.iter().map(|&id| place(store, id)).collect(),
        values,
    };
    match finding.anomaly.as_str() {
        "internal" | "lost-update" | "cyclic-versions" => Some(told(&ids, Vec::new())),
        "thin-air" => {
            let &[reader] = &ids[..] else { return None };
            let written = written(store, number);
            let read = of(reader).all.into_iter().flatten();
            let value = read.into_iter().find(|value| !written.contains(value))?;
            Some(told(&ids, vec![value]))
        }
        "duplicate-elements" => {
            let &[reader] = &ids[..] else { return None };
            let twice = of(reader).all.into_iter().find_map(|list| twice(&list))?;
            Some(told(&ids, vec![twice]))
        }
        "future-read" => {
            let &[one] = &ids[..] else { return None };
            let part = of(one);
            let read = part.others?;
            let value = part.writes.iter().find(|value| read.contains(value))?;
            Some(told(&ids, vec![*value]))
        }
        name => {
            let &[a, b] = &ids[..] else { return None };
            [[a, b], [b, a]].into_iter().find_map(|[one, other]| {
                let values = pair(store, name, number, one, other)?;
                Some(told(&[one, other], values))
            })
        }
    }
}

/// The values that show an anomaly of two, in their roles.
fn pair(store: &Store, anomaly: &str, key: u32, one: Id, other: Id) -> Option<Vec<i64>> {
    let (a, b) = (Part::of(store, one, key), Part::of(store, other, key));
    let failed = |id: Id| store.outcome[id as usize] == Outcome::Fail;
    match anomaly {
        "G1a" if failed(one) => {
            let read = |value: &&i64| b.all.iter().any(|list| list.contains(value));
            Some(vec![*a.writes.iter().find(read)?])
        }
        "G1b" => {
            let value = *b.others.as_ref()?.last()?;
            let at = a.writes.iter().position(|&written| written == value)?;
            Some(vec![value, *a.writes.get(at + 1)?])
        }
        "dirty-update" if failed(one) => somebody_read(store, key, &a.writes, &b.writes),
        "incompatible-order" => {
            let reads = (a.others.as_ref(), b.others.as_ref());
            if let (Some(one), Some(other)) = reads
                && !one.starts_with(other)
                && !other.starts_with(one)
            {
                return Some(Vec::new());
            }
            own_order(&a, &b, |list, first, second| {
                let at = |value| list.iter().position(|&element| element == value);
                at(first)
                    .zip(at(second))
                    .is_some_and(|(first, second)| second < first)
            })
        }
        "lost-append" => own_order(&a, &b, |list, first, second| {
            list.contains(&second) && !list.contains(&first)
        }),
        _ => None,
    }
}

/// Two writes one after the other of which a list of the reader's shows something.
fn own_order(
    writer: &Part,
    reader: &Part,
    shows: impl Fn(&[i64], i64, i64) -> bool,
) -> Option<Vec<i64>> {
    let mut pairs = writer.writes.windows(2);
    let pair = pairs.find(|pair| reader.all.iter().any(|list| shows(list, pair[0], pair[1])))?;
    Some(pair.to_vec())
}

/// A value of the first and one of the second, in the order in which a list has them.
fn somebody_read(store: &Store, key: u32, first: &[i64], second: &[i64]) -> Option<Vec<i64>> {
    let reads = store.ids().flat_map(|id| Part::of(store, id, key).all);
    reads.into_iter().find_map(|list| {
        let at = list.iter().position(|value| first.contains(value))?;
        let behind = list[at..].iter().find(|value| second.contains(value))?;
        Some(vec![list[at], *behind])
    })
}

/// What a transaction did to one key.
struct Part {
    writes: Vec<i64>,
    /// What it first read of others.
    others: Option<Vec<i64>>,
    /// All that it read, whole: of a register, the value if there was one.
    all: Vec<Vec<i64>>,
}

impl Part {
    fn of(store: &Store, id: Id, key: u32) -> Part {
        let mut part = Part {
            writes: Vec::new(),
            others: None,
            all: Vec::new(),
        };
        for (nth, step) in store.steps_of(id).iter().enumerate() {
            if step.key() != key {
                continue;
            }
            if step.what() == What::Write {
                part.writes.push(store.numbers.value(step.argument));
                continue;
            }
            let Some(read) = read(store, id, nth) else {
                continue;
            };
            let fits = match step.what() {
                What::Odd => matches!(store.odd[step.argument as usize], Odd::Branch { .. }),
                _ => true,
            };
            // A register that it wrote itself tells nothing of others.
            let tells = fits && (store.are_lists || part.writes.is_empty());
            if part.others.is_none() && tells {
                let own = if store.are_lists {
                    part.writes.len()
                } else {
                    0
                };
                part.others = Some(read[..read.len() - own].to_vec());
            }
            part.all.push(read);
        }
        part
    }
}

fn read(store: &Store, id: Id, nth: usize) -> Option<Vec<i64>> {
    if store.are_lists {
        return store.list_read(id, nth);
    }
    let step = store.steps_of(id)[nth];
    let number = match step.what() {
        What::Read | What::Again => step.argument,
        What::Odd => match &store.odd[step.argument as usize] {
            Odd::Internal { read, .. } => *read.first()?,
            Odd::Branch { .. } => return None,
        },
        What::Write | What::Asked => return None,
    };
    Some(match number {
        NIL => Vec::new(),
        number => vec![store.numbers.value(number)],
    })
}

fn written(store: &Store, key: u32) -> rustc_hash::FxHashSet<i64> {
    let writes = store.steps.iter();
    writes
        .filter(|step| step.what() == What::Write && step.key() == key)
        .map(|step| store.numbers.value(step.argument))
        .collect()
}

fn twice(list: &[i64]) -> Option<i64> {
    let mut met = rustc_hash::FxHashSet::default();
    list.iter().copied().find(|&value| !met.insert(value))
}

/// The two keys that show a long fork.
fn fork(store: &Store, a: Id, b: Id) -> Option<Shows> {
    let saw = |id: Id, key: u32| {
        let part = Part::of(store, id, key);
        part.others.map(|read| !read.is_empty())
    };
    let keys = || store.steps_of(a).iter().map(|step| step.key());
    let only = |one: Id, other: Id| {
        keys().find(|&key| saw(one, key) == Some(true) && saw(other, key) == Some(false))
    };
    let name = |key: u32| store.keys[key as usize];
    Some(Shows {
        key: None,
        ops: vec![place(store, a), place(store, b)],
        values: vec![name(only(a, b)?), name(only(b, a)?)],
    })
}

fn place(store: &Store, id: Id) -> u64 {
    u64::from(store.invoke[id as usize])
}

fn id(store: &Store, place: u64) -> Option<Id> {
    let place = u32::try_from(place).ok()?;
    Some(store.invoke.binary_search(&place).ok()? as Id)
}
