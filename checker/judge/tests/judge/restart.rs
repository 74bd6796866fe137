//! ROL-RESTART.

use elle_rs::history::FaultStep::{Armed, Effective, HealFailed, Healed};
use keyquake_judge::{Expectations, judge};

use crate::build::{History, assert_valid, assert_violated, on, write};

#[test]
fn holds_when_killed_nodes_come_back() {
    let mut history = History::new();
    history
        .ok(write(1, 10))
        .fault(0, Armed)
        .fault(0, Effective)
        .fault(0, Healed);
    let judgement = history.judged();
    assert_valid(&judgement, "ROL-RESTART");
    let reason = &on(&judgement, "ROL-RESTART").reason;
    assert!(reason.contains("1 restart served"), "{reason}");
}

#[test]
fn is_broken_when_a_killed_node_does_not_come_back() {
    let mut history = History::new();
    history
        .ok(write(1, 10))
        .fault(0, Armed)
        .fault(0, Effective)
        .fault(0, HealFailed);
    assert_violated(&history.judged(), "ROL-RESTART", &["failed-restart"]);
}

#[test]
fn is_broken_when_a_node_does_not_survive_a_restart_or_a_crash_loop() {
    for name in ["restart", "crash-loop", "memory-limit"] {
        let mut history = History::new();
        history.ok(write(1, 10));
        for step in [Armed, Effective, HealFailed] {
            history.fault_of(name, 0, step);
        }
        let judgement = history.judged();
        assert_violated(&judgement, "ROL-RESTART", &["failed-restart"]);
        let explanation = &on(&judgement, "ROL-RESTART").findings[0].explanation;
        assert!(
            explanation.starts_with(&format!("after {name} (fault 0)")),
            "{explanation}"
        );
    }
}

#[test]
fn is_broken_when_a_node_ends_by_itself() {
    let mut history = History::new();
    history.ok(write(1, 10)).exit(1, "exited with code 1");
    let judgement = history.judged();
    assert_violated(&judgement, "ROL-RESTART", &["exit"]);
    let explanation = &on(&judgement, "ROL-RESTART").findings[0].explanation;
    assert!(
        explanation.starts_with("n2 exited with code 1 at"),
        "{explanation}"
    );
}

#[test]
fn says_nothing_of_a_history_without_events() {
    let judgement = judge(&[], None, &Expectations::default());
    assert!(judgement.invariant("ROL-RESTART").is_none());
}
