//! ROL-*: outcomes of the operator's steps.

use keyquake_judge::Verdict;

use crate::build::{History, assert_valid, assert_violated, on, write};

const GATE: &str = "ROL-GATE";

fn judged(outcomes: &[(&[&str], &str)]) -> keyquake_judge::Judgement {
    let mut history = History::new();
    history.ok(write(1, 10));
    for (expected, observed) in outcomes {
        history.outcome(GATE, expected, observed);
    }
    history.judged()
}

#[test]
fn holds_when_every_outcome_is_one_that_may_be() {
    let judgement = judged(&[
        (
            &["accepted", "refused proposer-not-configured"],
            "refused proposer-not-configured",
        ),
        (&["refused"], "refused proposer-not-configured"),
        (&["unchanged"], "unchanged"),
        (&["any"], "serves"),
    ]);
    assert_valid(&judgement, GATE);
    let reason = &on(&judgement, GATE).reason;
    assert_eq!(
        reason,
        "4 outcomes, each one that may be: 2 refused proposer-not-configured, 1 unchanged, 1 serves"
    );
}

#[test]
fn is_broken_by_another_outcome_another_name_or_a_change() {
    for (expected, observed) in [
        (&["refused"][..], "accepted"),
        (&["refused ErrKEKMismatch"], "refused ErrNodeIDCollision"),
        (&["refused ErrKEKMismatch"], "refused"),
        (&["serves"], "refused ErrKEKMismatch"),
        (&["serves"], "halts"),
        (&["unchanged"], "changed"),
        (&[], "accepted"),
    ] {
        let judgement = judged(&[(&["accepted"], "accepted"), (expected, observed)]);
        assert_violated(&judgement, GATE, &["unexpected-outcome"]);
    }
}

#[test]
fn is_inconclusive_where_nobody_can_tell() {
    for (expected, observed) in [
        (&["refused"][..], "indeterminate"),
        (&["accepted"], "failed"),
        (&["unchanged"], "unknown"),
        (&["any"], "unknown"),
        (&["accepted"], "a word of a later version"),
        (&["a word of a later version"], "accepted"),
    ] {
        let judgement = judged(&[(&["accepted"], "accepted"), (expected, observed)]);
        let verdict = on(&judgement, GATE).verdict;
        assert_eq!(verdict, Verdict::Inconclusive, "{expected:?} {observed}");
    }
}

#[test]
fn a_start_that_must_serve_is_a_matter_of_restarts() {
    let mut history = History::new();
    history.ok(write(1, 10));
    history.outcome("ROL-RESTART", &["serves"], "serves");
    assert_valid(&history.judged(), "ROL-RESTART");
    history.outcome("ROL-RESTART", &["serves"], "refused ErrKEKMismatch");
    assert_violated(&history.judged(), "ROL-RESTART", &["unexpected-outcome"]);
    let ids = history.judged();
    let ids = ids.invariants.iter().filter(|one| one.id == "ROL-RESTART");
    assert_eq!(ids.count(), 1);
}

#[test]
fn says_nothing_where_no_step_was_done() {
    assert!(judged(&[]).invariant(GATE).is_none());
}
