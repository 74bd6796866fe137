//! LIN, SSER and ERR.

use elle_rs::history::Kind;

use crate::build::{
    History, append, assert_inconclusive, assert_valid, assert_violated, list, on, read, write,
};

#[test]
fn lin_holds() {
    let mut history = History::new();
    history
        .ok(write(1, 10))
        .ok(read(1, Some(10)))
        .ok(read(2, None));
    let judgement = history.judged();
    assert_valid(&judgement, "LIN");
    assert!(
        on(&judgement, "LIN")
            .reason
            .contains("3 operations on 2 keys, 0 of them pending")
    );
    assert!(
        judgement.invariant("SSER").is_none(),
        "no transaction, no SSER"
    );
}

#[test]
fn lin_is_broken_by_a_stale_read() {
    let mut history = History::new();
    history
        .ok(write(1, 10))
        .ok(write(1, 11))
        .ok(read(1, Some(10)));
    let judgement = history.judged();
    assert_violated(&judgement, "LIN", &["stale-read"]);
    let finding = &on(&judgement, "LIN").findings[0];
    assert_eq!((finding.key, &finding.ops[..]), (Some(1), &[1, 3, 5][..]));
    assert_eq!(
        finding.explanation,
        "read of 10 by process 3 on n1 began at 0.006000 s, after write of 11 by process 2 on n3 had \
         completed at 0.005000 s; but that one had begun at 0.004000 s, after write of 10 by process \
         1 on n2 had completed at 0.003000 s, so 10 had been replaced by then"
    );
}

#[test]
fn lin_without_an_acknowledged_operation() {
    let mut history = History::new();
    history.run(write(1, 10), Kind::Info);
    assert_inconclusive(
        &history.judged(),
        "LIN",
        "no register operation was acknowledged",
    );
}

#[test]
fn sser_holds() {
    let mut history = History::new();
    history
        .ok(append(1, 10))
        .ok(append(1, 11))
        .ok(list(1, &[10, 11]));
    let judgement = history.judged();
    assert_valid(&judgement, "SSER");
    assert!(judgement.invariant("LIN").is_none(), "no register, no LIN");
}

#[test]
fn sser_is_broken_by_an_append_applied_twice() {
    let mut history = History::new();
    history.ok(append(1, 10)).ok(list(1, &[10, 10]));
    assert_violated(&history.judged(), "SSER", &["duplicate-elements"]);
}

#[test]
fn sser_is_broken_by_a_stale_list() {
    let mut history = History::new();
    history
        .ok(append(1, 10))
        .ok(append(1, 11))
        .ok(list(1, &[10, 11]))
        .ok(list(1, &[10]));
    assert_violated(&history.judged(), "SSER", &["G-single-realtime"]);
}

#[test]
fn sser_without_an_acknowledged_transaction() {
    let mut history = History::new();
    history.run(append(1, 10), Kind::Info);
    assert_inconclusive(&history.judged(), "SSER", "no transaction was acknowledged");
}

#[test]
fn err_holds() {
    let mut history = History::new();
    history
        .run(write(1, 10), Kind::Fail)
        .run(append(1, 10), Kind::Fail);
    history.ok(read(1, None)).ok(list(1, &[]));
    let judgement = history.judged();
    assert_valid(&judgement, "ERR");
    assert!(
        on(&judgement, "ERR")
            .reason
            .starts_with("none of 2 operations")
    );
}

#[test]
fn err_is_broken_by_failed_operations_that_are_seen() {
    let mut history = History::new();
    history.run(write(1, 10), Kind::Fail).ok(read(1, Some(10)));
    history
        .run(append(1, 10), Kind::Fail)
        .ok(list(1, &[10]))
        .ok(list(1, &[10]));
    let judgement = history.judged();
    assert_violated(&judgement, "ERR", &["dirty-read", "G1a"]);
    assert_violated(&judgement, "LIN", &["dirty-read"]);
    assert_violated(&judgement, "SSER", &["G1a"]);
    assert!(
        on(&judgement, "ERR").findings[0]
            .explanation
            .contains("(unavailable: no leader)")
    );
}

#[test]
fn err_without_a_failed_operation_is_left_out() {
    let mut history = History::new();
    history.ok(write(1, 10));
    assert!(history.judged().invariant("ERR").is_none());
}
