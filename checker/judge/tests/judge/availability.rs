//! AVAIL. The recovery bound of these tests is 100 ms.

use elle_rs::history::FaultStep::{Armed, Effective, HealFailed, Healed};
use elle_rs::history::Kind;

use crate::build::{
    History, append, assert_inconclusive, assert_valid, assert_violated, on, read, write,
};

fn with_fault() -> History {
    let mut history = History::new();
    history.ok(write(1, 10)).fault(0, Armed).fault(0, Effective);
    history
        .run(write(1, 11), Kind::Info)
        .wait(1_000)
        .run(write(1, 12), Kind::Info);
    history.fault(0, Healed);
    history
}

#[test]
fn holds_when_operations_succeed_again() {
    let mut history = with_fault();
    history
        .run(write(1, 13), Kind::Fail)
        .wait(50)
        .ok(read(1, Some(10)));
    let judgement = history.judged();
    assert_valid(&judgement, "AVAIL");
    let reason = &on(&judgement, "AVAIL").reason;
    assert!(
        reason.starts_with("at 2 moments") && reason.contains("within 0.054000 s"),
        "{reason}"
    );
}

#[test]
fn is_broken_when_nothing_succeeds_after_healing() {
    let mut history = with_fault();
    for value in 20..30 {
        history.run(write(1, value), Kind::Info).wait(20);
    }
    history.ok(read(1, Some(10)));
    let judgement = history.judged();
    assert_violated(&judgement, "AVAIL", &["unavailable"]);
    let explanation = &on(&judgement, "AVAIL").findings[0].explanation;
    assert!(
        explanation.starts_with("after fault 0 (kill) was healed at")
            && explanation.contains("no register operation"),
        "{explanation}"
    );
}

#[test]
fn is_broken_when_the_run_begins_with_an_outage() {
    let mut history = History::new();
    for value in 20..30 {
        history.run(append(1, value), Kind::Fail).wait(20);
    }
    assert_violated(&history.judged(), "AVAIL", &["unavailable"]);
}

#[test]
fn each_workload_has_to_recover() {
    let mut history = with_fault();
    for value in 20..30 {
        history
            .ok(write(1, value))
            .run(append(1, value), Kind::Info)
            .wait(20);
    }
    let judgement = history.judged();
    assert_violated(&judgement, "AVAIL", &["unavailable"]);
    assert!(
        on(&judgement, "AVAIL").findings[0]
            .explanation
            .contains("no append operation")
    );
}

#[test]
fn an_outage_under_a_fault_is_no_finding() {
    // Fault 1 begins before the bound is over, and is never undone.
    let mut history = with_fault();
    history.wait(20).fault(1, Armed).wait(500);
    for value in 20..30 {
        history.run(write(1, value), Kind::Info).wait(20);
    }
    history
        .fault(1, HealFailed)
        .wait(1_000)
        .run(write(1, 40), Kind::Info);
    assert_valid(&history.judged(), "AVAIL");
    // One of two overlapping faults healed is no calm.
    let mut history = History::new();
    history
        .ok(write(1, 10))
        .fault(0, Armed)
        .fault(1, Armed)
        .fault(0, Healed);
    for value in 20..30 {
        history.run(write(1, value), Kind::Info).wait(20);
    }
    history.fault(1, Healed).ok(write(1, 50));
    assert_valid(&history.judged(), "AVAIL");
}

#[test]
fn without_time_to_tell() {
    let mut history = History::new();
    history.run(write(1, 10), Kind::Info);
    assert_inconclusive(&history.judged(), "AVAIL", "lasted long enough");
}

#[test]
fn nothing_is_asked_during_an_outage_by_design() {
    let mut history = History::new();
    history.ok(write(1, 10)).outage(true).wait(20);
    for value in 20..30 {
        history.run(write(1, value), Kind::Info).wait(20);
    }
    history.outage(false).ok(write(1, 50));
    let judgement = history.judged();
    assert_valid(&judgement, "AVAIL");
    let reason = &on(&judgement, "AVAIL").reason;
    assert!(
        reason.contains("during 1 outage by design") && reason.contains("2 of 3 members"),
        "{reason}"
    );
    // After it, the bound counts again.
    history.outage(true).outage(false);
    for value in 60..70 {
        history.run(write(1, value), Kind::Info).wait(20);
    }
    assert_violated(&history.judged(), "AVAIL", &["unavailable"]);
}
