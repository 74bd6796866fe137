//! Registers of some kind: written only by who has read them, each written once, or growing. The levels
//! with one order of transactions, or of starts and commits, against every order.

use elle_rs::levels::Level;
use elle_rs::transactions::{Model as Checked, check_from};
use elle_rs::txn::Decision;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::draw::{Model, Writes, draw, edn};
use crate::orders::Orders;
use crate::random::{certified, counted, edges, order, reader, rounds};

fn compare(checked: Checked, writes: Writes, level: Level, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rounds = rounds(500);
    let (mut valid, mut undecided) = (0, 0);
    for round in 0..rounds {
        let all = draw(&mut rng, writes);
        let orders = Orders {
            all: &all,
            model: Model::Register,
            order: order(level),
            grows: checked == Checked::Monotonic,
        };
        let expected = orders.satisfy(level);
        valid += u32::from(expected);
        let text = edn(&all, Model::Register);
        let report = check_from(reader(&text), checked, level).unwrap();
        let told = match &report.outcome.decision {
            Decision::Valid => true,
            Decision::Violated { .. } => false,
            Decision::Undecided { .. } => {
                undecided += 1;
                continue;
            }
        };
        let decision = &report.outcome.decision;
        assert_eq!(
            told, expected,
            "{checked} at {level}, round {round}: {decision:#?}\n{text}"
        );
        certified(&report, &text);
    }
    counted(&format!("{checked}, {level}"), valid, undecided, rounds);
}

fn at_every_level(checked: Checked, writes: Writes, seed: u64) {
    let ordered = Level::all().filter(|level| edges(*level).is_none());
    for (nth, level) in (0..).zip(ordered) {
        compare(checked, writes, level, seed + nth);
    }
}

#[test]
fn random_rmw() {
    at_every_level(Checked::Rmw, Writes::ReadBefore, 300);
}

#[test]
fn random_long_fork() {
    at_every_level(Checked::LongFork, Writes::Once, 400);
}

#[test]
fn random_monotonic() {
    at_every_level(Checked::Monotonic, Writes::Any, 500);
}
