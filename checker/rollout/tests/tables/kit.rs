//! Steps in a few words, and a model that is told what came of them.

use std::collections::BTreeMap;

use keyquake_rollout::{
    Call, Expectation, KekFile, MemberChange, Model, Outcome, Release, Seen, Send, Setup, Step,
    Tamper,
};

pub const ALL: Setup = Setup::full(Release::R6F);
pub const KEK_NOT_CONFIGURED: &str = "ErrKEKNotConfigured";

pub fn unflagged(setup: Setup) -> Setup {
    Setup {
        enabled: false,
        ..setup
    }
}

pub fn with_kek(setup: Setup, kek: KekFile) -> Setup {
    Setup { kek, ..setup }
}

/// A call of the leader, at the first node, in a calm moment.
pub fn call(call: Call) -> Step {
    call_at(call, 0)
}

pub fn call_at(call: Call, at: u16) -> Step {
    Step::Call {
        call,
        at,
        leads: true,
        send: Send::Once,
        epoch: None,
        disturbed: false,
        unreachable: Vec::new(),
    }
}

pub fn sent(of: Call, how: Send) -> Step {
    let mut step = call(of);
    if let Step::Call { send, .. } = &mut step {
        *send = how;
    }
    step
}

pub fn disturbed(mut step: Step) -> Step {
    match &mut step {
        Step::Call { disturbed, .. } | Step::Member { disturbed, .. } => *disturbed = true,
        _ => panic!("{step:?} has no answer to lose"),
    }
    step
}

pub fn start(node: u16, setup: Setup) -> Step {
    tampered(node, setup, &[])
}

pub fn tampered(node: u16, setup: Setup, tampers: &[Tamper]) -> Step {
    Step::Start {
        node,
        setup,
        tampers: tampers.to_vec(),
        cloned: None,
        was_serving: true,
    }
}

pub fn member(change: MemberChange, node: u16, setup: Setup) -> Step {
    Step::Member {
        change,
        node,
        setup,
        collides: false,
        disturbed: false,
    }
}

pub fn refused(name: &str) -> Outcome {
    Outcome::Refused(Some(name.to_owned()))
}

pub fn halts(name: &str) -> Outcome {
    Outcome::Halts(Some(name.to_owned()))
}

pub fn seen(outcome: Outcome) -> Seen {
    Seen {
        outcome,
        members: BTreeMap::new(),
    }
}

/// A model with what a test does to it.
pub struct Run(pub Model);

impl Run {
    pub fn new(setups: &[Setup]) -> Self {
        Self(Model::new(setups, 2))
    }

    /// Three of them, with keys.
    pub fn with_keys(setup: Setup) -> Self {
        let mut run = Self::new(&[setup; 3]);
        run.comes_to(&call(Call::Bootstrap), Outcome::Accepted);
        run
    }

    /// Three of them, in phase 1 or 2.
    pub fn in_phase(phase: u8) -> Self {
        let mut run = Self::with_keys(ALL);
        run.comes_to(&call(Call::EnableStorageEnvelope), Outcome::Accepted);
        if phase > 1 {
            run.comes_to(&call(Call::EnableRaftEnvelope), Outcome::Accepted);
        }
        run
    }

    /// The step may come to this, and does.
    pub fn comes_to(&mut self, step: &Step, outcome: Outcome) {
        self.comes_to_with(step, outcome, &[]);
    }

    /// The step may come to this, and these members end; and so it is.
    pub fn comes_to_with(&mut self, step: &Step, outcome: Outcome, members: &[(u16, Outcome)]) {
        let expected = self.0.expect(step);
        let seen = Seen {
            outcome,
            members: members.iter().cloned().collect(),
        };
        let wrong = expected.disagreements(&seen);
        assert!(wrong.is_empty(), "{step:?}\n{wrong:#?}\n{expected:#?}");
        self.0.observe(step, &seen);
    }

    pub fn expect(&self, step: &Step) -> Expectation {
        self.0.expect(step)
    }

    /// Any of these outcomes, and nothing else that would be an acceptance, breaks nothing.
    pub fn assert_allows(&self, step: &Step, outcomes: &[Outcome]) {
        let expected = self.expect(step);
        for outcome in outcomes {
            assert!(expected.allows(outcome), "{outcome}: {expected:#?}");
        }
    }

    /// None of these outcomes may come, by this invariant.
    pub fn assert_forbids(&self, step: &Step, invariant: &str, outcomes: &[Outcome]) {
        let expected = self.expect(step);
        assert_eq!(expected.invariant, invariant, "{expected:#?}");
        for outcome in outcomes {
            assert!(!expected.allows(outcome), "{outcome}: {expected:#?}");
        }
    }

    /// The call is refused by this name, by this invariant, and changes nothing.
    pub fn assert_refused(&self, step: &Step, invariant: &str, name: &str) {
        let expected = self.expect(step);
        assert_eq!(expected.invariant, invariant, "{expected:#?}");
        assert!(expected.allows(&refused(name)), "{expected:#?}");
        assert!(!expected.allows(&Outcome::Accepted), "{expected:#?}");
        assert!(!expected.allows(&Outcome::Serves), "{expected:#?}");
        assert!(
            !expected.allows(&refused("some-other-name")),
            "{expected:#?}"
        );
        assert!(expected.unchanged, "{expected:#?}");
    }
}
