//! Steps that are worth taking next, for nights without a plan.

use crate::expectation::Expectation;
use crate::model::Model;
use crate::nodes::{State, full};
use crate::outcome::{Outcome, Seen};
use crate::release::Release;
use crate::setup::{KekFile, Setup, SidecarPath};
use crate::step::{Call, MemberChange, Send, Step, Tamper};

/// How a request may be sent.
const SENDS: [Send; 4] = [Send::Once, Send::Twice, Send::Concurrent, Send::Late];

/// What may be done to files of a node whose release has guards: each is refused, and can be
/// undone.
const TAMPERS: [Tamper; 4] = [
    Tamper::SidecarRemoved,
    Tamper::SidecarOlder,
    Tamper::SidecarCorrupt,
    Tamper::SidecarEpochLast,
];

impl Model {
    /// Steps that are worth taking next, always in the same order. None destroys anything by
    /// design, and none leaves fewer than a majority of the voters up. `at` of a call is a node that
    /// could lead; whoever does is to be put in its place.
    pub fn legal(&self) -> Vec<Step> {
        let mut steps = self.candidates();
        steps.retain(|step| self.may_be_drawn(step));
        steps
    }

    /// Steps that may be worth taking next, always in the same order: those of them that
    /// [`Model::may_be_drawn`] are [`Model::legal`]. For who takes few of many.
    pub fn candidates(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let known = u16::try_from(self.nodes.nodes.len()).unwrap_or(u16::MAX);
        for node in 0..known {
            let member = self.members().contains(&node);
            if member && !self.is_harmed(node) {
                self.starts(node, &mut steps);
                self.leave(node, &mut steps);
            } else if !member {
                self.join(node, &mut steps);
            }
        }
        self.calls(&mut steps);
        steps
    }

    /// Whether nothing is lost by it, and a majority goes on whatever it comes to.
    pub fn may_be_drawn(&self, step: &Step) -> bool {
        if self.destroys(step).is_some() {
            return false;
        }
        let expected = self.expect(step);
        if expected.outcomes.contains(&Outcome::Any)
            && !matches!(step, Step::Down { .. } | Step::Transfer { .. })
        {
            return false;
        }
        let stopped = match step {
            Step::Start { node, .. }
            | Step::Save { node }
            | Step::Down { node }
            | Step::Member { node, .. } => Some(*node),
            Step::Call { .. } | Step::Transfer { .. } => None,
        };
        // The node is away for a while, whatever comes of it.
        let others = self.worlds.iter().all(|world| {
            world.is_majority(|voter| {
                self.is_up(voter) && !self.is_harmed(voter) && stopped != Some(voter)
            })
        });
        // A call that is refused ends nobody.
        let calls = matches!(step, Step::Call { .. });
        let nothing = |o: &Outcome| calls && matches!(o, Outcome::Refused(_) | Outcome::Failed);
        let mut outcomes = expected.outcomes.iter().filter(|outcome| !nothing(outcome));
        others && outcomes.all(|outcome| self.goes_on(step, &expected, outcome))
    }

    /// Whether a majority goes on after this outcome, if members end that may.
    fn goes_on(&self, step: &Step, expected: &Expectation, outcome: &Outcome) -> bool {
        let ends = |(node, outcomes): (u16, Vec<Outcome>)| {
            let end = outcomes.into_iter().find(|o| *o != Outcome::Serves)?;
            Some((node, end))
        };
        let seen = Seen {
            outcome: outcome.clone(),
            members: expected
                .given(outcome)
                .members
                .into_iter()
                .filter_map(ends)
                .collect(),
        };
        let mut next = self.clone();
        next.observe(step, &seen);
        next.majority_applies()
    }

    fn starts(&self, node: u16, steps: &mut Vec<Step>) {
        let Some(entry) = self.nodes.get(node) else {
            return;
        };
        let start = |setup: Setup, tampers: &[Tamper]| Step::Start {
            node,
            setup,
            tampers: tampers.to_vec(),
            cloned: None,
            was_serving: entry.state == State::Up,
        };
        if entry.state == State::Up {
            steps.push(Step::Down { node });
            steps.push(Step::Save { node });
            if self.voters().contains(&node) {
                steps.push(Step::Transfer { to: node });
            }
        }
        let tampered = self
            .worlds
            .iter()
            .any(|world| world.disk(node).is_some_and(|disk| disk.before.is_some()));
        if tampered && entry.state == State::Refused {
            // First of all the files have to be as they were.
            let whole = Setup::full(entry.setup.release.max(Release::R6C));
            steps.push(start(whole, &[Tamper::Undone]));
            return;
        }
        let mut setups = vec![entry.setup];
        for setup in around(&entry.setup) {
            if !setups.contains(&setup) {
                setups.push(setup);
            }
        }
        steps.extend(setups.into_iter().map(|setup| start(setup, &[])));
        if entry.setup.release >= Release::R6D && full(&entry.setup) && self.is_bootstrapped() {
            let saved = |tamper| tamper != Tamper::SidecarOlder || self.has_copy(node);
            let tampers = TAMPERS.into_iter().filter(|tamper| saved(*tamper));
            steps.extend(tampers.map(|tamper| start(entry.setup, &[tamper])));
        }
    }

    fn has_copy(&self, node: u16) -> bool {
        let mut worlds = self.worlds.iter();
        worlds.all(|world| world.disk(node).is_some_and(|disk| disk.saved.is_some()))
    }

    fn leave(&self, node: u16, steps: &mut Vec<Step>) {
        let Some(setup) = self.setup(node) else {
            return;
        };
        let whole = whole(setup.release);
        if self.learners().contains(&node) {
            steps.push(change(MemberChange::Promote, node, setup));
        }
        if self.voters().len() > 3 || self.learners().contains(&node) {
            steps.push(change(MemberChange::Remove, node, setup));
        }
        if self.voters().contains(&node) {
            steps.push(change(MemberChange::Replace, node, whole));
        }
    }

    fn join(&self, node: u16, steps: &mut Vec<Step>) {
        let newest = self
            .members()
            .into_iter()
            .filter_map(|node| self.setup(node));
        let Some(release) = newest.map(|setup| setup.release).max() else {
            return;
        };
        let mut setups = vec![whole(release), Setup::bare(release)];
        setups.dedup();
        for setup in setups {
            for how in [MemberChange::AddLearner, MemberChange::AddVoter] {
                steps.push(change(how, node, setup));
            }
        }
    }

    fn calls(&self, steps: &mut Vec<Step>) {
        let Some(at) = self.voters().into_iter().find(|node| self.is_up(*node)) else {
            return;
        };
        for call in Call::ALL {
            for send in SENDS {
                if send == Send::Late && !self.nodes.sent.contains_key(call.as_str()) {
                    continue;
                }
                steps.push(Step::Call {
                    call,
                    at,
                    leads: true,
                    send,
                    epoch: None,
                    disturbed: false,
                    unreachable: Vec::new(),
                });
            }
        }
    }
}

fn change(change: MemberChange, node: u16, setup: Setup) -> Step {
    Step::Member {
        change,
        node,
        setup,
        collides: false,
        disturbed: false,
    }
}

/// A setup with all flags that the release has.
fn whole(release: Release) -> Setup {
    match release {
        Release::R5D | Release::R6A => Setup::bare(release),
        release => Setup::full(release),
    }
}

/// The setups next to one: a release on or back, flags given and taken, keys that are none. Flags
/// that a release may not know are not given to it.
fn around(setup: &Setup) -> Vec<Setup> {
    let at = Release::ALL
        .iter()
        .position(|release| *release == setup.release);
    let at = at.unwrap_or_default();
    let near = [at.checked_add(1), at.checked_sub(1)];
    let near = near
        .into_iter()
        .flatten()
        .filter_map(|at| Release::ALL.get(at));
    let on = |release: Release| match release {
        Release::R5D | Release::R6A => Setup::bare(release),
        release => Setup { release, ..*setup },
    };
    let mut setups: Vec<_> = near.map(|release| on(*release)).collect();
    if setup.release < Release::R6B {
        setups.push(Setup::full(Release::R6B));
        return setups;
    }
    setups.push(Setup::full(setup.release));
    setups.push(Setup {
        enabled: !setup.enabled,
        ..*setup
    });
    for kek in [
        KekFile::Absent,
        KekFile::Missing,
        KekFile::Wrong,
        KekFile::Foreign,
        KekFile::GroupReadable,
    ] {
        setups.push(Setup { kek, ..*setup });
    }
    setups.push(Setup {
        sidecar: SidecarPath::Undurable,
        ..*setup
    });
    if setup.release >= Release::R6F || setup.rotate_on_startup {
        setups.push(Setup {
            rotate_on_startup: !setup.rotate_on_startup,
            ..*setup
        });
    }
    setups
}
