//! Random small histories, both verdicts frequent, against exhaustive search. With the
//! environment's `KEYQUAKE_SLOW=1`, a million of each.

use elle_rs::levels::Level;
use elle_rs::txn::{Decision, Outcome, Store};
use elle_rs::{rmw, rw_register};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::exhaustive::{serializable, snapshot_isolated};
use crate::store::{Guarantee, Transaction, simulate, store};

/// Another answer, or other moments.
fn disturb(rng: &mut ChaCha8Rng, transactions: &mut [Transaction]) {
    let count = transactions.len();
    let transaction = &mut transactions[rng.random_range(0..count)];
    if rng.random_range(0..4) == 0 {
        transaction.start = rng.random_range(0..count as u64) * 1_000;
        transaction.finish = transaction.start + rng.random_range(1..3_000);
        return;
    }
    let at = rng.random_range(0..transaction.steps.len());
    let step = &mut transaction.steps[at];
    if step.write.is_none() {
        let value = rng.random_range(0..6);
        step.read = (value > 0).then_some(value);
    }
}

fn rounds(lean: u32) -> u32 {
    match std::env::var("KEYQUAKE_SLOW") {
        Ok(slow) if slow == "1" => 1_000_000,
        _ => lean,
    }
}

struct Case {
    seed: u64,
    rounds: u32,
    largest: u64,
    level: Level,
    /// Each transaction writes only what it has read, and none is pending.
    updates: bool,
    check: fn(&Store, Level) -> Outcome,
    truth: fn(&[Transaction]) -> bool,
}

/// Whatever is decided is right, and little is undecided; nothing where all writes are updates.
fn compare(case: &Case) {
    use Guarantee::{Careless, Serial, Snapshot, Strict};
    let mut rng = ChaCha8Rng::seed_from_u64(case.seed);
    let (mut valid, mut undecided) = (0, 0);
    for round in 0..case.rounds {
        let guarantee = [Strict, Serial, Snapshot, Careless][rng.random_range(0..4)];
        let count = rng.random_range(2..=case.largest);
        let pending = if case.updates { 0 } else { 15 };
        let mut transactions = simulate(&mut rng, guarantee, count, case.updates, pending);
        for _ in 0..rng.random_range(0..3) {
            disturb(&mut rng, &mut transactions);
        }
        let expected = (case.truth)(&transactions);
        valid += u32::from(expected);
        let outcome = (case.check)(&store(&transactions), case.level);
        let level = case.level;
        match outcome.decision {
            Decision::Valid => assert!(expected, "round {round} at {level}: {transactions:#?}"),
            Decision::Violated { findings } => {
                assert!(
                    !expected,
                    "round {round} at {level}: {findings:#?} in {transactions:#?}"
                );
                assert!(findings.iter().all(|finding| !finding.ops.is_empty()));
            }
            Decision::Undecided { .. } => undecided += 1,
        }
    }
    let (rounds, level) = (case.rounds, case.level);
    let model = if case.updates { "rmw, " } else { "" };
    println!("{model}{level}: {valid} of {rounds} valid, {undecided} undecided");
    assert!(valid > rounds / 20 && valid < rounds - rounds / 20);
    let bearable = if case.updates { 0 } else { rounds / 200 };
    assert!(undecided <= bearable, "{undecided} of {rounds} undecided");
}

#[test]
fn strict_serializable() {
    compare(&Case {
        seed: 1,
        rounds: rounds(6_000),
        largest: 6,
        level: Level::StrictSerializable,
        updates: false,
        check: rw_register::check_store,
        truth: |t| serializable(t, true),
    });
}

#[test]
fn serializable_in_any_order() {
    compare(&Case {
        seed: 2,
        rounds: rounds(6_000),
        largest: 6,
        level: Level::Serializable,
        updates: false,
        check: rw_register::check_store,
        truth: |t| serializable(t, false),
    });
}

#[test]
fn snapshot_isolation() {
    compare(&Case {
        seed: 3,
        rounds: rounds(2_000),
        largest: 4,
        level: Level::SnapshotIsolation,
        updates: false,
        check: rw_register::check_store,
        truth: snapshot_isolated,
    });
}

#[test]
fn updates_are_decided_completely() {
    let serial: fn(&[Transaction]) -> bool = |t| serializable(t, false);
    let strict: fn(&[Transaction]) -> bool = |t| serializable(t, true);
    for (seed, level, truth) in [
        (4, Level::StrictSerializable, strict),
        (5, Level::Serializable, serial),
        (6, Level::SnapshotIsolation, snapshot_isolated),
    ] {
        compare(&Case {
            seed,
            rounds: rounds(6_600),
            largest: 4,
            level,
            updates: true,
            check: rmw::check_store,
            truth,
        });
    }
}
