//! DUR: what was acknowledged is still there when all faults have healed.
//!
//! Only reads of the final phase count. An append is lost if it is in none of the final reads
//! of its key. Of a register only the last values can be seen: a write is lost if each final
//! read saw a value (or nil) that was already history when the write began.

use elle_rs::Finding;
use elle_rs::history::pairs::{Outcome, Pair};
use elle_rs::history::{Action, Key, Step, Value, words};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

use crate::judgement::InvariantVerdict;
use crate::run::{Operation, Run, anomalies, count, few, inconclusive, valid, violated};

const ID: &str = "DUR";

pub(crate) fn judge(run: &Run<'_>) -> Option<InvariantVerdict> {
    if run.stats.workloads.is_empty() {
        return None;
    }
    if let Some(verdict) = run.malformed(ID) {
        return Some(verdict);
    }
    let Some(since) = run.final_phase else {
        return Some(inconclusive(
            ID,
            "the history has no final phase: nothing was read back after the faults".to_owned(),
        ));
    };
    let mut seen = Seen::default();
    lists(run, since, &mut seen);
    registers(run, since, &mut seen);
    let rests_on = format!(
        "{} acknowledged writes and appends on {} with a final read",
        seen.acknowledged,
        count(seen.keys, "key")
    );
    if !seen.findings.is_empty() {
        let reason = format!("{}; looked at {rests_on}", anomalies(&seen.findings));
        return Some(violated(ID, reason, seen.findings));
    }
    if !seen.unread.is_empty() {
        let reason = format!(
            "no final read came back for {}; elsewhere nothing is lost of {rests_on}",
            few(&seen.unread)
        );
        return Some(inconclusive(ID, reason));
    }
    if seen.keys == 0 {
        return Some(inconclusive(
            ID,
            "nothing was acknowledged that could be lost".to_owned(),
        ));
    }
    Some(valid(ID, format!("nothing is lost of {rests_on}")))
}

#[derive(Default)]
struct Seen {
    findings: Vec<Finding>,
    acknowledged: usize,
    keys: usize,
    /// Keys that no final read came back for.
    unread: Vec<String>,
}

/// One list: its acknowledged appends and what final reads saw of it.
#[derive(Default)]
struct List {
    appends: Vec<(Value, Pair)>,
    /// The first final read that came back.
    first_read: Option<Pair>,
    reads: usize,
    seen: FxHashSet<Value>,
}

fn lists(run: &Run<'_>, since: u32, seen: &mut Seen) {
    let mut lists: BTreeMap<Key, List> = BTreeMap::new();
    for operation in run.operations() {
        let (Action::Txn { steps }, Some(_)) = (operation.action(), operation.answer) else {
            continue;
        };
        for step in steps {
            match step {
                Step::Append { key, value } => {
                    let list = lists.entry(*key).or_default();
                    list.appends.push((*value, operation.pair));
                }
                Step::Read {
                    key,
                    list: Some(read),
                } if operation.pair.invoke > since => {
                    let list = lists.entry(*key).or_default();
                    list.first_read.get_or_insert(operation.pair);
                    list.reads += 1;
                    list.seen.extend(read);
                }
                Step::Read { .. } => {}
            }
        }
    }
    for (key, list) in lists.iter().filter(|(_, list)| !list.appends.is_empty()) {
        let Some(first) = list.first_read else {
            seen.unread.push(format!("list {key}"));
            continue;
        };
        seen.keys += 1;
        // One that began after the first final read need not be in it.
        let due = || {
            let before = |pair: &Pair| pair.complete.is_some_and(|at| at < first.invoke);
            list.appends.iter().filter(move |(_, pair)| before(pair))
        };
        seen.acknowledged += due().count();
        let lost: Vec<&(Value, Pair)> = due().filter(|(v, _)| !list.seen.contains(v)).collect();
        if !lost.is_empty() {
            seen.findings
                .push(lost_appends(run, *key, list.reads, &lost));
        }
    }
}

fn lost_appends(run: &Run<'_>, key: Key, reads: usize, lost: &[&(Value, Pair)]) -> Finding {
    const SHOWN: usize = 6;
    let told: Vec<String> = lost
        .iter()
        .take(SHOWN)
        .map(|(value, pair)| {
            let when = pair.complete.map_or(0, |at| run.time_at(at));
            let what = run.words(pair);
            format!("{value} by {what}, acknowledged at {}", words::time(when))
        })
        .collect();
    let more = lost.len().saturating_sub(SHOWN);
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    Finding {
        anomaly: "lost-append".to_owned(),
        key: Some(key),
        ops: indices(run, lost.iter().map(|(_, pair)| pair)),
        explanation: format!(
            "{} acknowledged to key {key} {} in none of its {}: {}{more}",
            count(lost.len(), "append"),
            if lost.len() == 1 { "is" } else { "are" },
            count(reads, "final read"),
            told.join("; "),
        ),
    }
}

fn indices<'p>(run: &Run<'_>, pairs: impl Iterator<Item = &'p Pair>) -> Vec<u64> {
    let mut ops: Vec<u64> = pairs
        .filter_map(|pair| run.events.get(pair.invoke as usize))
        .map(elle_rs::history::Event::index)
        .collect();
    ops.sort_unstable();
    ops.dedup();
    ops
}

/// One register: who put which value, and what final reads saw.
#[derive(Default)]
struct Register {
    /// `None` for a value that was put twice: nobody can say by whom.
    writers: FxHashMap<Value, Option<Pair>>,
    acknowledged: usize,
    /// The acknowledged write that began last, of those before the final phase.
    last: Option<Pair>,
    reads: Vec<(Option<Value>, Pair)>,
}

fn registers(run: &Run<'_>, since: u32, seen: &mut Seen) {
    let mut registers: BTreeMap<Key, Register> = BTreeMap::new();
    for operation in run.operations() {
        add(&mut registers, &operation, since);
    }
    for (key, register) in &registers {
        let Some(last) = register.last else { continue };
        if register.reads.is_empty() {
            seen.unread.push(format!("register {key}"));
            continue;
        }
        seen.keys += 1;
        seen.acknowledged += register.acknowledged;
        // Whether a value was history when the last write began.
        let is_old = |value: &Option<Value>| match value {
            None => true,
            Some(value) => {
                let writer = register.writers.get(value).copied().flatten();
                let acknowledged = writer.filter(|writer| writer.outcome == Outcome::Ok);
                let complete = acknowledged.and_then(|writer| writer.complete);
                complete.is_some_and(|complete| complete < last.invoke)
            }
        };
        if register.reads.iter().all(|(value, _)| is_old(value)) {
            seen.findings.push(lost_write(run, *key, register, last));
        }
    }
}

fn add(registers: &mut BTreeMap<Key, Register>, operation: &Operation<'_>, since: u32) {
    let pair = operation.pair;
    let acknowledged = pair.outcome == Outcome::Ok;
    let (key, value) = match *operation.action() {
        Action::Read { key, value } => {
            if acknowledged && pair.invoke > since {
                registers.entry(key).or_default().reads.push((value, pair));
            }
            return;
        }
        Action::Cas { swapped: false, .. } if acknowledged => return,
        Action::Write { key, value }
        | Action::Swap { key, value, .. }
        | Action::Cas { key, value, .. } => (key, value),
        Action::Txn { .. } => return,
    };
    if pair.outcome == Outcome::Fail {
        return;
    }
    let register = registers.entry(key).or_default();
    register
        .writers
        .entry(value)
        .and_modify(|writer| *writer = None)
        .or_insert(Some(pair));
    if acknowledged && pair.complete.is_some_and(|complete| complete < since) {
        register.acknowledged += 1;
        register.last = Some(pair);
    }
}

fn lost_write(run: &Run<'_>, key: Key, register: &Register, last: Pair) -> Finding {
    let mut values: Vec<String> = register
        .reads
        .iter()
        .map(|&(v, _)| words::value(v))
        .collect();
    values.sort_unstable();
    values.dedup();
    let complete = last.complete.map_or(0, |at| run.time_at(at));
    let read = register.reads.first().map(|(_, pair)| pair);
    Finding {
        anomaly: "lost-write".to_owned(),
        key: Some(key),
        ops: indices(run, read.into_iter().chain([&last])),
        explanation: format!(
            "all {} of key {key} saw {}, which was history already when {} began at {}; that was \
             acknowledged at {} and is lost",
            count(register.reads.len(), "final read"),
            values.join(" or "),
            run.words(&last),
            words::time(run.time_at(last.invoke)),
            words::time(complete),
        ),
    }
}
