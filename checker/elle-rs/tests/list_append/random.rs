//! Random small histories, both verdicts frequent, against exhaustive search. With the
//! environment's `KEYQUAKE_SLOW=1`, a million of each.

use elle_rs::history::{Action, Kind, Step};
use elle_rs::list_append::{Decision, Level, check};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::{Timed, history};
use crate::exhaustive::{serializable, snapshot_isolated};
use crate::store::Store::{self, Careless, Serial, Snapshot, Strict};
use crate::store::{Shape, simulate};

fn small(rng: &mut ChaCha8Rng, stores: &[Store], transactions: usize) -> (Store, Shape) {
    let shape = Shape {
        transactions: rng.random_range(2..=transactions),
        clients: rng.random_range(1..=5),
        keys: rng.random_range(1..=3),
        steps: rng.random_range(1..=4),
        pending: 15,
        fails: 5,
    };
    (stores[rng.random_range(0..stores.len())], shape)
}

/// Other moments, other answers.
fn disturb(rng: &mut ChaCha8Rng, transactions: &mut [Timed]) {
    let n = transactions.len();
    let at = rng.random_range(0..n);
    let transaction = &mut transactions[at];
    match rng.random_range(0..4) {
        0 => transaction.start = rng.random_range(0..n as u64) * 1_000,
        1 => {
            let kind = transaction.finish.map_or(Kind::Ok, |(_, kind)| kind);
            transaction.finish = Some((transaction.start + rng.random_range(1..3_000), kind));
        }
        _ => {
            let Action::Txn { steps } = &mut transaction.action else {
                return;
            };
            let at = rng.random_range(0..steps.len());
            if let Step::Read {
                list: Some(list), ..
            } = &mut steps[at]
            {
                let value = rng.random_range(1..6);
                match rng.random_range(0..4) {
                    0 => drop(list.pop()),
                    1 => list.push(value),
                    2 => list.reverse(),
                    _ => list.clear(),
                }
            }
        }
    }
    let start = transaction.start;
    if let Some((finish, _)) = &mut transaction.finish {
        *finish = (*finish).max(start + 1);
    }
}

fn rounds(lean: u32) -> u32 {
    match std::env::var("KEYQUAKE_SLOW") {
        Ok(slow) if slow == "1" => 1_000_000,
        _ => lean,
    }
}

fn has_unread_rivals(transactions: &[Timed]) -> bool {
    // Keys on which more than one append may have taken effect and was read by nobody.
    let steps = || {
        transactions.iter().enumerate().flat_map(|(t, timed)| {
            let Action::Txn { steps } = &timed.action else {
                unreachable!()
            };
            steps.iter().map(move |step| (t, timed, step))
        })
    };
    let read = |by: usize, value: &u64| {
        // (What only who appended it read does not show where it stands among the others, and of
        // one that was never answered nobody knows what it read.)
        steps().any(|(t, timed, step)| {
            let is_ok = matches!(timed.finish, Some((_, Kind::Ok)));
            t != by
                && is_ok
                && matches!(step, Step::Read { list: Some(list), .. } if list.contains(value))
        })
    };
    let unread: Vec<_> = steps()
        .filter_map(|(t, timed, step)| match step {
            Step::Append { key, value }
                if !read(t, value) && !matches!(timed.finish, Some((_, Kind::Fail))) =>
            {
                Some((t, *key))
            }
            _ => None,
        })
        .collect();
    unread
        .iter()
        .any(|(t, key)| unread.iter().any(|(u, other)| t != u && key == other))
}

fn compare(
    seed: u64,
    rounds: u32,
    transactions: usize,
    stores: &[Store],
    level: Level,
    truth: impl Fn(&[Timed]) -> bool,
    complete: impl Fn(&[Timed]) -> bool,
) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut valid, mut undecided) = (0, 0);
    for round in 0..rounds {
        let (store, shape) = small(&mut rng, stores, transactions);
        let mut transactions = simulate(&mut rng, store, &shape);
        for _ in 0..rng.random_range(0..3) {
            disturb(&mut rng, &mut transactions);
        }
        let expected = truth(&transactions);
        valid += u32::from(expected);
        let outcome = check(&history(&transactions), level).unwrap();
        match outcome.decision {
            Decision::Valid => assert!(
                expected,
                "round {round} of {level}: passed {transactions:#?}"
            ),
            Decision::Violated { findings } => {
                assert!(
                    !expected,
                    "round {round} of {level}: {findings:#?} in {transactions:#?}"
                );
                assert!(
                    findings
                        .iter()
                        .all(|f| !f.ops.is_empty() && !f.explanation.is_empty())
                );
            }
            Decision::Undecided { reason } => {
                undecided += 1;
                assert!(
                    !complete(&transactions),
                    "round {round} of {level}: {reason} in {transactions:#?}"
                );
            }
        }
    }
    println!("{level}: {valid} of {rounds} valid, {undecided} undecided");
    assert!(undecided <= rounds / 1_000, "{undecided} of {rounds}");
    assert!(
        valid > rounds / 20 && valid < rounds - rounds / 20,
        "{valid} of {rounds}"
    );
}

#[test]
fn strict_serializable() {
    compare(
        1,
        rounds(8_000),
        6,
        &[Strict, Serial, Snapshot, Careless],
        Level::StrictSerializable,
        |t| serializable(t, true),
        |_| true,
    );
}

#[test]
fn serializable_in_any_order() {
    compare(
        2,
        rounds(8_000),
        6,
        &[Serial, Snapshot, Careless, Careless],
        Level::Serializable,
        |t| serializable(t, false),
        |_| true,
    );
}

#[test]
fn snapshot_isolation() {
    compare(
        3,
        rounds(4_000),
        4,
        &[Snapshot, Careless, Careless],
        Level::SnapshotIsolation,
        snapshot_isolated,
        |t| !has_unread_rivals(t),
    );
}
