//! Lists of simulated stores, as they are and broken at random.

use std::collections::BTreeMap;

use elle_rs::certificate::Shows;
use elle_rs::history::{Action, Kind, Step};
use elle_rs::levels::Level;
use elle_rs::transactions::Model;
use elle_rs::verify::verify;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::Timed;
use crate::list_store::{Shape, Store, simulate};
use crate::{reader, verified};

pub fn drawn(rng: &mut ChaCha8Rng, store: Store, transactions: usize) -> Vec<Timed> {
    let shape = Shape {
        transactions,
        clients: 4,
        keys: 3,
        steps: 4,
        pending: 10,
        fails: 10,
    };
    simulate(rng, store, &shape)
}

/// The transactions as Jepsen writes them.
pub fn edn(transactions: &[Timed]) -> String {
    let mut moments = Vec::new();
    for (at, transaction) in transactions.iter().enumerate() {
        moments.push((transaction.start, at, Kind::Invoke));
        let finish = transaction.finish;
        moments.extend(finish.map(|(finish, kind)| (finish, at, kind)));
    }
    moments.sort_by_key(|&(moment, _, kind)| (moment, kind != Kind::Invoke));
    let mut text = String::new();
    for (_, at, kind) in moments {
        let Action::Txn { steps } = &transactions[at].action else {
            continue;
        };
        let steps: Vec<String> = steps
            .iter()
            .map(|step| match step {
                Step::Append { key, value } => format!("[:append {key} {value}]"),
                Step::Read { key, list } => match list {
                    Some(list) if kind == Kind::Ok => format!("[:r {key} {list:?}]"),
                    _ => format!("[:r {key} nil]"),
                },
            })
            .collect();
        let kind = format!("{kind:?}").to_lowercase();
        text += &format!(
            "{{:type :{kind}, :process {at}, :f :txn, :value [{}]}}\n",
            steps.join(" ")
        );
    }
    text
}

/// Changes what one transaction read, or how it was answered.
pub fn damage(rng: &mut ChaCha8Rng, transactions: &mut [Timed]) {
    let at = rng.random_range(0..transactions.len());
    let foreign = rng.random_range(0..60);
    if rng.random_bool(0.2) {
        if let Some((_, kind)) = &mut transactions[at].finish {
            *kind = Kind::Fail;
        }
        return;
    }
    let Action::Txn { steps } = &mut transactions[at].action else {
        return;
    };
    if rng.random_bool(0.2) {
        let (a, b) = (
            rng.random_range(0..steps.len()),
            rng.random_range(0..steps.len()),
        );
        steps.swap(a, b);
        return;
    }
    let reads = steps.iter_mut().filter_map(|step| match step {
        Step::Read { list, .. } => list.as_mut(),
        Step::Append { .. } => None,
    });
    let mut reads: Vec<&mut Vec<u64>> = reads.collect();
    if reads.is_empty() {
        return;
    }
    let read = rng.random_range(0..reads.len());
    let list = &mut reads[read];
    let places = list.len();
    match rng.random_range(0..5) {
        0 if places > 0 => drop(list.remove(rng.random_range(0..places))),
        1 if places > 0 => list.truncate(rng.random_range(0..places)),
        2 if places > 1 => list.swap(rng.random_range(0..places), rng.random_range(0..places)),
        3 if places > 0 => {
            let again = list[rng.random_range(0..places)];
            list.push(again);
        }
        _ => list.insert(rng.random_range(0..=places), foreign),
    }
}

#[test]
fn of_lists_broken_or_not() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut certified: BTreeMap<String, u32> = BTreeMap::new();
    let mut without = 0;
    // Each round is judged at thirteen levels.
    let slow = std::env::var_os("KEYQUAKE_SLOW").is_some();
    for round in 0..if slow { 20_000 } else { 1_000 } {
        let stores = [
            Store::Strict,
            Store::Serial,
            Store::Snapshot,
            Store::Careless,
        ];
        let store = *stores.choose(&mut rng).unwrap();
        let count = rng.random_range(2..20);
        let mut transactions = drawn(&mut rng, store, count);
        for _ in 0..round % 4 {
            damage(&mut rng, &mut transactions);
        }
        let text = edn(&transactions);
        for level in Level::all() {
            match verified(&text, Model::ListAppend, level) {
                Some(certificate) => {
                    let is_cycle = certificate.cycle.is_some();
                    let anomaly = certificate.anomaly.filter(|_| !is_cycle);
                    let what = anomaly.unwrap_or(format!("{} {is_cycle}", certificate.verdict));
                    *certified.entry(what).or_default() += 1;
                }
                None => without += 1,
            }
        }
    }
    println!("{certified:#?}, {without} without");
    for anomaly in [
        "internal",
        "thin-air",
        "G1a",
        "G1b",
        "dirty-update",
        "lost-update",
        "duplicate-elements",
        "incompatible-order",
        "lost-append",
        "future-read",
    ] {
        // What is graver or a cycle is certified first.
        let seldom = ["dirty-update", "lost-update", "future-read", "lost-append"];
        let seen = certified.get(anomaly).copied().unwrap_or(0);
        assert!(seen > 0 || seldom.contains(&anomaly), "{anomaly}");
    }
}

/// Of histories in which nothing is wrong, nothing is shown to be.
#[test]
fn nothing_shows_an_anomaly_that_is_none() {
    const NAMES: [&str; 11] = [
        "internal",
        "thin-air",
        "G1a",
        "G1b",
        "dirty-update",
        "lost-update",
        "duplicate-elements",
        "incompatible-order",
        "lost-append",
        "future-read",
        "long-fork",
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let mut tried = 0;
    for _ in 0..300 {
        let text = edn(&drawn(&mut rng, Store::Strict, 12));
        let level = Level::StrictSerializable;
        let Some(valid) = verified(&text, Model::ListAppend, level) else {
            continue;
        };
        let invoked = text
            .lines()
            .zip(0..)
            .filter(|(line, _)| line.contains(":invoke"));
        let places: Vec<u64> = invoked.map(|(_, place)| place).collect();
        let mut claim = valid.clone();
        "violated".clone_into(&mut claim.verdict);
        claim.order = None;
        for _ in 0..300 {
            let ops = (0..rng.random_range(1..3)).map(|_| *places.choose(&mut rng).unwrap());
            let ops = ops.collect();
            let values = (0..rng.random_range(0..3)).map(|_| rng.random_range(0..30));
            claim.shows = Some(Shows {
                key: Some(0),
                ops,
                values: values.collect(),
            });
            if let Some(shows) = &mut claim.shows {
                shows.key = Some(rng.random_range(0..3));
            }
            claim.anomaly = NAMES.choose(&mut rng).map(|&name| name.to_owned());
            tried += 1;
            let told = verify(&claim, reader(&text));
            assert!(told.is_err(), "{}\n{text}{told:?}", claim.text());
        }
    }
    assert!(tried > 50_000, "{tried}");
}

/// An order that some other history has does not show that a broken one is fine: of every history
/// that is violated at a level, orders made up are refused at it.
#[test]
fn no_order_of_a_history_that_has_none() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let mut tried = 0;
    for _ in 0..1_500 {
        let count = rng.random_range(2..6);
        let mut transactions = drawn(&mut rng, Store::Careless, count);
        damage(&mut rng, &mut transactions);
        let text = edn(&transactions);
        let invoked = text
            .lines()
            .zip(0u64..)
            .filter(|(line, _)| line.contains(":invoke"));
        let places: Vec<u64> = invoked.map(|(_, place)| place).collect();
        for level in [
            Level::ReadUncommitted,
            Level::StrongReadCommitted,
            Level::Serializable,
        ] {
            let Some(mut claim) = verified(&text, Model::ListAppend, level) else {
                continue;
            };
            if claim.verdict == "valid" {
                continue;
            }
            "valid".clone_into(&mut claim.verdict);
            (claim.cycle, claim.shows, claim.anomaly) = (None, None, None);
            for _ in 0..40 {
                let mut order = places.clone();
                for at in (1..order.len()).rev() {
                    order.swap(at, rng.random_range(0..=at));
                }
                // Those that failed or may have must be left out.
                order.truncate(rng.random_range(1..=order.len()));
                claim.order = Some(order);
                tried += 1;
                assert!(
                    verify(&claim, reader(&text)).is_err(),
                    "{}\n{text}",
                    claim.text()
                );
            }
        }
    }
    assert!(tried > 10_000, "{tried}");
}
