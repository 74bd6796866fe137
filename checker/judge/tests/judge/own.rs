//! SELF-HISTORY and SELF-NONEMPTY.

use elle_rs::history::FaultStep::{Armed, Effective, Healed, Ineffective};
use elle_rs::history::file::TornTail;
use elle_rs::history::{Event, Kind, Phase};
use keyquake_judge::{Expectations, Verdict, judge};

use crate::build::{
    History, append, assert_inconclusive, assert_valid, assert_violated, list, modest, on, read,
    write,
};

#[test]
fn history_holds() {
    let mut history = History::new();
    history
        .ok(write(1, 10))
        .run(write(1, 11), Kind::Info)
        .phase(Phase::Final)
        .ok(read(1, Some(10)));
    assert_valid(&history.judged(), "SELF-HISTORY");
}

fn change(history: &mut History, at: usize, change: impl Fn(&mut elle_rs::history::Op)) {
    match &mut history.events[at] {
        Event::Op(op) => change(op),
        other => panic!("{other:?} is no operation"),
    }
}

#[test]
fn history_is_broken_in_each_way() {
    let build = || {
        let mut history = History::new();
        history
            .ok(write(1, 10))
            .run(write(1, 11), Kind::Info)
            .ok(read(1, Some(10)));
        history
    };
    let broken = |anomaly: &str, breaks: &dyn Fn(&mut History)| {
        let mut history = build();
        breaks(&mut history);
        let judgement = history.judged();
        assert_violated(&judgement, "SELF-HISTORY", &[anomaly]);
    };
    broken("index-order", &|h| change(h, 2, |op| op.index = 1));
    broken("time-order", &|h| change(h, 2, |op| op.time_ns = 5));
    broken("process-after-info", &|h| {
        change(h, 5, |op| op.process = 2);
        change(h, 6, |op| op.process = 2);
    });
    broken("unmatched-completion", &|h| drop(h.events.remove(1)));
    broken("two-open", &|h| {
        h.events.remove(2);
        change(h, 2, |op| op.process = 1);
        change(h, 3, |op| op.process = 1);
    });
    broken("malformed", &|h| {
        change(h, 2, |op| op.action = write(1, 99))
    });
    broken("phase-order", &|h| {
        h.phase(Phase::Main);
    });
}

#[test]
fn what_cannot_be_paired_says_so_everywhere() {
    let mut history = History::new();
    history
        .ok(write(1, 10))
        .ok(append(1, 10))
        .run(append(1, 11), Kind::Fail)
        .phase(Phase::Final);
    history.events.remove(1);
    let judgement = history.judged();
    for id in ["LIN", "SSER", "DUR", "ERR"] {
        assert_inconclusive(&judgement, id, "malformed (see SELF-HISTORY)");
    }
}

#[test]
fn a_history_without_its_end_is_never_valid_and_can_be_violated() {
    let mut history = History::new();
    history.ok(write(1, 10)).ok(write(1, 11));
    assert_inconclusive(&history.judged_as_is(), "SELF-HISTORY", "cut short");
    let torn = TornTail {
        offset: 4_000,
        bytes: 17,
    };
    let judgement = judge(&history.events, Some(&torn), &modest());
    assert_inconclusive(
        &judgement,
        "SELF-HISTORY",
        "17 bytes from byte 4000 on were cut",
    );
    assert_eq!(judgement.stats.torn, Some(torn));
    history.ok(read(1, Some(10)));
    assert_violated(&history.judged_as_is(), "LIN", &["stale-read"]);
    let empty = judge(&[], None, &modest());
    assert_eq!(empty.verdict, Verdict::Inconclusive);
    assert_inconclusive(&empty, "SELF-NONEMPTY", "no operation");
}

#[test]
fn nonempty_holds() {
    let mut history = History::new();
    let write = history.begin(write(1, 10));
    history.ok(read(1, Some(10))).end(&write, Kind::Ok);
    history.fault(0, Armed).fault(0, Effective).fault(0, Healed);
    history.phase(Phase::End);
    let expectations = Expectations {
        min_contended_per_workload: 1,
        planned_faults: Some(1),
        ..modest()
    };
    let judgement = judge(&history.events, None, &expectations);
    assert_valid(&judgement, "SELF-NONEMPTY");
    assert!(
        on(&judgement, "SELF-NONEMPTY")
            .reason
            .contains("1 faults took effect")
    );
}

#[test]
fn nonempty_says_what_is_lacking() {
    let mut history = History::new();
    history
        .ok(write(1, 10))
        .ok(append(1, 10))
        .ok(list(1, &[10]));
    history
        .fault(0, Armed)
        .fault(0, Ineffective)
        .fault(0, Healed)
        .fault(1, Armed)
        .fault(1, Effective)
        .fault(2, Armed)
        .fault(2, Effective)
        .fault(2, Ineffective)
        .fault(2, Healed);
    history.phase(Phase::End);
    let expectations = Expectations {
        min_contended_per_workload: 1,
        planned_faults: Some(4),
        ..modest()
    };
    let judgement = judge(&history.events, None, &expectations);
    for words in [
        "register: 1 operations succeeded, of at least 2",
        "register: 0 reads succeeded, of at least 1",
        "append: 0 operations met another on their key, of at least 1",
        "fault 0 (kill) was not seen to take effect",
        "fault 1 (kill) was not healed",
        "fault 2 (kill) lost its effect",
        "planned fault 3 never came",
    ] {
        assert_inconclusive(&judgement, "SELF-NONEMPTY", words);
    }
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert_eq!(judgement.stats.faults.effective, 1);
}
