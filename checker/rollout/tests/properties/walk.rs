//! Every short course of steps, with every outcome that may come: what holds of the store's
//! rules holds of each.

use keyquake_rollout::{Call, Model, Outcome, Release, Send, Setup, Step};

use crate::{assert_sound, goes_as_expected, phases};

const SETUPS: [Setup; 4] = [
    Setup::bare(Release::R6A),
    Setup::full(Release::R6B),
    Setup::full(Release::R6D),
    Setup::full(Release::R6F),
];

fn call(call: Call, disturbed: bool) -> Step {
    Step::Call {
        call,
        at: 0,
        leads: true,
        send: Send::Once,
        epoch: None,
        disturbed,
        unreachable: Vec::new(),
    }
}

fn steps() -> Vec<Step> {
    let calls = Call::ALL.into_iter().filter(|of| *of != Call::Resync);
    let calls: Vec<_> = calls.collect();
    let mut steps: Vec<_> = calls.iter().map(|of| call(*of, false)).collect();
    steps.push(call(Call::Bootstrap, true));
    for node in [0, 2] {
        steps.push(Step::Down { node });
        steps.extend(SETUPS.map(|setup| Step::Start {
            node,
            setup,
            tampers: Vec::new(),
            cloned: None,
            was_serving: true,
        }));
    }
    steps
}

/// Counts the courses, and looks at each.
fn walk(model: &Model, steps: &[Step], depth: usize) -> usize {
    if depth == 0 {
        return 1;
    }
    let mut courses = 0;
    for step in steps {
        let expected = model.expect(step);
        let mut kinds = Vec::new();
        for (number, outcome) in expected.outcomes.iter().enumerate() {
            // Of the many names for a refusal one is enough.
            let kind = std::mem::discriminant(outcome);
            if kinds.contains(&kind) {
                continue;
            }
            kinds.push(kind);
            let call = matches!(step, Step::Call { .. });
            if call && matches!(outcome, Outcome::Refused(_) | Outcome::Failed) {
                assert!(expected.given(outcome).unchanged, "{step:?}: {outcome}");
            }
            let mut next = model.clone();
            let seen = goes_as_expected(&mut next, step, number);
            assert_sound(&next, phases(model));
            assert_one_cause(model, &next, step, &seen.outcome);
            courses += walk(&next, steps, depth - 1);
        }
    }
    courses
}

/// What is accepted is in force. Without an answer a phase is only on if what comes later shows it.
fn assert_one_cause(before: &Model, after: &Model, step: &Step, outcome: &Outcome) {
    let (keys, storage, raft) = phases(after);
    if let (Step::Call { call, .. }, Outcome::Accepted) = (step, outcome) {
        assert!(keys, "{call}");
        assert!(storage || *call != Call::EnableStorageEnvelope);
        assert!(raft || *call != Call::EnableRaftEnvelope);
    }
    let raft_call = matches!(
        step,
        Step::Call {
            call: Call::EnableRaftEnvelope,
            ..
        }
    );
    let refused = matches!(outcome, Outcome::Refused(_) | Outcome::Failed);
    if raft_call && refused {
        assert_eq!(raft, before.raft_cutover(), "{step:?}: {outcome}");
    }
}

#[test]
fn every_course_of_three_steps_is_sound() {
    let steps = steps();
    let mut courses = 0;
    for setup in SETUPS {
        let model = Model::new(&[setup; 3], 0);
        courses += walk(&model, &steps, 3);
    }
    assert!(courses > 10_000, "{courses}");
}
