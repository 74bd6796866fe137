//! What needs more than a file of the corpus: several keys, budgets, the verifier's own refusals.

use elle_rs::history::{Action, Kind, Value};
use elle_rs::register::{Outcome, check, check_within, verify};

use crate::common::{Timed, history};

fn timed(start: u64, finish: u64, action: Action) -> Timed {
    Timed {
        start,
        finish: Some((finish, Kind::Ok)),
        action,
    }
}

fn write(value: Value) -> Action {
    Action::Write { key: 1, value }
}

fn read(value: Value) -> Action {
    Action::Read {
        key: 1,
        value: Some(value),
    }
}

#[test]
fn keys_are_judged_apart() {
    let events = history(&[
        timed(0, 1, write(1)),
        timed(2, 3, Action::Write { key: 2, value: 1 }),
        timed(
            4,
            5,
            Action::Read {
                key: 2,
                value: None,
            },
        ),
        timed(6, 7, read(1)),
    ]);
    let reports = check(&events).unwrap();
    let verdicts: Vec<(u64, u64, bool)> = reports
        .iter()
        .map(|r| {
            (
                r.key,
                r.operations,
                matches!(r.outcome, Outcome::Valid { .. }),
            )
        })
        .collect();
    assert_eq!(verdicts, [(1, 2, true), (2, 2, false)]);
    assert_eq!(check(&[]), Ok(Vec::new()));
}

/// Twenty writers of the same few values at once, and a budget that is too small.
#[test]
fn an_exhausted_budget_is_undecided_and_says_where() {
    let mut operations: Vec<Timed> = (0..20).map(|i| timed(i, 1_000 + i, write(i % 5))).collect();
    operations.push(timed(30, 1_100, read(3)));
    operations.push(timed(2_000, 2_001, read(7)));
    operations.push(timed(500, 1_500, write(7)));
    let outcome = check_within(&history(&operations), 10)
        .unwrap()
        .remove(0)
        .outcome;
    let Outcome::Undecided { reason } = outcome else {
        panic!("{outcome:?}");
    };
    for words in [
        "key 1",
        "value 3 was written more than once",
        "gave up between",
        "operations were open",
    ] {
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
fn the_verifier_refuses_what_is_no_witness() {
    let events = history(&[
        timed(0, 1, write(1)),
        timed(2, 3, write(2)),
        Timed {
            start: 3,
            finish: None,
            action: write(4),
        },
        timed(4, 5, read(2)),
        Timed {
            start: 6,
            finish: Some((7, Kind::Fail)),
            action: write(3),
        },
        timed(8, 9, Action::Write { key: 2, value: 9 }),
    ]);
    for good in [&[0, 2, 5][..], &[0, 2, 5, 3], &[0, 3, 2, 5]] {
        assert_eq!(verify(&events, 1, good), Ok(()));
    }
    for (bad, words) in [
        (&[0, 2][..], "missing"),
        (&[0, 2, 5, 5], "twice"),
        (&[0, 2, 5, 7], "failed"),
        (&[0, 2, 5, 9], "nothing on key 1"),
        (&[2, 0, 5], "had completed before"),
        (&[0, 2, 3, 5], "cannot have come back"),
        (&[0, 2, 5, 77], "nothing"),
    ] {
        let error = verify(&events, 1, bad).unwrap_err();
        assert!(error.contains(words), "{bad:?}: {error}");
    }
}
