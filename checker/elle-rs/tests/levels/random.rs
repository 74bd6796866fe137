//! Random small histories at every level against its definition, and every certificate verified.
//! With the environment's `KEYQUAKE_SLOW=1`, a million of each.

use std::path::Path;

use elle_rs::history::Kind;
use elle_rs::history::stream::{Format, Reader};
use elle_rs::levels::Level;
use elle_rs::transactions::{Model as Checked, Report, check_from};
use elle_rs::txn::Decision;
use elle_rs::verify::verify;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::definition::{Definition, Edges};
use crate::draw::{Model, Order, Transaction, Writes, draw, edn};
use crate::orders::Orders;

pub fn reader(text: &str) -> Reader {
    let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
    Reader::from_read(Box::new(bytes), Path::new("test.edn"), Some(Format::Edn)).unwrap()
}

pub fn rounds(lean: u32) -> u32 {
    match std::env::var("KEYQUAKE_SLOW") {
        Ok(slow) if slow == "1" => 1_000_000,
        _ => lean,
    }
}

pub fn order(level: Level) -> Order {
    match level {
        Level::StrongSessionReadUncommitted
        | Level::StrongSessionReadCommitted
        | Level::StrongSessionSnapshotIsolation
        | Level::StrongSessionSerializable => Order::Process,
        Level::StrongReadUncommitted
        | Level::StrongReadCommitted
        | Level::StrongSnapshotIsolation
        | Level::StrictSerializable => Order::RealTime,
        _ => Order::None,
    }
}

pub fn edges(level: Level) -> Option<Edges> {
    match level {
        Level::ReadUncommitted
        | Level::StrongSessionReadUncommitted
        | Level::StrongReadUncommitted => Some(Edges::Ww),
        Level::ReadCommitted | Level::StrongSessionReadCommitted | Level::StrongReadCommitted => {
            Some(Edges::WwWr)
        }
        Level::RepeatableRead => Some(Edges::All),
        _ => None,
    }
}

fn truth(all: &[Transaction], model: Model, level: Level) -> bool {
    let order = order(level);
    if let Some(edges) = edges(level) {
        let definition = Definition {
            all,
            model,
            edges,
            order,
        };
        return definition.holds();
    }
    let grows = false;
    let orders = Orders {
        all,
        model,
        order,
        grows,
    };
    orders.satisfy(level)
}

/// Reads that read-uncommitted permits and that say nothing of the order of versions: of what
/// failed, and of lists of which neither begins with the other.
fn is_dirty(all: &[Transaction]) -> bool {
    let reads = || {
        let ok = all.iter().filter(|transaction| transaction.is_ok());
        ok.flat_map(|transaction| &transaction.steps)
            .filter(|step| step.write.is_none())
    };
    let failed = |key: usize, value: u64| {
        let mut failed = all.iter().filter(|t| t.kind == Kind::Fail);
        failed.any(|t| t.writes(key).any(|w| w == value))
    };
    let of_failed = reads().any(|step| step.read.iter().any(|&value| failed(step.key, value)));
    let apart = reads().any(|a| {
        let mut same_key = reads().filter(|b| a.key == b.key);
        same_key.any(|b| !a.read.starts_with(&b.read) && !b.read.starts_with(&a.read))
    });
    let turned = all.iter().any(|t| {
        reads().any(|step| {
            let place = |value| step.read.iter().position(|&seen| seen == value);
            let places: Vec<usize> = t.writes(step.key).filter_map(place).collect();
            !places.is_sorted()
        })
    });
    of_failed || apart || turned
}

fn compare(model: Model, level: Level, seed: u64, rounds: u32) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let checked = match model {
        Model::List => Checked::ListAppend,
        Model::Register => Checked::RwRegister,
    };
    let (mut valid, mut undecided, mut done) = (0, 0, 0);
    while done < rounds {
        let all = draw(&mut rng, Writes::Any);
        if edges(level) == Some(Edges::Ww) && is_dirty(&all) {
            continue;
        }
        let expected = truth(&all, model, level);
        // Where little is forbidden, most is good: of that, a part is enough.
        if expected && edges(level).is_some() && rng.random_range(0..4) > 0 {
            continue;
        }
        done += 1;
        valid += u32::from(expected);
        let text = edn(&all, model);
        let report = check_from(reader(&text), checked, level).unwrap();
        match &report.outcome.decision {
            // Of registers, the weak levels find only what can be inferred.
            Decision::Valid => assert!(
                expected
                    || (model == Model::Register
                        && edges(level) < Some(Edges::All)
                        && edges(level).is_some()),
                "{checked} at {level}, round {done}: passed\n{text}"
            ),
            Decision::Violated { findings } => assert!(
                !expected,
                "{checked} at {level}, round {done}: {findings:#?}\n{text}"
            ),
            Decision::Undecided { .. } => undecided += 1,
        }
        certified(&report, &text);
    }
    let what = format!("{checked} by definition, {level}");
    counted(&what, valid, undecided, rounds);
}

/// Verifies the certificate, if there is one.
pub fn certified(report: &Report, text: &str) {
    if let Some(certificate) = &report.certificate
        && let Err(error) = verify(certificate, reader(text))
    {
        panic!("{error}\n{}\n{text}", certificate.text());
    }
}

/// Tells what was met, and that both verdicts were frequent and most were decided.
pub fn counted(what: &str, valid: u32, undecided: u32, rounds: u32) {
    println!("{what}: {valid} of {rounds} valid, {undecided} undecided");
    assert!(undecided <= rounds / 50, "{undecided} of {rounds}");
    let fewest = rounds / 20;
    assert!(
        valid > fewest && valid < rounds - fewest,
        "{what}: {valid} of {rounds}"
    );
}

#[test]
fn lists_at_every_level() {
    for (seed, level) in (100..).zip(Level::all()) {
        compare(Model::List, level, seed, rounds(1_500));
    }
}

#[test]
fn registers_at_every_level() {
    for (seed, level) in (200..).zip(Level::all()) {
        compare(Model::Register, level, seed, rounds(1_500));
    }
}
