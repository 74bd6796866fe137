//! Long histories of a strict serializable store, broken in named ways: each must be found and
//! named; and whatever the events, nothing panics.

use elle_rs::history::{Action, Event, Kind, Step};
use elle_rs::list_append::{Decision, Level, check};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::{Timed, history};
use crate::store::{Shape, Store, simulate};

const ROUNDS: u64 = 20;

fn long(seed: u64, store: Store) -> (ChaCha8Rng, Vec<Timed>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let shape = Shape {
        transactions: 1_000,
        clients: 16,
        keys: 12,
        steps: 4,
        pending: 5,
        fails: 5,
    };
    let transactions = simulate(&mut rng, store, &shape);
    (rng, transactions)
}

fn anomalies(transactions: &[Timed], level: Level) -> Vec<String> {
    match check(&history(transactions), level).unwrap().decision {
        Decision::Valid => Vec::new(),
        Decision::Violated { findings } => findings.into_iter().map(|f| f.anomaly).collect(),
        Decision::Undecided { reason } => panic!("{reason}"),
    }
}

/// Breaks each history and asks for one of these anomalies.
fn broken(wanted: &[&str], breaks: impl Fn(&mut ChaCha8Rng, &mut Vec<Timed>) -> bool) {
    let mut broken = 0;
    for seed in 0..ROUNDS {
        let (mut rng, mut transactions) = long(seed, Store::Strict);
        if breaks(&mut rng, &mut transactions) {
            broken += 1;
            let found = anomalies(&transactions, Level::StrictSerializable);
            assert!(
                found.iter().any(|a| wanted.contains(&a.as_str())),
                "seed {seed}: found {found:?}, not {wanted:?}"
            );
        }
    }
    assert!(
        broken > ROUNDS / 2,
        "only {broken} histories could be broken so"
    );
}

/// The lists read by acknowledged transactions that only read, with what is in them: (transaction, step).
fn reads(transactions: &[Timed], at_least: usize) -> Vec<(usize, usize)> {
    let mut reads = Vec::new();
    for (at, transaction) in transactions.iter().enumerate() {
        let (Action::Txn { steps }, Some((_, Kind::Ok))) =
            (&transaction.action, transaction.finish)
        else {
            continue;
        };
        if steps.iter().any(|step| matches!(step, Step::Append { .. })) {
            continue;
        }
        for (place, step) in steps.iter().enumerate() {
            let again = |other: &Step| matches!((other, step), (Step::Read { key: a, .. }, Step::Read { key: b, .. }) if a == b);
            if matches!(step, Step::Read { list: Some(list), .. } if list.len() >= at_least)
                && steps.iter().filter(|other| again(other)).count() == 1
            {
                reads.push((at, place));
            }
        }
    }
    reads
}

fn list(transactions: &mut [Timed], (at, place): (usize, usize)) -> &mut Vec<u64> {
    match &mut transactions[at].action {
        Action::Txn { steps } => match &mut steps[place] {
            Step::Read {
                list: Some(list), ..
            } => list,
            other => panic!("{other:?} read nothing"),
        },
        other => panic!("{other:?} is no transaction"),
    }
}

fn change(
    at_least: usize,
    change: impl Fn(&mut ChaCha8Rng, &mut Vec<u64>),
) -> impl Fn(&mut ChaCha8Rng, &mut Vec<Timed>) -> bool {
    move |rng, transactions| {
        let Some(&read) = reads(transactions, at_least).choose(rng) else {
            return false;
        };
        change(rng, list(transactions, read));
        true
    }
}

#[test]
fn unbroken_they_are_valid_at_every_level() {
    for seed in 0..ROUNDS {
        let transactions = long(seed, Store::Strict).1;
        for level in [
            Level::StrictSerializable,
            Level::Serializable,
            Level::StrongSnapshotIsolation,
            Level::ReadCommitted,
        ] {
            assert_eq!(
                anomalies(&transactions, level),
                Vec::<String>::new(),
                "seed {seed} at {level}"
            );
        }
    }
}

#[test]
fn stores_are_told_apart() {
    for seed in 0..ROUNDS {
        let serial = long(seed, Store::Serial).1;
        assert_eq!(
            anomalies(&serial, Level::Serializable),
            Vec::<String>::new()
        );
        assert!(
            anomalies(&serial, Level::StrictSerializable)
                .iter()
                .all(|a| a.ends_with("-realtime"))
        );
        let snapshots = long(seed, Store::Snapshot).1;
        assert_eq!(
            anomalies(&snapshots, Level::StrongSnapshotIsolation),
            Vec::<String>::new()
        );
        assert_eq!(anomalies(&snapshots, Level::Serializable), ["G2-item"]);
        let careless = anomalies(&long(seed, Store::Careless).1, Level::SnapshotIsolation);
        assert!(!careless.is_empty(), "seed {seed}");
    }
}

#[test]
fn an_append_applied_twice() {
    broken(
        &["duplicate-elements"],
        change(2, |_, list| list.push(list[0])),
    );
}

#[test]
fn elements_in_another_order() {
    broken(
        &["incompatible-order"],
        change(4, |_, list| list.swap(0, 2)),
    );
}

#[test]
fn an_element_lost_from_the_middle() {
    broken(
        &["incompatible-order"],
        change(4, |_, list| {
            list.remove(1);
        }),
    );
}

/// A read that misses the last half of what was there: what it misses was complete long ago.
#[test]
fn a_stale_list() {
    broken(
        &[
            "G-single-realtime",
            "G-single",
            "G1b",
            "G2-item",
            "G2-item-realtime",
        ],
        change(40, |_, list| list.truncate(list.len() / 2)),
    );
}

#[test]
fn an_element_out_of_thin_air() {
    broken(
        &["thin-air", "incompatible-order"],
        change(0, |_, list| list.push(1_000_000)),
    );
}

#[test]
fn an_element_of_a_failed_transaction() {
    broken(&["G1a"], |_, transactions| {
        let seen = reads(transactions, 1)
            .into_iter()
            .max_by_key(|&read| list(transactions, read).len());
        let Some(seen) = seen.map(|read| list(transactions, read)[0]) else {
            return false;
        };
        let writer = transactions.iter_mut().find(|t| {
            matches!(&t.action, Action::Txn { steps } if steps.iter().any(|s| matches!(s, Step::Append { value, .. } if *value == seen)))
        });
        let Some(writer) = writer else { return false };
        let finish = writer.finish.map_or(writer.start + 1, |(finish, _)| finish);
        writer.finish = Some((finish, Kind::Fail));
        true
    });
}

#[test]
fn arbitrary_events_never_panic_and_say_the_same_twice() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for _ in 0..10_000 {
        let shape = Shape {
            transactions: 8,
            clients: 4,
            keys: 2,
            steps: 4,
            pending: 20,
            fails: 20,
        };
        let mut transactions = simulate(&mut rng, Store::Careless, &shape);
        for transaction in &mut transactions {
            let Action::Txn { steps } = &mut transaction.action else {
                continue;
            };
            for step in steps {
                match step {
                    Step::Read {
                        list: Some(list), ..
                    } if rng.random_bool(0.2) => list.push(rng.random_range(0..12)),
                    Step::Append { value, .. } if rng.random_bool(0.05) => {
                        *value = rng.random_range(0..12)
                    }
                    _ => {}
                }
            }
        }
        let mut events: Vec<Event> = history(&transactions);
        if rng.random_bool(0.2) {
            events.remove(rng.random_range(0..events.len()));
        }
        for level in [
            Level::StrictSerializable,
            Level::SnapshotIsolation,
            Level::ReadUncommitted,
        ] {
            assert_eq!(check(&events, level), check(&events, level));
        }
    }
}
