//! Checks that operations show an anomaly that is no cycle.

use super::forbids;
use super::history::{Did, History, Transaction};
use crate::certificate::Shows;
use crate::levels::Level;

/// Whether what is named shows that the level is violated.
pub(super) fn refute(
    history: &History,
    level: Level,
    anomaly: &str,
    shows: &Shows,
) -> Result<String, String> {
    if !forbids(level, anomaly) {
        return Err(format!("{level} does not forbid {anomaly:?}"));
    }
    let named: Vec<&Transaction> = shows
        .ops
        .iter()
        .map(|&place| history.at(place))
        .collect::<Result<_, _>>()?;
    let key = || shows.key.ok_or("no key is given");
    let is_there = match (anomaly, &named[..], &shows.values[..]) {
        ("long-fork", &[a, b], &[first, second]) => fork(history, [a, b], [first, second]),
        ("internal", &[one], &[]) => one.is_ok() && one.reads(key()?).contradicts,
        ("thin-air", &[reader], &[value]) => {
            let key = key()?;
            reader.is_ok() && reader.read(key, value) && writes(history, key, value) == (0, 0)
        }
        ("duplicate-elements", &[reader], &[value]) => {
            let key = key()?;
            let (tried, failed) = writes(history, key, value);
            reader.is_ok() && lists(reader, key).any(|list| times(list, value) > tried + failed)
        }
        ("future-read", &[one], &[value]) => {
            let key = key()?;
            let read = one.reads(key).others;
            read.is_some_and(|read| read.contains(&value)) && alone(history, one, key, value)
        }
        ("G1a", &[writer, reader], &[value]) => {
            let key = key()?;
            writer.failed
                && writer.wrote(key, value)
                && writes(history, key, value).0 == 0
                && reader.is_ok()
                && reader.read(key, value)
        }
        ("G1b", &[writer, reader], &[value, later]) => {
            let key = key()?;
            let read = reader.reads(key).others;
            let ends = read.is_some_and(|read| read.last() == Some(&value));
            ends && writer.invoked != reader.invoked
                && alone(history, writer, key, value)
                && in_order(writer, key, value, later)
        }
        ("dirty-update", &[failed, next], &[value, behind]) => {
            let key = key()?;
            failed.failed
                && failed.wrote(key, value)
                && writes(history, key, value).0 == 0
                && alone(history, next, key, behind)
                && somebody_read(history, key, [value, behind])
        }
        ("lost-update", &[a, b], &[]) => lost_update([a, b], key()?),
        ("cyclic-versions", round @ [_, _, ..], &[]) => all_round(history, round, key()?),
        ("incompatible-order", &[a, b], &[]) => incompatible([a, b], key()?),
        ("incompatible-order", &[writer, reader], &[first, second]) => {
            let key = key()?;
            in_order(writer, key, first, second)
                && alone(history, writer, key, first)
                && alone(history, writer, key, second)
                && reader.is_ok()
                && lists(reader, key).any(|list| stands_behind(list, second, first))
        }
        ("lost-append", &[writer, reader], &[first, second]) => {
            let key = key()?;
            in_order(writer, key, first, second)
                && alone(history, writer, key, second)
                && reader.is_ok()
                && lists(reader, key).any(|list| list.contains(&second) && !list.contains(&first))
        }
        _ => {
            return Err(format!(
                "{anomaly:?} is not shown by {} operations and {} values",
                named.len(),
                shows.values.len()
            ));
        }
    };
    match is_there {
        true => Ok(format!(
            "{anomaly}: the operations read and wrote what it says"
        )),
        false => Err(format!("the operations named do not show {anomaly:?}")),
    }
}

fn lists(transaction: &Transaction, key: i64) -> impl Iterator<Item = &[i64]> {
    let steps = transaction.steps.iter().filter(move |step| step.key == key);
    steps.filter_map(|step| match &step.did {
        Did::List(list) => Some(&list[..]),
        _ => None,
    })
}

fn times(list: &[i64], value: i64) -> usize {
    list.iter().filter(|&&element| element == value).count()
}

/// How often a value was written, by transactions that did not fail, and by those that did.
fn writes(history: &History, key: i64, value: i64) -> (usize, usize) {
    let mut count = (0, 0);
    for transaction in &history.transactions {
        let times = transaction.writes(key).filter(|&other| other == value);
        let of = if transaction.failed {
            &mut count.1
        } else {
            &mut count.0
        };
        *of += times.count();
    }
    count
}

/// Whether a transaction that did not fail wrote a value, and nobody else did.
fn alone(history: &History, writer: &Transaction, key: i64, value: i64) -> bool {
    !writer.failed && writer.wrote(key, value) && writes(history, key, value).0 == 1
}

/// Whether a transaction wrote one value and later the other.
fn in_order(writer: &Transaction, key: i64, first: i64, second: i64) -> bool {
    let mut writes = writer.writes(key);
    writes.any(|value| value == first) && writes.any(|value| value == second)
}

/// Whether a list has `later` somewhere behind `first`.
fn stands_behind(list: &[i64], first: i64, later: i64) -> bool {
    let mut elements = list.iter();
    elements.any(|&element| element == first) && elements.any(|&element| element == later)
}

fn somebody_read(history: &History, key: i64, [first, later]: [i64; 2]) -> bool {
    let readers = history.transactions.iter().filter(|t| t.is_ok());
    let mut all = readers.flat_map(|reader| lists(reader, key));
    all.any(|list| stands_behind(list, first, later))
}

/// Both read the key alike, and wrote to it afterwards.
fn lost_update([a, b]: [&Transaction; 2], key: i64) -> bool {
    let alike = a.reads(key).others == b.reads(key).others;
    let both = a.overwrites(key).is_some() && b.overwrites(key).is_some();
    a.invoked != b.invoked && both && alike
}

/// Each overwrote what another one of them had written, so that no version can be the first.
fn all_round(history: &History, round: &[&Transaction], key: i64) -> bool {
    round.iter().all(|t| {
        let Some(&[value]) = t.overwrites(key) else {
            return false;
        };
        let mut others = round.iter().filter(|other| other.invoked != t.invoked);
        others.any(|other| alone(history, other, key, value))
    })
}

/// Neither read what the other read and more.
fn incompatible([a, b]: [&Transaction; 2], key: i64) -> bool {
    let (Some(one), Some(other)) = (a.reads(key).others, b.reads(key).others) else {
        return false;
    };
    a.is_ok() && b.is_ok() && !one.starts_with(other) && !other.starts_with(one)
}

/// Each saw one of two writes, and not the other; each key was written once.
fn fork(history: &History, [a, b]: [&Transaction; 2], [first, second]: [i64; 2]) -> bool {
    let saw = |t: &Transaction, key: i64| t.reads(key).others.map(|read| !read.is_empty());
    let alone = |t: &Transaction, seen: i64, missed: i64| {
        t.is_ok() && saw(t, seen) == Some(true) && saw(t, missed) == Some(false)
    };
    let once = |key: i64| {
        let all = history.transactions.iter();
        all.map(|t| t.writes(key).count()).sum::<usize>() == 1
    };
    alone(a, first, second) && alone(b, second, first) && once(first) && once(second)
}
