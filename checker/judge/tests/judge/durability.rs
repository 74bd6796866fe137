//! DUR.

use elle_rs::history::{Kind, Phase};

use crate::build::{
    History, append, assert_inconclusive, assert_valid, assert_violated, list, on, read, write,
};

#[test]
fn holds_when_everything_is_read_back() {
    let mut history = History::new();
    history
        .ok(append(1, 10))
        .ok(append(1, 11))
        .ok(write(1, 5))
        .run(append(1, 12), Kind::Info);
    history
        .phase(Phase::Final)
        .ok(list(1, &[10, 11]))
        .ok(read(1, Some(5)));
    let judgement = history.judged();
    assert_valid(&judgement, "DUR");
    assert_eq!(
        on(&judgement, "DUR").reason,
        "nothing is lost of 3 acknowledged writes and appends on 2 keys with a final read"
    );
}

#[test]
fn one_stale_replica_is_no_loss() {
    let mut history = History::new();
    history
        .ok(append(1, 10))
        .ok(append(1, 11))
        .ok(write(1, 4))
        .ok(write(1, 5))
        .phase(Phase::Final);
    history
        .ok(list(1, &[10]))
        .ok(list(1, &[10, 11]))
        .ok(read(1, Some(4)))
        .ok(read(1, Some(5)));
    assert_valid(&history.judged(), "DUR");
}

#[test]
fn is_broken_by_lost_appends() {
    let mut history = History::new();
    history
        .ok(append(1, 10))
        .ok(append(1, 11))
        .ok(append(1, 12));
    history
        .phase(Phase::Final)
        .ok(list(1, &[10]))
        .ok(list(1, &[10]));
    let judgement = history.judged();
    assert_violated(&judgement, "DUR", &["lost-append"]);
    let finding = &on(&judgement, "DUR").findings[0];
    assert_eq!(finding.ops, [3, 5]);
    assert!(
        finding.explanation.starts_with(
            "2 appends acknowledged to key 1 are in none of its 2 final reads: 11 by transaction \
             (append 11 to 1) by process 2 on n3, acknowledged at 0.005000 s; 12 by"
        ),
        "{}",
        finding.explanation
    );
}

#[test]
fn is_broken_by_lost_writes() {
    let mut history = History::new();
    history.ok(write(1, 10)).ok(write(1, 11)).ok(write(2, 20));
    history
        .phase(Phase::Final)
        .ok(read(1, Some(10)))
        .ok(read(2, None));
    assert_violated(&history.judged(), "DUR", &["lost-write", "lost-write"]);
}

#[test]
fn a_pending_write_may_have_come_last() {
    let mut history = History::new();
    history
        .run(write(1, 9), Kind::Info)
        .ok(write(1, 10))
        .phase(Phase::Final)
        .ok(read(1, Some(9)));
    assert_valid(&history.judged(), "DUR");
}

#[test]
fn concurrent_writes_may_end_either_way() {
    let mut history = History::new();
    let first = history.begin(write(1, 10));
    history
        .ok(write(1, 11))
        .end(&first, Kind::Ok)
        .phase(Phase::Final)
        .ok(read(1, Some(10)));
    assert_valid(&history.judged(), "DUR");
}

#[test]
fn without_a_final_read_or_phase() {
    let mut history = History::new();
    history.ok(append(1, 10)).ok(append(2, 20)).ok(write(3, 30));
    assert_inconclusive(&history.judged(), "DUR", "no final phase");

    let mut history = History::new();
    history
        .ok(append(1, 10))
        .ok(append(2, 20))
        .ok(write(3, 30))
        .phase(Phase::Final);
    history
        .ok(list(1, &[10]))
        .run(list(2, &[]), Kind::Info)
        .run(read(3, None), Kind::Fail);
    assert_inconclusive(
        &history.judged(),
        "DUR",
        "no final read came back for list 2, register 3",
    );
}

#[test]
fn without_anything_acknowledged() {
    let mut history = History::new();
    history
        .ok(read(1, None))
        .phase(Phase::Final)
        .ok(read(1, None));
    assert_inconclusive(&history.judged(), "DUR", "nothing was acknowledged");
}
