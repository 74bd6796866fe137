//! Checks an order of transactions for levels that say nothing about what a read missed.
//!
//! An order of transactions gives each key an order of versions. Where a list shows another, or an
//! unfit value was read, the check fails; so if it does not, nobody wrote behind himself (G0), and at
//! read committed nobody read what depends on himself (G1c), failed (G1a), or was overwritten by
//! its own transaction (G1b).

use std::collections::{HashMap, HashSet};

use super::history::{Did, History, Reads, Transaction};
use super::order::{Clock, all_there};
use crate::levels::Level;

/// A value of a key.
type Version = (i64, i64);

struct Written {
    /// Who wrote it, and did not fail: a place in the order, if it stands there.
    by: Vec<(u64, Option<usize>)>,
    /// Whether it is the last that its transaction wrote to the key.
    is_last: bool,
}

struct Check<'a> {
    history: &'a History,
    committed: bool,
    places: HashMap<u64, usize>,
    written: HashMap<Version, Written>,
}

/// Compares everything with the order.
pub(super) fn in_order(history: &History, level: Level, order: &[u64]) -> Result<String, String> {
    let mut clock = Clock::default();
    let mut happened = HashMap::new();
    let mut places = HashMap::new();
    for (at, &place) in order.iter().enumerate() {
        let transaction = history.at(place)?;
        *happened.entry(place).or_insert(0u8) += 1;
        clock.ends(level, transaction)?;
        clock.begins(level, transaction)?;
        places.insert(place, at);
    }
    all_there(history, &happened, 1)?;
    let mut check = Check {
        history,
        committed: level.name().ends_with("read-committed"),
        places,
        written: HashMap::new(),
    };
    check.collect();
    let mut longest: HashMap<i64, Vec<&[i64]>> = HashMap::new();
    for transaction in history.transactions.iter().filter(|t| t.is_ok()) {
        for key in transaction.keys() {
            let read = transaction.reads(key);
            check.read(transaction, key, &read).map_err(|reason| {
                format!(
                    "transaction {} read key {key}: {reason}",
                    transaction.invoked
                )
            })?;
            let Some(list) = read.others.filter(|_| history.lists) else {
                continue;
            };
            let known = longest.entry(key).or_default();
            let most = known.first().map_or(0, |list| list.len());
            if list.len() > most {
                known.clear();
            }
            if list.len() >= most && !known.contains(&list) {
                known.push(list);
            }
        }
    }
    check.lists(&longest)?;
    if !history.lists {
        check.overwritten()?;
    }
    if history.growing {
        check.growing()?;
    }
    Ok(format!(
        "compared what was written and read with an order of {} transactions",
        order.len()
    ))
}

impl Check<'_> {
    fn collect(&mut self) {
        for transaction in &self.history.transactions {
            for key in transaction.keys() {
                let last = transaction.writes(key).next_back();
                for value in transaction.writes(key) {
                    let written = self.written.entry((key, value)).or_insert(Written {
                        by: Vec::new(),
                        is_last: false,
                    });
                    if !transaction.failed {
                        let place = self.places.get(&transaction.invoked).copied();
                        written.by.push((transaction.invoked, place));
                        written.is_last = Some(value) == last;
                    }
                }
            }
        }
    }

    /// Where the only writer of a value stands; `None` if all who wrote it failed.
    fn writer(&self, key: i64, value: i64) -> Result<Option<usize>, String> {
        let written = self.written.get(&(key, value));
        let written = written.ok_or_else(|| format!("nobody wrote {value}"))?;
        match written.by[..] {
            [] => Ok(None),
            [(_, Some(place))] => Ok(Some(place)),
            [(writer, None)] => Err(format!("its writer {writer} is not in the order")),
            _ => Err(format!("{value} was written more than once")),
        }
    }

    fn read(&self, reader: &Transaction, key: i64, read: &Reads<'_>) -> Result<(), String> {
        if read.contradicts {
            return Err("its reads contradict each other".to_owned());
        }
        for step in reader.steps.iter().filter(|step| step.key == key) {
            let Did::List(list) = &step.did else { continue };
            let mut met = HashSet::new();
            if let Some(value) = list.iter().find(|&&value| !met.insert(value)) {
                return Err(format!("{value} stands in the list twice"));
            }
        }
        for &value in read.others.into_iter().flatten() {
            let writer = self.writer(key, value)?;
            if !self.committed {
                continue;
            }
            let writer = writer.ok_or_else(|| format!("who wrote {value} failed"))?;
            if self.places.get(&reader.invoked) <= Some(&writer) {
                return Err(format!("{value} is of one that does not stand before it"));
            }
        }
        let last = read.others.and_then(|read| read.last());
        let is_last = |value: &i64| self.written.get(&(key, *value)).is_some_and(|w| w.is_last);
        if self.committed && !last.is_none_or(is_last) {
            return Err("what it ends with was an intermediate state".to_owned());
        }
        Ok(())
    }

    /// The longest list of each key has its writers in order, everybody else's list is a part of it,
    /// and what nobody read comes behind. Below read committed, one of the longest is enough.
    fn lists(&self, longest: &HashMap<i64, Vec<&[i64]>>) -> Result<(), String> {
        for (&key, candidates) in longest {
            let mut wrong = Err(String::new());
            for list in candidates {
                wrong = self.list(key, list);
                if wrong.is_ok() {
                    break;
                }
            }
            wrong.map_err(|reason| format!("key {key}: {reason}"))?;
            if !self.committed {
                continue;
            }
            for transaction in self.history.transactions.iter().filter(|t| t.is_ok()) {
                let read = transaction.reads(key).others.unwrap_or_default();
                if !candidates[0].starts_with(read) {
                    return Err(format!("key {key}: the lists read contradict each other"));
                }
            }
        }
        Ok(())
    }

    fn list(&self, key: i64, list: &[i64]) -> Result<(), String> {
        let mut at = HashMap::new();
        let mut latest = 0;
        for (nth, &value) in list.iter().enumerate() {
            at.insert(value, nth);
            let Some(writer) = self.writer(key, value)? else {
                continue;
            };
            if writer < latest {
                return Err(format!("{value} stands in the list behind a later one"));
            }
            latest = writer;
        }
        for transaction in self.history.transactions.iter().filter(|t| !t.failed) {
            let Some(&place) = self.places.get(&transaction.invoked) else {
                continue;
            };
            let own: Vec<Option<usize>> = transaction
                .writes(key)
                .map(|value| at.get(&value).copied())
                .collect();
            let unread = own.contains(&None);
            if unread && !list.is_empty() && place < latest {
                return Err(format!(
                    "what transaction {} appended was not read, and stands before what was",
                    transaction.invoked
                ));
            }
            let out_of_order = |pair: &[Option<usize>]| match (pair[0], pair[1]) {
                (None, Some(_)) => true,
                (Some(first), Some(second)) => self.committed && first > second,
                _ => false,
            };
            if own.windows(2).any(out_of_order) {
                return Err(format!(
                    "what transaction {} appended is not in its order",
                    transaction.invoked
                ));
            }
        }
        Ok(())
    }

    /// Who overwrote a value is not the beginning of how it came to be there.
    fn overwritten(&self) -> Result<(), String> {
        let mut before: HashMap<(i64, u64), u64> = HashMap::new();
        for transaction in &self.history.transactions {
            for key in transaction.keys() {
                let Some(&[value]) = transaction.overwrites(key) else {
                    continue;
                };
                let written = self.written.get(&(key, value));
                if let Some(&[(writer, _)]) = written.map(|written| &written.by[..])
                    && writer != transaction.invoked
                {
                    before.insert((key, transaction.invoked), writer);
                }
            }
        }
        let mut walked: HashMap<(i64, u64), (i64, u64)> = HashMap::new();
        for &from in before.keys() {
            let mut at = from;
            while let Some(&writer) = before.get(&at) {
                match walked.get(&at) {
                    Some(walk) if *walk == from => {
                        let (key, place) = at;
                        return Err(format!(
                            "transaction {place} overwrote in key {key} what came of its own write"
                        ));
                    }
                    Some(_) => break,
                    None => drop(walked.insert(at, from)),
                }
                at = (at.0, writer);
            }
        }
        Ok(())
    }

    /// Of two values of a key the greater is the later.
    fn growing(&self) -> Result<(), String> {
        let mut versions: Vec<(Version, usize)> = Vec::new();
        for (&version, written) in self.written.iter().filter(|(_, written)| written.is_last) {
            if let [(_, Some(place))] = written.by[..] {
                versions.push((version, place));
            }
        }
        versions.sort_unstable();
        let wrong = versions
            .windows(2)
            .find(|pair| pair[0].0.0 == pair[1].0.0 && pair[0].1 > pair[1].1);
        match wrong {
            None => Ok(()),
            Some(pair) => Err(format!("{} stands before a lesser value", pair[1].0.1)),
        }
    }
}
