//! Long histories of a true register, broken in named ways: each must be found and named.

use elle_rs::history::{Action, Event, Kind, Value};
use elle_rs::register::{KeyReport, Outcome, check, verify};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::{Timed, history};
use crate::simulated::{Shape, simulate};

const ROUNDS: u64 = 25;

fn long(seed: u64) -> (ChaCha8Rng, Vec<Timed>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let shape = Shape {
        operations: 3_000,
        clients: 32,
        pending: 10,
        fails: 5,
        weights: [4, 3, 2, 1],
    };
    let operations = simulate(&mut rng, &shape, 0);
    (rng, operations)
}

fn judged(events: &[Event]) -> KeyReport {
    let [report] = check(events).unwrap().try_into().unwrap();
    report
}

/// Breaks `ROUNDS` histories, each at a random place, and asks for one of these anomalies.
fn broken(anomalies: &[&str], breaks: impl Fn(&mut ChaCha8Rng, &mut Vec<Timed>) -> bool) {
    let mut broken = 0;
    for seed in 0..ROUNDS {
        let (mut rng, mut operations) = long(seed);
        if !breaks(&mut rng, &mut operations) {
            continue;
        }
        broken += 1;
        match judged(&history(&operations)).outcome {
            Outcome::Violated { finding } => assert!(
                anomalies.contains(&finding.anomaly.as_str()),
                "seed {seed}: {finding:?}"
            ),
            other => panic!("seed {seed}: {anomalies:?} was not found: {other:?}"),
        }
    }
    assert!(
        broken > ROUNDS / 2,
        "only {broken} histories could be broken so"
    );
}

fn is_ok(operation: &Timed) -> bool {
    matches!(operation.finish, Some((_, Kind::Ok)))
}

fn finish(operation: &Timed) -> u64 {
    operation.finish.map_or(u64::MAX, |(finish, _)| finish)
}

/// Blind writes that were acknowledged: (value, start, finish).
fn writes(operations: &[Timed]) -> Vec<(Value, u64, u64)> {
    let writes = operations.iter().filter(|op| is_ok(op));
    writes
        .filter_map(|op| match op.action {
            Action::Write { value, .. } => Some((value, op.start, finish(op))),
            _ => None,
        })
        .collect()
}

/// Some acknowledged operation of which `pick` is true.
fn some(
    rng: &mut ChaCha8Rng,
    operations: &[Timed],
    pick: impl Fn(&Timed) -> bool,
) -> Option<usize> {
    let fitting: Vec<usize> = (0..operations.len())
        .filter(|&at| is_ok(&operations[at]) && pick(&operations[at]))
        .collect();
    fitting.choose(rng).copied()
}

fn is_read(operation: &Timed) -> bool {
    matches!(operation.action, Action::Read { .. })
}

fn is_swap(operation: &Timed) -> bool {
    matches!(operation.action, Action::Swap { .. })
}

fn set(operation: &mut Timed, seen: Option<Value>) {
    match &mut operation.action {
        Action::Read { value, .. } => *value = seen,
        Action::Swap { old, .. } => *old = seen,
        other => panic!("{other:?} sees nothing"),
    }
}

/// A value overwritten, for certain, before `start`.
fn overwritten(rng: &mut ChaCha8Rng, operations: &[Timed], start: u64) -> Option<Value> {
    let writes = writes(operations);
    let (_, between, _) = writes.iter().filter(|w| w.2 < start).max_by_key(|w| w.1)?;
    let old: Vec<Value> = writes
        .iter()
        .filter(|w| w.2 < *between)
        .map(|w| w.0)
        .collect();
    old[old.len().saturating_sub(20)..].choose(rng).copied()
}

#[test]
fn unbroken_they_are_valid() {
    for seed in 0..ROUNDS {
        let events = history(&long(seed).1);
        match judged(&events).outcome {
            Outcome::Valid { witness } => assert_eq!(verify(&events, 0, &witness), Ok(())),
            other => panic!("seed {seed}: {other:?}"),
        }
    }
}

/// Half of the operations are compare-and-sets and most of them are refused, among many clients
/// and many pending operations: all are placed or decided, none is left open.
#[test]
fn refusals_in_long_histories_are_decided() {
    for seed in 0..ROUNDS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shape = Shape {
            operations: 20_000,
            clients: 64,
            pending: 20,
            fails: 5,
            weights: [2, 1, 1, 4],
        };
        let events = history(&simulate(&mut rng, &shape, 0));
        let report = judged(&events);
        assert!(report.refused > 1_000, "{}", report.refused);
        match report.outcome {
            Outcome::Valid { witness } => assert_eq!(verify(&events, 0, &witness), Ok(())),
            other => panic!("seed {seed}: {other:?}"),
        }
    }
}

#[test]
fn stale_read() {
    broken(&["stale-read"], |rng, operations| {
        let Some(at) = some(rng, operations, is_read) else {
            return false;
        };
        let Some(old) = overwritten(rng, operations, operations[at].start) else {
            return false;
        };
        set(&mut operations[at], Some(old));
        true
    });
}

#[test]
fn read_of_nil_after_writes() {
    broken(&["stale-read"], |rng, operations| {
        let late = operations.len() as u64 * 500;
        let Some(at) = some(rng, operations, |op| is_read(op) && op.start > late) else {
            return false;
        };
        set(&mut operations[at], None);
        true
    });
}

/// A write was acknowledged and forgotten: whoever saw it sees what was there before.
#[test]
fn lost_write() {
    broken(&["stale-read", "lost-update"], |rng, operations| {
        let writes = writes(operations);
        let lost = writes.iter().find(|&&(value, _, finish)| {
            operations.iter().any(|op| {
                op.start > finish && matches!(op.action, Action::Read { value: Some(seen), .. } if seen == value && is_ok(op))
            })
        });
        let Some(&(lost, start, _)) = lost else {
            return false;
        };
        let old: Vec<Value> = writes.iter().filter(|w| w.2 < start).map(|w| w.0).collect();
        let Some(&old) = old.choose(rng) else {
            return false;
        };
        for operation in operations.iter_mut() {
            match &mut operation.action {
                Action::Read { value: seen, .. } | Action::Swap { old: seen, .. }
                    if *seen == Some(lost) =>
                {
                    *seen = Some(old)
                }
                _ => {}
            }
        }
        true
    });
}

/// Two reads, one after the other, came back in the wrong order.
#[test]
fn swapped_order() {
    broken(&["future-read", "stale-read"], |rng, operations| {
        let writes = writes(operations);
        for _ in 0..100 {
            let Some(&(value, start, _)) = writes.choose(rng) else {
                return false;
            };
            let early = some(rng, operations, |op| is_read(op) && finish(op) < start);
            let late = some(
                rng,
                operations,
                |op| matches!(op.action, Action::Read { value: Some(seen), .. } if seen == value),
            );
            if let (Some(early), Some(late)) = (early, late)
                && let Action::Read { value: before, .. } = operations[early].action
            {
                set(&mut operations[early], Some(value));
                set(&mut operations[late], before);
                return true;
            }
        }
        false
    });
}

#[test]
fn lost_update() {
    broken(&["lost-update"], |rng, operations| {
        let seen = |op: &Timed| match op.action {
            Action::Swap { old, .. } => old,
            _ => None,
        };
        let Some(first) = some(rng, operations, |op| seen(op).is_some()) else {
            return false;
        };
        let Some(second) = some(rng, operations, |op| {
            is_swap(op) && op.start != operations[first].start
        }) else {
            return false;
        };
        let old = seen(&operations[first]);
        set(&mut operations[second], old);
        true
    });
}

#[test]
fn swap_applied_twice() {
    broken(&["duplicate-swap"], |rng, operations| {
        let Some(at) = some(rng, operations, is_swap) else {
            return false;
        };
        let Action::Swap { value, .. } = operations[at].action else {
            return false;
        };
        set(&mut operations[at], Some(value));
        true
    });
}

#[test]
fn dirty_read() {
    broken(&["dirty-read"], |rng, operations| {
        let failed = operations.iter().find_map(|op| match op.action {
            Action::Write { value, .. } if matches!(op.finish, Some((_, Kind::Fail))) => {
                Some(value)
            }
            _ => None,
        });
        let Some(at) = some(rng, operations, is_read) else {
            return false;
        };
        set(&mut operations[at], failed);
        failed.is_some()
    });
}

#[test]
fn thin_air() {
    broken(&["thin-air"], |rng, operations| {
        let Some(at) = some(rng, operations, is_read) else {
            return false;
        };
        set(&mut operations[at], Some(1_000_000));
        true
    });
}

/// Whatever the events, there is an answer or an error, and the same one twice.
#[test]
fn arbitrary_events_never_panic() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..20_000 {
        let mut events = history(&simulate(
            &mut rng,
            &Shape {
                operations: 12,
                clients: 4,
                pending: 20,
                fails: 20,
                weights: [2, 2, 2, 2],
            },
            0,
        ));
        for _ in 0..rng.random_range(0..3) {
            let at = rng.random_range(0..events.len());
            match rng.random_range(0..4) {
                0 => drop(events.remove(at)),
                1 => events.push(events[at].clone()),
                2 => {
                    let to = rng.random_range(0..events.len());
                    events.swap(at, to);
                }
                _ => {
                    if let Event::Op(op) = &mut events[at] {
                        op.process = rng.random_range(0..4);
                        op.index = rng.random_range(0..40);
                    }
                }
            }
        }
        assert_eq!(check(&events), check(&events));
    }
}
