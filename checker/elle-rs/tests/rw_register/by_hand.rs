//! Small histories of registers, each with one thing wrong: it must be found by its name.

use std::path::PathBuf;

use elle_rs::history::stream::{Format, Reader};
use elle_rs::levels::Level;
use elle_rs::transactions::{Model, Report, check_from};
use elle_rs::txn::Decision;

/// Checks events given as `process kind value`, one a line.
fn check(events: &str, function: &str, model: Model, level: Level) -> Report {
    let lines = events
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let lines = lines.map(|line| {
        let mut words = line.splitn(3, ' ');
        let (process, kind) = (words.next().unwrap(), words.next().unwrap());
        let value = words.next().unwrap();
        format!("{{:process {process}, :type :{kind}, :f :{function}, :value {value}}}\n")
    });
    let text: String = lines.collect();
    let bytes = std::io::Cursor::new(text.into_bytes());
    let format = Some(Format::Edn);
    let reader = Reader::from_read(bytes, &PathBuf::from("by-hand.edn"), format).unwrap();
    check_from(reader, model, level).unwrap()
}

fn anomalies(report: &Report) -> Vec<&str> {
    match &report.outcome.decision {
        Decision::Valid => vec!["valid"],
        Decision::Violated { findings } => findings.iter().map(|f| f.anomaly.as_str()).collect(),
        Decision::Undecided { .. } => vec!["undecided"],
    }
}

#[test]
fn each_anomaly_by_its_name() {
    use Level::{ReadCommitted, Serializable, SnapshotIsolation, StrictSerializable};
    let strong_session = Level::StrongSessionSnapshotIsolation;
    for (wanted, level, events) in [
        (
            "valid",
            StrictSerializable,
            "0 invoke [[:w 1 1]]\n0 ok [[:w 1 1]]\n1 invoke [[:r 1 nil]]\n1 ok [[:r 1 1]]",
        ),
        (
            "thin-air",
            ReadCommitted,
            "0 invoke [[:r 1 nil]]\n0 ok [[:r 1 7]]",
        ),
        (
            "G1a",
            ReadCommitted,
            "0 invoke [[:w 1 1]]\n0 fail [[:w 1 1]]\n1 invoke [[:r 1 nil]]\n1 ok [[:r 1 1]]",
        ),
        (
            "G1b",
            ReadCommitted,
            "0 invoke [[:w 1 1] [:w 1 2]]\n0 ok [[:w 1 1] [:w 1 2]]\n1 invoke [[:r 1 nil]]\n1 ok [[:r 1 1]]",
        ),
        (
            "internal",
            SnapshotIsolation,
            "0 invoke [[:w 1 1] [:r 1 nil]]\n0 ok [[:w 1 1] [:r 1 2]]",
        ),
        (
            "future-read",
            ReadCommitted,
            "0 invoke [[:r 1 nil] [:w 1 1]]\n0 ok [[:r 1 1] [:w 1 1]]",
        ),
        (
            "G1c",
            ReadCommitted,
            "0 invoke [[:w 1 1] [:r 2 nil]]\n1 invoke [[:w 2 2] [:r 1 nil]]\n0 ok [[:w 1 1] [:r 2 2]]\n1 ok [[:w 2 2] [:r 1 1]]",
        ),
        (
            "G-single",
            SnapshotIsolation,
            "0 invoke [[:w 1 1] [:w 2 2]]\n1 invoke [[:r 1 nil] [:r 2 nil]]\n0 ok [[:w 1 1] [:w 2 2]]\n1 ok [[:r 1 1] [:r 2 nil]]",
        ),
        (
            "lost-update",
            SnapshotIsolation,
            "0 invoke [[:r 1 nil] [:w 1 1]]\n1 invoke [[:r 1 nil] [:w 1 2]]\n0 ok [[:r 1 nil] [:w 1 1]]\n1 ok [[:r 1 nil] [:w 1 2]]",
        ),
        (
            "G2-item",
            Serializable,
            "0 invoke [[:r 1 nil] [:w 2 1]]\n1 invoke [[:r 2 nil] [:w 1 2]]\n0 ok [[:r 1 nil] [:w 2 1]]\n1 ok [[:r 2 nil] [:w 1 2]]",
        ),
        (
            "G-single-realtime",
            StrictSerializable,
            "0 invoke [[:w 1 1]]\n0 ok [[:w 1 1]]\n1 invoke [[:w 1 2]]\n1 ok [[:w 1 2]]\n2 invoke [[:r 1 nil]]\n2 ok [[:r 1 1]]",
        ),
        (
            "G-single-process",
            strong_session,
            "0 invoke [[:w 1 1]]\n0 ok [[:w 1 1]]\n0 invoke [[:r 1 nil]]\n0 ok [[:r 1 nil]]",
        ),
    ] {
        let report = check(events, "txn", Model::RwRegister, level);
        assert!(
            anomalies(&report).contains(&wanted),
            "{wanted}: {report:#?}"
        );
    }
}

#[test]
fn write_skew_is_snapshot_isolation_and_rules_out_what_it_does() {
    let events = "0 invoke [[:r 1 nil] [:w 2 1]]\n1 invoke [[:r 2 nil] [:w 1 2]]
        0 ok [[:r 1 nil] [:w 2 1]]\n1 ok [[:r 2 nil] [:w 1 2]]";
    let report = check(
        events,
        "txn",
        Model::RwRegister,
        Level::StrongSnapshotIsolation,
    );
    assert_eq!(anomalies(&report), ["valid"]);
    let report = check(events, "txn", Model::RwRegister, Level::StrictSerializable);
    assert_eq!(report.outcome.ruled.not, ["repeatable-read"]);
}

#[test]
fn a_blind_write_is_no_update() {
    let events = "0 invoke [[:w 1 1]]\n0 ok [[:w 1 1]]";
    let report = check(events, "txn", Model::Rmw, Level::Serializable);
    assert_eq!(anomalies(&report), ["undecided"]);
}

#[test]
fn what_was_read_again_and_is_of_a_failed_writer_is_no_pass() {
    let failed = "0 invoke [[:w 1 1]]\n0 fail [[:w 1 1]]\n2 invoke [[:w 1 2]]\n2 ok [[:w 1 2]]\n";
    let read = "1 invoke [[:r 1 nil] [:r 1 nil]]\n1 ok [[:r 1 2] [:r 1 1]]";
    let events = format!("{failed}{read}");
    let at = |level| check(&events, "txn", Model::RwRegister, level);
    assert_eq!(anomalies(&at(Level::ReadCommitted)), ["undecided"]);
    assert_eq!(anomalies(&at(Level::ReadUncommitted)), ["valid"]);
    assert!(anomalies(&at(Level::SnapshotIsolation)).contains(&"internal"));
}

#[test]
fn two_readers_that_disagree_are_a_long_fork() {
    let writes = "0 invoke [[:w 1 1]]\n1 invoke [[:w 2 1]]\n0 ok [[:w 1 1]]\n1 ok [[:w 2 1]]\n";
    let reads = "2 invoke [[:r 1 nil] [:r 2 nil]]\n3 invoke [[:r 2 nil] [:r 1 nil]]\n";
    let forked = "2 ok [[:r 1 1] [:r 2 nil]]\n3 ok [[:r 2 1] [:r 1 nil]]";
    let agreed = "2 ok [[:r 1 1] [:r 2 nil]]\n3 ok [[:r 2 1] [:r 1 1]]";
    let level = Level::SnapshotIsolation;
    let report = check(
        &format!("{writes}{reads}{forked}"),
        "txn",
        Model::LongFork,
        level,
    );
    assert_eq!(anomalies(&report)[..2], ["long-fork", "G-nonadjacent"]);
    let report = check(
        &format!("{writes}{reads}{agreed}"),
        "txn",
        Model::LongFork,
        level,
    );
    assert_eq!(anomalies(&report), ["valid"]);
    // A value that nobody wrote is no write to be seen before another one.
    let unwritten = "1 invoke [[:w 2 1]]\n1 ok [[:w 2 1]]\n";
    let report = check(
        &format!("{unwritten}{reads}{forked}"),
        "txn",
        Model::LongFork,
        level,
    );
    assert!(!anomalies(&report).contains(&"long-fork"));
    assert_ne!(anomalies(&report), ["valid"]);
}

#[test]
fn a_counter_that_was_seen_to_shrink() {
    let writes = "0 invoke [[:w 1 1]]\n0 ok [[:w 1 1]]\n0 invoke [[:w 1 2]]\n0 ok [[:w 1 2]]\n";
    let reads = "1 invoke [[:r 1 nil]]\n1 ok [[:r 1 2]]\n1 invoke [[:r 1 nil]]\n1 ok [[:r 1 1]]";
    let level = Level::StrongSessionSerializable;
    let report = check(&format!("{writes}{reads}"), "txn", Model::Monotonic, level);
    assert_eq!(anomalies(&report), ["G-single-process"]);
    let report = check(
        &format!("{writes}{reads}"),
        "txn",
        Model::Monotonic,
        Level::Serializable,
    );
    assert_eq!(anomalies(&report), ["valid"]);
}

#[test]
fn money_in_a_bank_stays() {
    let level = Level::SnapshotIsolation;
    let good = "0 invoke nil\n0 ok {0 10, 1 10}\n1 invoke nil\n1 ok {0 5, 1 15}";
    assert_eq!(
        anomalies(&check(good, "read", Model::Bank, level)),
        ["valid"]
    );
    let bad = "0 invoke nil\n0 ok {0 10, 1 10}\n1 invoke nil\n1 ok {0 5, 1 10}";
    assert_eq!(
        anomalies(&check(bad, "read", Model::Bank, level)),
        ["wrong-total"]
    );
    let negative = "0 invoke nil\n0 ok {0 10, 1 10}\n1 invoke nil\n1 ok {0 -5, 1 25}";
    assert_eq!(
        anomalies(&check(negative, "read", Model::Bank, level)),
        ["negative-balance"]
    );
    assert_eq!(
        anomalies(&check("0 invoke nil", "read", Model::Bank, level)),
        ["undecided"]
    );
}

#[test]
fn nothing_acknowledged_is_no_pass() {
    let report = check(
        "0 invoke [[:w 1 1]]",
        "txn",
        Model::RwRegister,
        Level::ReadCommitted,
    );
    assert_eq!(anomalies(&report), ["undecided"]);
}
