//! Every verdict with a certificate: it must be verified, and a changed one must be refused.

mod anomalies;
mod lists;
mod pictures;
mod shortest;
mod threads;

use std::path::PathBuf;

use elle_rs::certificate::Certificate;
use elle_rs::history::stream::{Format, Reader};
use elle_rs::levels::Level;
use elle_rs::transactions::{Model, check_from};
use elle_rs::txn::Decision;
use elle_rs::verify::verify;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "only a part is needed here")]
mod common;
#[path = "../list_append/store.rs"]
mod list_store;
#[path = "../rw_register/store.rs"]
#[expect(dead_code, reason = "only a part is needed here")]
mod store;

use store::{Guarantee, Transaction, simulate};

/// The transactions as Jepsen writes them.
fn edn(transactions: &[Transaction]) -> String {
    use elle_rs::history::Kind;
    let mut moments = Vec::new();
    for (at, transaction) in transactions.iter().enumerate() {
        moments.push((transaction.start, at, Kind::Invoke));
        moments.push((transaction.finish, at, transaction.kind));
    }
    moments.sort_by_key(|&(moment, _, kind)| (moment, kind != Kind::Invoke));
    let mut text = String::new();
    for (_, at, kind) in moments {
        let steps = transactions[at].steps.iter().map(|step| {
            let key = step.key;
            match (step.write, step.read) {
                (Some(value), _) => format!("[:w {key} {value}]"),
                (None, Some(value)) if kind == Kind::Ok => format!("[:r {key} {value}]"),
                _ => format!("[:r {key} nil]"),
            }
        });
        let steps: Vec<String> = steps.collect();
        let kind = match kind {
            Kind::Invoke => "invoke",
            Kind::Ok => "ok",
            Kind::Fail => "fail",
            Kind::Info => "info",
        };
        text += &format!(
            "{{:type :{kind}, :process {at}, :f :txn, :value [{}]}}\n",
            steps.join(" ")
        );
    }
    text
}

fn reader(text: &str) -> Reader {
    let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
    Reader::from_read(
        Box::new(bytes),
        &PathBuf::from("test.edn"),
        Some(Format::Edn),
    )
    .unwrap()
}

/// Checks, verifies, and says whether there was a certificate.
fn verified(text: &str, model: Model, level: Level) -> Option<Certificate> {
    let report = check_from(reader(text), model, level).unwrap();
    let valid = report.outcome.decision == Decision::Valid;
    let Some(certificate) = report.certificate else {
        let reason = report.uncertified.unwrap();
        let decided = !matches!(report.outcome.decision, Decision::Undecided { .. });
        // A verdict without a certificate says why.
        assert_eq!(
            reason == "nothing was decided",
            !decided,
            "{reason}\n{text}"
        );
        return None;
    };
    assert_eq!(certificate.verdict == "valid", valid);
    let parsed = Certificate::parse(certificate.text().as_bytes(), "c".as_ref()).unwrap();
    assert_eq!(parsed, certificate);
    if let Err(error) = verify(&certificate, reader(text)) {
        panic!(
            "{model} at {level}: {error}\n{}\n{text}",
            certificate.text()
        );
    }
    Some(certificate)
}

#[test]
fn of_registers() {
    use Guarantee::{Careless, Serial, Snapshot, Strict};
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut valid, mut violated) = (0, 0);
    for _ in 0..500 {
        let guarantee = [Strict, Serial, Snapshot, Careless][rng.random_range(0..4)];
        let count = rng.random_range(2..30);
        let text = edn(&simulate(&mut rng, guarantee, count, false, 10));
        for level in Level::all() {
            match verified(&text, Model::RwRegister, level) {
                Some(certificate) if certificate.verdict == "valid" => valid += 1,
                Some(_) => violated += 1,
                None => {}
            }
        }
    }
    println!("{valid} valid, {violated} violated");
    assert!(valid > 500 && violated > 200);
}

/// The histories of the corpus that have a cycle or an order.
#[test]
fn of_the_corpus() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/list-append");
    let mut certified = 0;
    for part in ["good", "bad"] {
        for entry in std::fs::read_dir(corpus.join(part)).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for level in Level::all() {
                certified += u32::from(verified(&text, Model::ListAppend, level).is_some());
            }
        }
    }
    assert!(certified > 100, "{certified}");
}

#[test]
fn a_changed_order_is_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut refused = 0;
    for _ in 0..200 {
        let text = edn(&simulate(&mut rng, Guarantee::Strict, 20, false, 0));
        let level = Level::StrictSerializable;
        let Some(certificate) = verified(&text, Model::RwRegister, level) else {
            continue;
        };
        let order = certificate.order.clone().unwrap();
        let mut without = certificate.clone();
        without.order = Some(order[1..].to_vec());
        assert!(verify(&without, reader(&text)).is_err());
        let mut reversed = certificate.clone();
        reversed.order = Some(order.iter().rev().copied().collect());
        refused += u32::from(verify(&reversed, reader(&text)).is_err());
        let other = text.replacen(
            "{:type",
            "{:type :invoke, :process :nemesis, :f :kill}\n{:type",
            1,
        );
        assert!(verify(&certificate, reader(&other)).is_err());
    }
    assert!(refused > 150, "{refused}");
}

#[test]
fn a_changed_cycle_is_refused() {
    let text = "{:type :invoke, :process 0, :f :txn, :value [[:append 1 1] [:r 2 nil]]}\n\
                {:type :invoke, :process 1, :f :txn, :value [[:append 2 2] [:r 1 nil]]}\n\
                {:type :ok, :process 0, :f :txn, :value [[:append 1 1] [:r 2 [2]]]}\n\
                {:type :ok, :process 1, :f :txn, :value [[:append 2 2] [:r 1 [1]]]}\n";
    let certificate = verified(text, Model::ListAppend, Level::ReadCommitted).unwrap();
    assert_eq!(certificate.anomaly.as_deref(), Some("G1c"));
    for change in 0..4 {
        let mut changed = certificate.clone();
        let cycle = changed.cycle.as_mut().unwrap();
        match change {
            0 => cycle[0].value = Some(7),
            1 => cycle[0].key = Some(3),
            2 => cycle.truncate(1),
            _ => changed.level = Some("read-uncommitted".to_owned()),
        }
        assert!(verify(&changed, reader(text)).is_err(), "{change}");
    }
}
