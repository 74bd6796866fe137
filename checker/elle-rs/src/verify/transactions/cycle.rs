//! Checks that each step round a cycle is as claimed, and that the level forbids the cycle.

use std::collections::HashMap;

use super::history::{Did, History, Step, Transaction};
use crate::certificate::Hop;
use crate::levels::Level;

/// Whether the cycle shows that the level is violated.
pub(super) fn refute(history: &History, level: Level, cycle: &[Hop]) -> Result<String, String> {
    if cycle.len() < 2 {
        return Err("a cycle has two steps at least".to_owned());
    }
    for (at, hop) in cycle.iter().enumerate() {
        let next = &cycle[(at + 1) % cycle.len()];
        if hop.after != next.before {
            return Err(format!("step {at} does not lead to the next one"));
        }
        holds(history, level, hop).map_err(|reason| {
            format!(
                "{} does not come before {}: {reason}",
                hop.before, hop.after
            )
        })?;
    }
    forbidden(level, cycle)?;
    Ok(format!(
        "each of the {} steps of the cycle is as it says",
        cycle.len()
    ))
}

fn forbidden(level: Level, cycle: &[Hop]) -> Result<(), String> {
    let name = level.name();
    let session = name.starts_with("strong-session-");
    let strict = name == "strict-serializable" || (name.starts_with("strong-") && !session);
    let by = |what: &str| {
        cycle
            .iter()
            .any(|hop| hop.kind == what || hop.rule.as_deref() == Some(what))
    };
    if (by("realtime") && !strict) || (by("process") && !strict && !session) {
        return Err(format!("{name} knows no such order of time"));
    }
    let missed = |at: usize| cycle[at % cycle.len()].kind == "rw";
    let allowed = if name.ends_with("read-uncommitted") {
        cycle.iter().any(|hop| hop.kind == "rw" || hop.kind == "wr")
    } else if name.ends_with("read-committed") {
        (0..cycle.len()).any(missed)
    } else if name.ends_with("snapshot-isolation") {
        (0..cycle.len()).any(|at| missed(at) && missed(at + 1))
    } else {
        false
    };
    if allowed {
        return Err(format!("{name} allows it"));
    }
    Ok(())
}

fn took_effect(history: &History, transaction: &Transaction) -> bool {
    transaction.is_ok()
        || (!transaction.failed
            && history.transactions.iter().any(|reader| {
                reader.steps.iter().any(|step| {
                    let saw = |value: i64| transaction.wrote(step.key, value);
                    match &step.did {
                        Did::List(list) => list.iter().any(|&value| saw(value)),
                        Did::Value(Some(value)) => saw(*value),
                        _ => false,
                    }
                })
            }))
}

fn holds(history: &History, level: Level, hop: &Hop) -> Result<(), String> {
    let (before, after) = (history.at(hop.before)?, history.at(hop.after)?);
    if !took_effect(history, before) || !took_effect(history, after) {
        return Err("one of them did not take effect".to_owned());
    }
    match hop.kind.as_str() {
        "process" => {
            let in_order = before.process == after.process && before.invoked < after.invoked;
            in_order
                .then_some(())
                .ok_or("it is not one process's".to_owned())
        }
        "realtime" => {
            let complete = before
                .completed
                .is_some_and(|completed| completed < after.invoked);
            complete.then_some(()).ok_or("they overlap".to_owned())
        }
        "wr" | "ww" | "rw" => {
            let key = hop.key.ok_or("no key is given")?;
            data(history, level, hop, key, before, after)
        }
        other => Err(format!("{other:?} is no kind of step")),
    }
}

/// What a transaction first read of a key.
fn first_read(transaction: &Transaction, key: i64) -> Option<&Did> {
    let reads = |step: &&Step| step.key == key && matches!(step.did, Did::List(_) | Did::Value(_));
    transaction.steps.iter().find(reads).map(|step| &step.did)
}

fn reads_register(transaction: &Transaction, key: i64, value: Option<i64>) -> bool {
    matches!(first_read(transaction, key), Some(Did::Value(read)) if *read == value)
}

fn data(
    history: &History,
    level: Level,
    hop: &Hop,
    key: i64,
    before: &Transaction,
    after: &Transaction,
) -> Result<(), String> {
    if hop.kind == "wr" {
        let value = hop.value.ok_or("no value is given")?;
        let read = match first_read(after, key) {
            Some(Did::List(list)) => list.contains(&value),
            Some(Did::Value(read)) => *read == Some(value),
            _ => false,
        };
        let shown = before.wrote(key, value) && read && only_writer(history, key, value);
        return shown
            .then_some(())
            .ok_or("the value was not read, or not from there".to_owned());
    }
    let next = hop.next.ok_or("no later value is given")?;
    if !after.wrote(key, next) || !only_writer(history, key, next) {
        return Err(format!("the second did not write {next}"));
    }
    if hop.kind == "ww" {
        let value = hop.value.ok_or("no value is given")?;
        if !before.wrote(key, value) || !only_writer(history, key, value) {
            return Err(format!("the first did not write {value}"));
        }
    }
    if history.lists {
        let shown = match hop.kind.as_str() {
            "rw" => match first_read(before, key) {
                Some(Did::List(list)) => !list.contains(&next),
                _ => false,
            },
            _ => reads_of(history, key).any(|list| {
                let at = list.iter().position(|&read| Some(read) == hop.value);
                at.is_some_and(|at| !list[..at].contains(&next))
            }),
        };
        return shown
            .then_some(())
            .ok_or("no list read shows it".to_owned());
    }
    if hop.kind == "rw" && !reads_register(before, key, hop.value) {
        return Err("the first read something else".to_owned());
    }
    let later = match (hop.value, hop.rule.as_deref()) {
        (None, _) => true,
        (Some(value), Some("growing")) => history.growing && value < next,
        (Some(value), Some("writes-follow-reads")) => reads_register(after, key, Some(value)),
        (Some(value), Some(rule)) => by_others(history, level, rule, key, value, next),
        _ => false,
    };
    later
        .then_some(())
        .ok_or("nothing shows which value is the later".to_owned())
}

fn reads_of(history: &History, key: i64) -> impl Iterator<Item = &[i64]> {
    let steps = history.transactions.iter().flat_map(|t| &t.steps);
    steps
        .filter(move |step| step.key == key)
        .filter_map(|step| match &step.did {
            Did::List(list) => Some(&list[..]),
            _ => None,
        })
}

fn only_writer(history: &History, key: i64, value: i64) -> bool {
    let writers = history
        .transactions
        .iter()
        .filter(|t| !t.failed && t.wrote(key, value));
    writers.count() == 1
}

/// Whether transactions that met the values show that one is the later.
fn by_others(history: &History, level: Level, rule: &str, key: i64, value: i64, next: i64) -> bool {
    let all = || history.transactions.iter().filter(|t| !t.failed);
    let met =
        |t: &Transaction, value: i64| t.wrote(key, value) || reads_register(t, key, Some(value));
    if rule == "atomic-visibility" {
        let Some(writer) = all().find(|t| t.wrote(key, value)) else {
            return false;
        };
        return all().filter(|t| t.is_ok() && met(t, next)).any(|witness| {
            witness.steps.iter().any(|step| match step.did {
                Did::Value(Some(read)) => {
                    reads_register(witness, step.key, Some(read))
                        && writer.wrote(step.key, read)
                        && witness.invoked != writer.invoked
                }
                _ => false,
            })
        });
    }
    let name = level.name();
    let known = name.ends_with("serializable") || name.ends_with("snapshot-isolation");
    // When the first of those who met the former was complete: of all, and of each process.
    let mut ends: HashMap<Option<i64>, u64> = HashMap::new();
    for transaction in all().filter(|t| met(t, value)) {
        let Some(end) = transaction.completed else {
            continue;
        };
        for whose in [None, Some(transaction.process)] {
            let first = ends.entry(whose).or_insert(end);
            *first = end.min(*first);
        }
    }
    let shows = |t: &Transaction| {
        let whose = match rule {
            "realtime" => None,
            "process" => Some(t.process),
            _ => return false,
        };
        ends.get(&whose).is_some_and(|&end| end < t.invoked)
    };
    known && all().filter(|t| met(t, next)).any(shows)
}
