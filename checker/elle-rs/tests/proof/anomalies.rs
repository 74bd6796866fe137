//! Each anomaly that is no cycle, by hand: it is certified, the certificate holds, and does not once
//! something in it is changed.

use elle_rs::certificate::Certificate;
use elle_rs::levels::Level;
use elle_rs::transactions::Model;
use elle_rs::verify::verify;

use crate::{reader, verified};

/// Transactions one after the other: how each ended, what it asked, what it was answered.
fn history(transactions: &[(&str, &str, &str)]) -> String {
    let line = |(at, (kind, asked, answered)): (usize, &(&str, &str, &str))| {
        let answered = if *kind == "ok" { answered } else { asked };
        format!(
            "{{:type :invoke, :process {at}, :f :txn, :value [{asked}]}}\n\
             {{:type :{kind}, :process {at}, :f :txn, :value [{answered}]}}\n"
        )
    };
    transactions.iter().enumerate().map(line).collect()
}

fn shown(text: &str, model: Model, level: Level, anomaly: &str) -> Certificate {
    let certificate = verified(text, model, level);
    let certificate = certificate.unwrap_or_else(|| panic!("{anomaly}: no certificate\n{text}"));
    assert_eq!(certificate.anomaly.as_deref(), Some(anomaly), "{text}");
    let shows = certificate.shows.clone().unwrap();
    let refused = |change: &dyn Fn(&mut Certificate), what: &str| {
        let mut changed = certificate.clone();
        change(&mut changed);
        let told = verify(&changed, reader(text));
        assert!(told.is_err(), "{anomaly} with another {what}: {told:?}");
    };
    refused(&|c| c.entries += 1, "length");
    refused(&|c| c.anomaly = Some("G9".to_owned()), "name");
    refused(&|c| c.verdict = "valid".to_owned(), "verdict");
    refused(&|c| c.shows.as_mut().unwrap().ops[0] = 999, "operation");
    refused(&|c| c.shows.as_mut().unwrap().ops.clear(), "count");
    if shows.key.is_some() {
        refused(&|c| c.shows.as_mut().unwrap().key = Some(77), "key");
    }
    for at in 0..shows.values.len() {
        refused(&|c| c.shows.as_mut().unwrap().values[at] = 77, "value");
    }
    certificate
}

#[test]
fn of_lists() {
    use Level::{ReadCommitted, ReadUncommitted, RepeatableRead, Serializable};
    let append = ("ok", "[:append 1 1]", "[:append 1 1]");
    for (anomaly, level, transactions) in [
        (
            "internal",
            Serializable,
            &[("ok", "[:append 1 1] [:r 1 nil]", "[:append 1 1] [:r 1 []]")][..],
        ),
        (
            "thin-air",
            ReadUncommitted,
            &[append, ("ok", "[:r 1 nil]", "[:r 1 [9]]")],
        ),
        (
            "G1a",
            ReadCommitted,
            &[
                ("fail", "[:append 1 1]", ""),
                ("ok", "[:r 1 nil]", "[:r 1 [1]]"),
            ],
        ),
        (
            "G1b",
            ReadCommitted,
            &[
                (
                    "ok",
                    "[:append 1 1] [:append 1 2]",
                    "[:append 1 1] [:append 1 2]",
                ),
                ("ok", "[:r 1 nil]", "[:r 1 [1]]"),
            ],
        ),
        (
            "duplicate-elements",
            ReadUncommitted,
            &[append, ("ok", "[:r 1 nil]", "[:r 1 [1 1]]")],
        ),
        (
            "incompatible-order",
            ReadCommitted,
            &[
                append,
                ("ok", "[:append 1 2]", "[:append 1 2]"),
                ("ok", "[:r 1 nil]", "[:r 1 [1 2]]"),
                ("ok", "[:r 1 nil]", "[:r 1 [2 1]]"),
            ],
        ),
        (
            "incompatible-order",
            ReadCommitted,
            &[
                (
                    "ok",
                    "[:append 1 1] [:append 1 2]",
                    "[:append 1 1] [:append 1 2]",
                ),
                ("ok", "[:r 1 nil]", "[:r 1 [2 1]]"),
            ],
        ),
        (
            "lost-append",
            ReadUncommitted,
            &[
                (
                    "ok",
                    "[:append 1 1] [:append 1 2]",
                    "[:append 1 1] [:append 1 2]",
                ),
                ("ok", "[:r 1 nil]", "[:r 1 [2]]"),
            ],
        ),
        (
            "future-read",
            ReadCommitted,
            &[("ok", "[:r 1 nil] [:append 1 1]", "[:r 1 [1]] [:append 1 1]")],
        ),
    ] {
        let certificate = shown(&history(transactions), Model::ListAppend, level, anomaly);
        println!("{}", certificate.text());
    }
    let update = ("ok", "[:r 1 nil] [:append 1 1]", "[:r 1 []] [:append 1 1]");
    let other = ("ok", "[:r 1 nil] [:append 1 2]", "[:r 1 []] [:append 1 2]");
    // A cycle is there as well, and is what is certified.
    let text = history(&[update, other]);
    let cycle = verified(&text, Model::ListAppend, RepeatableRead).unwrap();
    assert_eq!(cycle.anomaly.as_deref(), Some("G2-item"));
    for (anomaly, ops, values, level) in [
        ("lost-update", vec![0, 2], vec![], "snapshot-isolation"),
        ("lost-update", vec![0, 2], vec![], "repeatable-read"),
    ] {
        let mut certificate = cycle.clone();
        certificate.cycle = None;
        certificate.anomaly = Some(anomaly.to_owned());
        certificate.level = Some(level.to_owned());
        certificate.shows = Some(elle_rs::certificate::Shows {
            key: Some(1),
            ops,
            values,
        });
        verify(&certificate, reader(&text)).unwrap();
        certificate.level = Some("read-committed".to_owned());
        verify(&certificate, reader(&text)).unwrap_err();
    }
    let dirty = history(&[
        ("fail", "[:append 1 1]", ""),
        ("ok", "[:append 1 2]", "[:append 1 2]"),
        ("ok", "[:r 1 nil]", "[:r 1 [1 2]]"),
    ]);
    let mut certificate = verified(&dirty, Model::ListAppend, ReadCommitted).unwrap();
    assert_eq!(certificate.anomaly.as_deref(), Some("G1a"));
    certificate.anomaly = Some("dirty-update".to_owned());
    let shows = certificate.shows.as_mut().unwrap();
    (shows.ops, shows.values) = (vec![0, 2], vec![1, 2]);
    verify(&certificate, reader(&dirty)).unwrap();
    certificate.shows.as_mut().unwrap().values = vec![2, 1];
    verify(&certificate, reader(&dirty)).unwrap_err();
}

#[test]
fn of_registers() {
    use Level::{ReadCommitted, ReadUncommitted, Serializable};
    let write = ("ok", "[:w 1 1]", "[:w 1 1]");
    for (anomaly, level, transactions) in [
        (
            "internal",
            Serializable,
            &[("ok", "[:w 1 1] [:r 1 nil]", "[:w 1 1] [:r 1 nil]")][..],
        ),
        (
            "thin-air",
            ReadUncommitted,
            &[write, ("ok", "[:r 1 nil]", "[:r 1 9]")],
        ),
        (
            "G1a",
            ReadCommitted,
            &[("fail", "[:w 1 1]", ""), ("ok", "[:r 1 nil]", "[:r 1 1]")],
        ),
        (
            "G1b",
            ReadCommitted,
            &[
                ("ok", "[:w 1 1] [:w 1 2]", "[:w 1 1] [:w 1 2]"),
                ("ok", "[:r 1 nil]", "[:r 1 1]"),
            ],
        ),
        (
            "future-read",
            ReadCommitted,
            &[("ok", "[:r 1 nil] [:w 1 1]", "[:r 1 1] [:w 1 1]")],
        ),
    ] {
        shown(&history(transactions), Model::RwRegister, level, anomaly);
    }
}

/// Each overwrote what the other had written: there is no order of versions, at any level.
#[test]
fn of_versions_that_go_round() {
    let text = history(&[
        ("ok", "[:r 1 nil] [:w 1 1]", "[:r 1 2] [:w 1 1]"),
        ("ok", "[:r 1 nil] [:w 1 2]", "[:r 1 1] [:w 1 2]"),
    ]);
    let level = Level::ReadUncommitted;
    let mut claim = shown(&text, Model::RwRegister, level, "cyclic-versions");
    (claim.shows, claim.anomaly) = (None, None);
    "valid".clone_into(&mut claim.verdict);
    for order in [vec![0, 2], vec![2, 0]] {
        claim.order = Some(order);
        verify(&claim, reader(&text)).unwrap_err();
    }
}

/// What a level permits and an order can't explain has no certificate, and says so.
#[test]
fn a_verdict_without_a_certificate_says_why() {
    let text = history(&[
        ("ok", "[:w 1 1]", "[:w 1 1]"),
        ("ok", "[:r 1 nil] [:r 1 nil]", "[:r 1 nil] [:r 1 1]"),
    ]);
    let checked =
        |level| elle_rs::transactions::check_from(reader(&text), Model::RwRegister, level).unwrap();
    let report = checked(Level::ReadUncommitted);
    assert!(report.certificate.is_none());
    assert!(
        report
            .uncertified
            .unwrap()
            .contains("contradict each other")
    );
    assert_eq!(checked(Level::SnapshotIsolation).uncertified, None);
}

const BANK: &str = "
{:type :invoke, :process 0, :f :read, :value nil}
{:type :ok, :process 0, :f :read, :value {0 50, 1 50}}
{:type :invoke, :process 0, :f :read, :value nil}
{:type :ok, :process 0, :f :read, :value {0 40, 1 60}}
";

#[test]
fn of_a_bank() {
    let valid = verified(BANK, Model::Bank, Level::SnapshotIsolation).unwrap();
    assert_eq!((valid.verdict.as_str(), valid.total), ("valid", Some(100)));
    let mut wrong = valid.clone();
    wrong.total = Some(99);
    verify(&wrong, reader(BANK)).unwrap_err();
    verify(&valid, reader(&BANK.replace("60", "61"))).unwrap_err();
    for (from, to, anomaly) in [
        ("60", "61", "wrong-total"),
        ("60", "nil", "wrong-total"),
        ("40, 1 60", "-10, 1 110", "negative-balance"),
    ] {
        let text = BANK.replace(from, to);
        let certificate = shown(&text, Model::Bank, Level::RepeatableRead, anomaly);
        verify(&certificate, reader(BANK)).unwrap_err();
        // Below repeatable read the same history is fine.
        let permitted = verified(&text, Model::Bank, Level::ReadCommitted).unwrap();
        assert_eq!(permitted.verdict, "valid");
    }
}

#[test]
fn of_a_long_fork() {
    let text = "{:type :invoke, :process 0, :f :txn, :value [[:w 1 1]]}\n\
        {:type :invoke, :process 1, :f :txn, :value [[:w 2 1]]}\n\
        {:type :invoke, :process 2, :f :txn, :value [[:r 1 nil] [:r 2 nil]]}\n\
        {:type :invoke, :process 3, :f :txn, :value [[:r 1 nil] [:r 2 nil]]}\n\
        {:type :ok, :process 0, :f :txn, :value [[:w 1 1]]}\n\
        {:type :ok, :process 1, :f :txn, :value [[:w 2 1]]}\n\
        {:type :ok, :process 2, :f :txn, :value [[:r 1 1] [:r 2 nil]]}\n\
        {:type :ok, :process 3, :f :txn, :value [[:r 1 nil] [:r 2 1]]}\n";
    let cycle = verified(text, Model::LongFork, Level::SnapshotIsolation).unwrap();
    assert!(cycle.cycle.is_some(), "the fork is a cycle as well");
    let mut fork = cycle.clone();
    fork.cycle = None;
    fork.anomaly = Some("long-fork".to_owned());
    fork.shows = Some(elle_rs::certificate::Shows {
        key: None,
        ops: vec![2, 3],
        values: vec![1, 2],
    });
    verify(&fork, reader(text)).unwrap();
    fork.shows.as_mut().unwrap().values.reverse();
    verify(&fork, reader(text)).unwrap_err();
}
