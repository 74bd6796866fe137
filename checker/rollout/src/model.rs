//! The model: the worlds that are possible, what each says of a step, and what observations
//! leave of them.

use std::collections::BTreeMap;

use crate::apply::{self, Members};
use crate::calls::CallStep;
use crate::case::{Case, Forecast};
use crate::expectation::Expectation;
use crate::members::MemberStep;
use crate::nodes::{Node, Nodes, State};
use crate::outcome::{Outcome, Seen};
use crate::release::Release;
use crate::setup::Setup;
use crate::starts::Start;
use crate::step::{MemberChange, Step};
use crate::world::World;

/// More worlds than these are not kept side by side; those that came first are.
const WORLDS_MAX: usize = 64;

/// What is known of a cluster, and what must come of the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    pub(crate) nodes: Nodes,
    /// Never empty.
    pub(crate) worlds: Vec<World>,
}

impl Model {
    /// A cluster that is up, without keys: its members by position, all voters, and behind them
    /// so many nodes that wait to be added.
    pub fn new(setups: &[Setup], spares: u16) -> Self {
        let node = |setup: &Setup, state| Node {
            setup: *setup,
            state,
            harmed: false,
        };
        let up = setups.iter().map(|setup| node(setup, State::Up));
        let spare = node(&Setup::bare(Release::R5D), State::Idle);
        let nodes: Vec<_> = up.chain((0..spares).map(|_| spare.clone())).collect();
        let count = |len: usize| u16::try_from(len).unwrap_or(u16::MAX);
        let world = World::new(count(setups.len()), count(nodes.len()));
        Self {
            nodes: Nodes {
                nodes,
                sent: BTreeMap::new(),
                started: false,
            },
            worlds: vec![world],
        }
    }

    /// What must come of a step.
    pub fn expect(&self, step: &Step) -> Expectation {
        Expectation::merge(self.worlds.iter().map(|world| self.forecast(world, step)))
    }

    /// Takes in what came of a step. What no world allows harms the nodes it came from: of those
    /// nothing is expected any more, so that one finding does not become many.
    pub fn observe(&mut self, step: &Step, seen: &Seen) {
        let forecasts: Vec<_> = self
            .worlds
            .iter()
            .map(|world| self.forecast(world, step))
            .collect();
        let cases: Vec<_> = forecasts.iter().flat_map(|all| &all.cases).collect();
        let by_outcome: Vec<_> = cases
            .iter()
            .copied()
            .filter(|case| case.outcome.allows(&seen.outcome))
            .collect();
        let by_members: Vec<_> = by_outcome
            .iter()
            .copied()
            .filter(|case| members_fit(&case.members, seen))
            .collect();
        let fitting = if by_members.is_empty() {
            &by_outcome
        } else {
            &by_members
        };
        let mut worlds: Vec<_> = fitting.iter().map(|case| after(case, step, seen)).collect();
        let odd_members: Vec<u16> = if by_members.is_empty() {
            odd_members(&by_outcome, seen)
        } else {
            Vec::new()
        };
        if worlds.is_empty() {
            worlds = self.after_all(step, seen);
            self.harm(step, seen);
        }
        for node in odd_members {
            self.nodes.harm(node);
        }
        self.take_in(step, seen);
        let mut kept: Vec<World> = Vec::new();
        for world in worlds {
            if kept.len() < WORLDS_MAX && !kept.contains(&world) {
                kept.push(world);
            }
        }
        self.worlds = kept;
    }

    /// Takes in the outcome that is expected first: what a plan may count on.
    pub fn assume(&mut self, step: &Step) {
        let expected = self.expect(step);
        let outcome = match expected.outcomes.first() {
            None | Some(Outcome::Any) => Outcome::Serves,
            Some(outcome) => outcome.clone(),
        };
        let given = expected.given(&outcome);
        let first = |(node, outcomes): (&u16, &Vec<Outcome>)| {
            let outcome = outcomes.first().filter(|o| **o != Outcome::Serves)?;
            Some((*node, outcome.clone()))
        };
        let members = given.members.iter().filter_map(first).collect();
        self.observe(step, &Seen { outcome, members });
    }

    /// What one world says of a step.
    fn forecast(&self, world: &World, step: &Step) -> Forecast {
        let mut world = world.clone();
        let mut restless = apply::settle(&mut world, &self.nodes);
        let forecast = match step {
            Step::Start {
                node,
                setup,
                tampers,
                was_serving,
                ..
            } => Start {
                node: *node,
                setup: *setup,
                tampers,
                was_serving: *was_serving,
                saves: false,
            }
            .forecast(&self.nodes, &world),
            Step::Save { node } => Start {
                node: *node,
                setup: self.nodes.setup(*node),
                tampers: &[],
                was_serving: self.nodes.is_up(*node),
                saves: true,
            }
            .forecast(&self.nodes, &world),
            Step::Call {
                call,
                at,
                leads,
                send,
                epoch,
                disturbed,
                unreachable,
            } => CallStep {
                call: *call,
                at: *at,
                leads: *leads,
                send: *send,
                epoch: *epoch,
                disturbed: *disturbed,
                unreachable: unreachable.clone(),
            }
            .forecast(&self.nodes, &world),
            Step::Member {
                change,
                node,
                setup,
                collides,
                disturbed,
            } => MemberStep {
                change: *change,
                node: *node,
                setup: *setup,
                collides: *collides,
                disturbed: *disturbed,
            }
            .forecast(&self.nodes, &world),
            Step::Down { .. } => passive(
                &world,
                "ROL-RESTART",
                "a process that is ended is asked nothing",
            ),
            Step::Transfer { .. } => passive(
                &world,
                "ROL-STARTUP-ROTATE",
                "leadership may move at any moment; a leader rotates at most once, if it was asked to",
            ),
        };
        if let Step::Start { node, .. } | Step::Save { node } | Step::Down { node } = step {
            restless.remove(node);
        }
        forecast.restless(&restless)
    }

    /// The worlds after a step that came to what none of them allows.
    fn after_all(&self, step: &Step, seen: &Seen) -> Vec<World> {
        let changed = !matches!(seen.outcome, Outcome::Refused(_) | Outcome::Failed);
        let mut worlds: Vec<World> = Vec::new();
        if changed && let Step::Call { call, .. } = step {
            worlds.extend(self.worlds.iter().map(|world| {
                let mut world = world.clone();
                apply::force(&mut world, &self.nodes, *call);
                world
            }));
        }
        if let (Step::Member { change, node, .. }, Outcome::Accepted) = (step, &seen.outcome) {
            worlds.extend(self.worlds.iter().map(|world| {
                let mut world = world.clone();
                apply::force_member(&mut world, *change, *node);
                world
            }));
        }
        let keep = worlds.is_empty() || seen.outcome == Outcome::Indeterminate;
        if keep {
            worlds.extend(self.worlds.iter().cloned());
        }
        worlds
    }

    fn harm(&mut self, step: &Step, seen: &Seen) {
        match step {
            Step::Start { node, .. }
            | Step::Save { node }
            | Step::Down { node }
            | Step::Member { node, .. } => {
                self.nodes.harm(*node);
            }
            Step::Call { at, .. } => {
                self.nodes.harm(*at);
                let all: Vec<_> = self.worlds[0].members.keys().copied().collect();
                for node in all {
                    let lame = !crate::nodes::full(&self.nodes.setup(node));
                    if lame || !self.nodes.is_up(node) {
                        self.nodes.harm(node);
                    }
                }
            }
            Step::Transfer { .. } => {}
        }
        for node in seen.members.keys() {
            self.nodes.harm(*node);
        }
    }

    /// What everyone can see of the processes.
    fn take_in(&mut self, step: &Step, seen: &Seen) {
        self.nodes.started = !matches!(step, Step::Call { .. } | Step::Down { .. });
        match step {
            Step::Start { node, setup, .. } => self.ran(*node, Some(*setup), &seen.outcome),
            Step::Save { node } => self.ran(*node, None, &seen.outcome),
            Step::Down { node } => self.turn(*node, State::Down),
            Step::Call { call, .. } => {
                self.nodes.sent.insert(call.as_str(), seen.outcome.clone());
            }
            Step::Member {
                change,
                node,
                setup,
                ..
            } => self.changed(*change, *node, *setup, &seen.outcome),
            Step::Transfer { .. } => {}
        }
        for (node, outcome) in &seen.members {
            match outcome {
                Outcome::Halts(_) => self.turn(*node, State::Halted),
                Outcome::Refused(_) => self.turn(*node, State::Refused),
                Outcome::Failed => self.turn(*node, State::Down),
                _ => {}
            }
        }
    }

    fn turn(&mut self, node: u16, state: State) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.state = state;
        }
    }

    fn ran(&mut self, node: u16, setup: Option<Setup>, outcome: &Outcome) {
        if let (Some(setup), Some(node)) = (setup, self.nodes.get_mut(node)) {
            node.setup = setup;
        }
        let state = match outcome {
            Outcome::Halts(_) => State::Halted,
            Outcome::Refused(_) => State::Refused,
            Outcome::Failed => State::Down,
            _ => State::Up,
        };
        self.turn(node, state);
    }

    fn changed(&mut self, change: MemberChange, node: u16, setup: Setup, outcome: &Outcome) {
        let Some(entry) = self.nodes.get_mut(node) else {
            return;
        };
        let taken = matches!(outcome, Outcome::Accepted | Outcome::Indeterminate);
        match change {
            MemberChange::Promote => {}
            MemberChange::Remove if taken => entry.state = State::Idle,
            MemberChange::Remove => {}
            MemberChange::AddLearner | MemberChange::AddVoter | MemberChange::Replace => {
                entry.setup = setup;
                entry.state = if taken { State::Up } else { State::Idle };
                // It is another process on another disk.
                entry.harmed &= !(change == MemberChange::Replace && taken);
            }
        }
    }
}

/// A step that nothing has to come of.
fn passive(world: &World, invariant: &'static str, because: &str) -> Forecast {
    let mut next = world.clone();
    next.fresh = false;
    let mut forecast = Forecast::new(invariant, because);
    forecast.may(Outcome::Any, next);
    forecast
}

/// Whether what was seen of members is what becomes of them in a case.
fn members_fit(members: &Members, seen: &Seen) -> bool {
    let named = members.iter().all(|(node, outcomes)| {
        let came = seen.members.get(node).unwrap_or(&Outcome::Serves);
        outcomes.iter().any(|outcome| outcome.allows(came))
    });
    let serves = |outcome: &Outcome| *outcome == Outcome::Serves;
    let mut others = seen.members.iter();
    named && others.all(|(node, outcome)| members.contains_key(node) || serves(outcome))
}

/// Members of which something else was seen than any of the cases says.
fn odd_members(cases: &[&Case], seen: &Seen) -> Vec<u16> {
    let mut nodes: Vec<u16> = seen.members.keys().copied().collect();
    nodes.extend(cases.iter().flat_map(|case| case.members.keys()));
    nodes.sort_unstable();
    nodes.dedup();
    let odd = |node: &u16| {
        let came = seen.members.get(node).unwrap_or(&Outcome::Serves);
        !cases.iter().any(|case| match case.members.get(node) {
            Some(outcomes) => outcomes.iter().any(|outcome| outcome.allows(came)),
            None => *came == Outcome::Serves,
        })
    };
    nodes.retain(odd);
    nodes
}

/// The world after a case, with what was seen of members.
fn after(case: &Case, step: &Step, seen: &Seen) -> World {
    let mut world = case.next.clone();
    if let (Step::Start { node, .. } | Step::Save { node }, Outcome::Halts(_)) =
        (step, &seen.outcome)
    {
        apply::halted(&mut world, *node);
    }
    for (node, outcome) in &seen.members {
        if matches!(outcome, Outcome::Halts(_)) {
            apply::halted(&mut world, *node);
        }
    }
    world
}
