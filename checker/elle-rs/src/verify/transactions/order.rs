//! Replays an order of transactions, or of their starts and commits.

use std::collections::HashMap;

use super::history::{Did, History, Transaction};
use crate::levels::Level;

/// What is in every key. A register is a list of which only the last element counts.
type Contents = HashMap<i64, Vec<i64>>;

/// Runs a transaction's steps on what it sees; writes are left in `own`.
fn run(
    history: &History,
    transaction: &Transaction,
    contents: &Contents,
    own: &mut HashMap<i64, Vec<i64>>,
) -> Result<(), String> {
    own.clear();
    for step in &transaction.steps {
        let there = contents.get(&step.key).map_or(&[][..], Vec::as_slice);
        let mine = own.get(&step.key).map_or(&[][..], Vec::as_slice);
        let explained = match &step.did {
            Did::Write(value) => {
                own.entry(step.key).or_default().push(*value);
                true
            }
            Did::List(list) => {
                list.len() == there.len() + mine.len()
                    && list.starts_with(there)
                    && list.ends_with(mine)
            }
            Did::Value(value) => *value == mine.last().or(there.last()).copied(),
            Did::Unknown => true,
        };
        if !explained {
            return Err(format!(
                "at its place in the order, transaction {} would read something else of key {}{}",
                transaction.invoked,
                step.key,
                if history.lists { " than its list" } else { "" }
            ));
        }
    }
    Ok(())
}

fn apply(history: &History, contents: &mut Contents, own: &HashMap<i64, Vec<i64>>) {
    for (&key, values) in own {
        let there = contents.entry(key).or_default();
        if !history.lists {
            there.clear();
        }
        there.extend_from_slice(values);
    }
}

/// Which orders beside data a level asks for: of processes, of real time.
fn asks_for(level: Level) -> (bool, bool) {
    let name = level.name();
    let strict = name == "strict-serializable"
        || (name.starts_with("strong-") && !name.starts_with("strong-session-"));
    (strict || name.starts_with("strong-session-"), strict)
}

/// Whether each acknowledged transaction happened, and none that failed or twice.
pub(super) fn all_there(
    history: &History,
    happened: &HashMap<u64, u8>,
    each: u8,
) -> Result<(), String> {
    for transaction in &history.transactions {
        let times = happened.get(&transaction.invoked).copied().unwrap_or(0);
        let wanted = if transaction.is_ok() {
            times == each
        } else if transaction.failed {
            times == 0
        } else {
            times == 0 || times == each
        };
        if !wanted {
            return Err(format!(
                "transaction {} stands in the order {times} times",
                transaction.invoked
            ));
        }
    }
    Ok(())
}

/// Time must allow that a transaction's end comes behind the beginnings of those before it.
#[derive(Default)]
pub(super) struct Clock {
    latest_invoked: u64,
    last_of_process: HashMap<i64, u64>,
}

impl Clock {
    pub fn begins(&mut self, level: Level, transaction: &Transaction) -> Result<(), String> {
        let (processes, _) = asks_for(level);
        let last = self.last_of_process.entry(transaction.process).or_insert(0);
        if processes && *last > transaction.invoked {
            return Err(format!(
                "transaction {} stands behind a later one of its process",
                transaction.invoked
            ));
        }
        *last = transaction.invoked;
        self.latest_invoked = self.latest_invoked.max(transaction.invoked);
        Ok(())
    }

    pub fn ends(&self, level: Level, transaction: &Transaction) -> Result<(), String> {
        let (_, real_time) = asks_for(level);
        let late = transaction
            .completed
            .is_some_and(|completed| completed < self.latest_invoked);
        if real_time && late {
            return Err(format!(
                "transaction {} stands behind one that began after it was complete",
                transaction.invoked
            ));
        }
        Ok(())
    }
}

/// Replays transactions one after the other.
pub(super) fn serial(history: &History, level: Level, order: &[u64]) -> Result<String, String> {
    let mut contents = Contents::new();
    let mut own = HashMap::new();
    let mut happened = HashMap::new();
    let mut clock = Clock::default();
    for &place in order {
        let transaction = history.at(place)?;
        *happened.entry(place).or_insert(0u8) += 1;
        clock.ends(level, transaction)?;
        clock.begins(level, transaction)?;
        run(history, transaction, &contents, &mut own)?;
        apply(history, &mut contents, &own);
    }
    all_there(history, &happened, 1)?;
    Ok(format!(
        "replayed {} transactions in their order",
        order.len()
    ))
}

struct Running {
    own: HashMap<i64, Vec<i64>>,
    /// How often each key that it writes had been committed to.
    commits: Vec<(i64, u64)>,
}

/// Replays starts and commits: a transaction sees what was committed when it started, and commits
/// only if nobody has committed to a key that it writes since then.
pub(super) fn apart(history: &History, level: Level, moments: &[i64]) -> Result<String, String> {
    let is_snapshot = level.name().ends_with("snapshot-isolation");
    if !is_snapshot {
        return Err(format!("starts and commits show nothing about {level}"));
    }
    let mut contents = Contents::new();
    let mut commits: HashMap<i64, u64> = HashMap::new();
    let mut running: HashMap<u64, Running> = HashMap::new();
    let mut happened: HashMap<u64, u8> = HashMap::new();
    let mut clock = Clock::default();
    let (processes, _) = asks_for(level);
    let mut open_of_process: HashMap<i64, u64> = HashMap::new();
    for &moment in moments {
        let (place, starts) = match u64::try_from(moment) {
            Ok(place) => (place, true),
            Err(_) => ((-1 - moment) as u64, false),
        };
        let transaction = history.at(place)?;
        *happened.entry(place).or_insert(0) += 1;
        if starts {
            clock.begins(level, transaction)?;
            let before = open_of_process.insert(transaction.process, place);
            if processes && before.is_some() {
                return Err(format!("{place} starts before its process is done"));
            }
            let mut own = HashMap::new();
            run(history, transaction, &contents, &mut own)?;
            let count = |key: &i64| (*key, commits.get(key).copied().unwrap_or(0));
            let seen = own.keys().map(count).collect();
            running.insert(place, Running { own, commits: seen });
            continue;
        }
        clock.ends(level, transaction)?;
        open_of_process.remove(&transaction.process);
        let done = running.remove(&place);
        let done = done.ok_or_else(|| format!("{place} commits without a start"))?;
        for (key, seen) in &done.commits {
            let now = commits.entry(*key).or_insert(0);
            if *now != *seen {
                return Err(format!("{place} commits to key {key}, which has changed"));
            }
            *now += 1;
        }
        apply(history, &mut contents, &done.own);
    }
    all_there(history, &happened, 2)?;
    Ok(format!("replayed {} starts and commits", moments.len()))
}
