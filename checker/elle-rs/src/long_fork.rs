//! Long forks: two readers see two writes in opposite orders (Cerone et al. 2015).
//!
//! Each key is written once, and some transactions only read a group of keys. Of two readers of
//! the same group, one must have seen all that the other saw. The rest is `rw_register`.

use std::collections::BTreeMap;

use crate::Finding;
use crate::levels::{Level, Ruled};
use crate::rw_register;
use crate::txn::numbers::NIL;
use crate::txn::store::{Id, NONE, What};
use crate::txn::{Decision, Outcome, Proof, Store};

/// Decides whether such transactions satisfy a level; undecided where a key is written twice.
pub fn check_store(store: &Store, level: Level) -> Outcome {
    let mut outcome = rw_register::check_store(store, level);
    if let Some(key) = written_twice(store) {
        if outcome.decision == Decision::Valid {
            outcome.proof = Proof::None;
            outcome.decision = Decision::Undecided {
                reason: format!(
                    "key {} is written more than once, so this is no history of the model \
                     long-fork; ask for the model rw-register",
                    store.key_told(key)
                ),
            };
        }
        return outcome;
    }
    if !level.forbids("long-fork") {
        return outcome;
    }
    if let Some(finding) = fork(store) {
        let mut findings = vec![finding];
        if let Decision::Violated { findings: others } = outcome.decision {
            findings.extend(others);
        }
        outcome.ruled = Ruled::by(findings.iter().map(|finding| finding.anomaly.as_str()));
        outcome.decision = Decision::Violated { findings };
    }
    outcome
}

fn written_twice(store: &Store) -> Option<u32> {
    let mut writer: Vec<Id> = vec![NONE; store.keys.len()];
    for id in store.ids() {
        for step in store.steps_of(id) {
            let by = &mut writer[step.key() as usize];
            if step.what() == What::Write && std::mem::replace(by, id) != NONE {
                return Some(step.key());
            }
        }
    }
    None
}

/// Whether each key was written at all.
fn written(store: &Store) -> Vec<bool> {
    let mut written = vec![false; store.keys.len()];
    for step in store.ids().flat_map(|id| store.steps_of(id)) {
        written[step.key() as usize] |= step.what() == What::Write;
    }
    written
}

/// Two readers of one group of which each saw a write that the other did not.
fn fork(store: &Store) -> Option<Finding> {
    // What nobody wrote says nothing of an order of writes; it is an anomaly of its own.
    let written = written(store);
    let is_written = |key: u32| written[key as usize];
    // By the keys read: what each reader saw of them.
    let mut groups: BTreeMap<Vec<u32>, Vec<(Vec<bool>, Id)>> = BTreeMap::new();
    for id in store.ids().filter(|&id| store.is_ok(id)) {
        let steps = store.steps_of(id);
        if steps.len() < 2 || steps.iter().any(|step| step.what() != What::Read) {
            continue;
        }
        let mut read: Vec<(u32, bool)> = steps
            .iter()
            .map(|step| (step.key(), step.argument != NIL && is_written(step.key())))
            .collect();
        read.sort_unstable();
        let (keys, seen) = read.into_iter().unzip();
        groups.entry(keys).or_default().push((seen, id));
    }
    groups.into_iter().find_map(|(keys, mut readers)| {
        // In a chain of growing sets each is within the next.
        readers.sort_by_cached_key(|(seen, id)| (seen.iter().filter(|&&saw| saw).count(), *id));
        readers.windows(2).find_map(|pair| {
            let [(less, a), (more, b)] = pair else {
                return None;
            };
            let only = |one: &[bool], other: &[bool]| {
                let mut both = one.iter().zip(other);
                both.position(|(&one, &other)| one && !other)
            };
            let (first, second) = (only(less, more)?, only(more, less)?);
            let explanation = format!(
                "{} saw the write of key {} and not that of key {}, and {} saw the second and not \
                 the first: they disagree about which came first",
                store.told(*a),
                store.key_told(keys[first]),
                store.key_told(keys[second]),
                store.told(*b),
            );
            Some(store.finding("long-fork", None, &[*a, *b], explanation))
        })
    })
}
