//! What clients met, set beside what an operator did at that moment.

use elle_rs::history::{Event, FaultStep, Kind};
use keyquake_judge::Verdict;

use crate::build::{History, append, assert_valid, assert_violated, list, modest, on, read, write};

const BARRIER: &str = "ROL-BARRIER";
const HALT: &str = "ROL-HALT";

/// Phase 2 is turned on; what happens meanwhile is between the two.
fn armed(history: &mut History) {
    history.fault_of("admin", 3, FaultStep::Armed);
}

fn answered(history: &mut History, observed: &str) {
    history.outcome(BARRIER, &["accepted"], observed);
    about(history, "enable-raft-envelope at n1", None);
    history.fault_of("admin", 3, FaultStep::Effective);
    history.fault_of("admin", 3, FaultStep::Healed);
}

fn about(history: &mut History, subject: &str, node: Option<u16>) {
    let Some(Event::Outcome(outcome)) = history.events.last_mut() else {
        panic!("an outcome was recorded");
    };
    outcome.subject = subject.to_owned();
    outcome.node = node;
}

/// A write that was acknowledged, and then read as if it had not been: `meanwhile` says whether it was
/// under way while phase 2 was turned on.
fn lost(meanwhile: bool, observed: &str) -> keyquake_judge::Judgement {
    let mut history = History::new();
    history.ok(write(1, 10));
    if !meanwhile {
        history.ok(write(1, 11));
    }
    armed(&mut history);
    if meanwhile {
        history.ok(write(1, 11));
    }
    answered(&mut history, observed);
    history.ok(read(1, Some(10)));
    history.judged()
}

#[test]
fn what_is_lost_at_the_barrier_is_named_so() {
    let judgement = lost(true, "accepted");
    assert_violated(&judgement, BARRIER, &["stale-read"]);
    let explanation = &on(&judgement, BARRIER).findings[0].explanation;
    assert!(explanation.starts_with("phase 2 was turned on between"));
    assert_eq!(on(&judgement, "LIN").verdict, Verdict::Violated);

    let before = lost(false, "accepted");
    assert_valid(&before, BARRIER);
    assert_eq!(on(&before, "LIN").verdict, Verdict::Violated);
}

#[test]
fn a_cutover_that_was_refused_had_no_barrier() {
    let refused = lost(true, "refused not-bootstrapped");
    let anomalies: Vec<_> = on(&refused, BARRIER).findings.iter().collect();
    assert_eq!(anomalies.len(), 1, "only the outcome itself: {anomalies:?}");
    assert_eq!(anomalies[0].anomaly, "unexpected-outcome");
}

/// Appends before the barrier, and after it with this end.
fn appends(after: Kind) -> keyquake_judge::Judgement {
    let mut history = History::new();
    history.ok(append(1, 10)).ok(list(1, &[10]));
    armed(&mut history);
    answered(&mut history, "accepted");
    for value in 20..30 {
        history.run(append(1, value), after).wait(20);
    }
    history.judged()
}

#[test]
fn a_barrier_that_never_ends_is_named_so() {
    let shut = appends(Kind::Info);
    assert_violated(&shut, BARRIER, &["unavailable"]);
    let open = appends(Kind::Ok);
    assert_valid(&open, BARRIER);
    assert_eq!(modest().recovery_bound_ns, 100_000_000);
}

/// A member halts, and a read that began after that sees what is long over; `node` answers it.
fn halted(node: u16, started_anew: bool) -> keyquake_judge::Judgement {
    let mut history = History::new();
    history.ok(write(1, 10));
    history.outcome(HALT, &["halts"], "halts ErrKEKNotConfigured");
    about(&mut history, "n3, because of it", Some(2));
    // What is said of its files is nothing that its process did.
    history.outcome(HALT, &["unchanged"], "unchanged");
    about(&mut history, "files of n3", Some(2));
    history.ok(write(1, 11));
    if started_anew {
        history.outcome("ROL-RECOVER", &["serves"], "serves");
        about(&mut history, "start of n3", Some(2));
    }
    // Nodes are asked in turn, by the number of the process.
    while history
        .events
        .iter()
        .filter(|e| matches!(e, Event::Op(op) if op.kind == Kind::Invoke))
        .count()
        % 3
        != usize::from(node + 2) % 3
    {
        history.ok(write(2, 100 + history.events.len() as u64));
    }
    history.ok(read(1, Some(10)));
    history.judged()
}

#[test]
fn what_a_halted_member_answers_is_named_so() {
    assert_violated(&halted(2, false), HALT, &["stale-read"]);
    assert_valid(&halted(1, false), HALT);
    assert_valid(&halted(2, true), HALT);
    assert_eq!(on(&halted(1, false), "LIN").verdict, Verdict::Violated);
}
