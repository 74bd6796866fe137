//! Random small histories, both verdicts frequent, against exhaustive search.

use elle_rs::history::{Action, Key, Kind};
use elle_rs::register::{Outcome, check, verify};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::{Timed, history};
use crate::exhaustive::linearizable;
use crate::simulated::{Shape, simulate};

const KEY: Key = 9;

/// Compares `rounds` histories; says how many were linearizable.
fn compare(seed: u64, rounds: u32, mut draw: impl FnMut(&mut ChaCha8Rng) -> Vec<Timed>) -> u32 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut valid = 0;
    for round in 0..rounds {
        let operations = draw(&mut rng);
        let events = history(&operations);
        let expected = linearizable(&operations);
        valid += u32::from(expected);
        let reports = check(&events).unwrap();
        let Some(report) = reports.first() else {
            assert!(expected);
            continue;
        };
        match &report.outcome {
            Outcome::Valid { witness } => {
                assert!(expected, "round {round}: passed {operations:#?}");
                assert_eq!(
                    verify(&events, KEY, witness),
                    Ok(()),
                    "round {round}: {operations:#?}"
                );
            }
            Outcome::Violated { finding } => {
                assert!(!expected, "round {round}: {finding:?} in {operations:#?}");
                assert!((1..=6).contains(&finding.ops.len()), "{finding:?}");
            }
            Outcome::Undecided { reason } => panic!("round {round}: {reason}"),
        }
    }
    valid
}

fn shape(rng: &mut ChaCha8Rng, weights: [u32; 4], pending: u32, fails: u32) -> Shape {
    Shape {
        operations: rng.random_range(2..=7),
        clients: rng.random_range(1..=5),
        pending,
        fails,
        weights,
    }
}

/// Makes a history of a true register wrong, perhaps: other answers, other moments.
fn disturb(rng: &mut ChaCha8Rng, operations: &mut [Timed]) {
    let n = operations.len();
    let top = n as u64 + 1;
    for _ in 0..rng.random_range(1..=2) {
        let at = rng.random_range(0..n);
        match rng.random_range(0..4) {
            // It began after it could have, or ended before.
            0 => operations[at].start = rng.random_range(0..top) * 1_000,
            1 => {
                let kind = operations[at].finish.map_or(Kind::Ok, |(_, kind)| kind);
                let start = operations[at].start;
                operations[at].finish = Some((start + rng.random_range(1..2_000), kind));
            }
            2 => operations[at].finish = None,
            _ => match &mut operations[at].action {
                Action::Read { value: seen, .. } | Action::Swap { old: seen, .. } => {
                    *seen = rng.random_bool(0.8).then(|| rng.random_range(1..=top));
                }
                Action::Cas { swapped, .. } => *swapped = !*swapped,
                _ => {}
            },
        }
        let start = operations[at].start;
        if let Some((finish, _)) = &mut operations[at].finish {
            *finish = (*finish).max(start + 1);
        }
    }
}

fn disturbed(
    weights: [u32; 4],
    pending: u32,
    fails: u32,
) -> impl FnMut(&mut ChaCha8Rng) -> Vec<Timed> {
    move |rng| {
        let shape = shape(rng, weights, pending, fails);
        let mut operations = simulate(rng, &shape, KEY);
        if rng.random_bool(0.8) {
            disturb(rng, &mut operations);
        }
        operations
    }
}

/// Answers out of thin air, from values that exist: nearly every structure occurs.
fn wild(twice: bool) -> impl FnMut(&mut ChaCha8Rng) -> Vec<Timed> {
    move |rng| {
        let n = rng.random_range(1..=6u64);
        (1..=n)
            .map(|own| {
                let value = if twice { rng.random_range(1..=3) } else { own };
                let seen = rng.random_bool(0.85).then(|| rng.random_range(1..=n));
                let action = match rng.random_range(0..6) {
                    0 | 1 => Action::Read {
                        key: KEY,
                        value: seen,
                    },
                    2 => Action::Write { key: KEY, value },
                    3 => Action::Swap {
                        key: KEY,
                        value,
                        old: seen,
                    },
                    _ => Action::Cas {
                        key: KEY,
                        expected: rng.random_range(1..=n),
                        value,
                        swapped: rng.random(),
                    },
                };
                let start = rng.random_range(0..2 * n);
                let kind = [
                    Kind::Ok,
                    Kind::Ok,
                    Kind::Ok,
                    Kind::Ok,
                    Kind::Info,
                    Kind::Fail,
                ][rng.random_range(0..6)];
                let finish = rng
                    .random_bool(0.9)
                    .then(|| (start + rng.random_range(1..=n), kind));
                Timed {
                    start,
                    finish,
                    action,
                }
            })
            .collect()
    }
}

/// Both verdicts must be frequent, or the comparison shows little.
fn both_ways(name: &str, valid: u32, rounds: u32) {
    println!("{name}: {valid} of {rounds} linearizable");
    assert!(
        valid > rounds / 20 && valid < rounds - rounds / 20,
        "{name}: {valid} of {rounds}"
    );
}

#[test]
fn reads_and_writes() {
    let valid = compare(1, 60_000, disturbed([3, 2, 0, 0], 0, 0));
    both_ways("reads and writes", valid, 60_000);
}

#[test]
fn reads_and_writes_with_pending_and_failed() {
    let valid = compare(2, 60_000, disturbed([3, 2, 0, 0], 25, 10));
    both_ways("with pending and failed", valid, 60_000);
}

#[test]
fn swaps() {
    let valid = compare(3, 60_000, disturbed([3, 2, 3, 0], 20, 5));
    both_ways("swaps", valid, 60_000);
}

#[test]
fn compare_and_sets_made_and_refused() {
    let valid = compare(4, 60_000, disturbed([2, 2, 0, 4], 20, 5));
    both_ways("compare-and-sets", valid, 60_000);
}

#[test]
fn everything_together() {
    let valid = compare(5, 60_000, disturbed([3, 2, 2, 2], 20, 5));
    both_ways("everything", valid, 60_000);
}

#[test]
fn answers_out_of_thin_air() {
    let valid = compare(6, 150_000, wild(false));
    both_ways("thin air", valid, 150_000);
}

/// Values written twice are beyond the zones; the sweep decides them.
#[test]
fn values_written_twice() {
    let valid = compare(7, 100_000, wild(true));
    both_ways("written twice", valid, 100_000);
}
