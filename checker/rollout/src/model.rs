//! The model: the worlds that are possible, what each says of a step, and what observations
//! leave of them.

use std::collections::BTreeMap;

use crate::apply;
use crate::calls::CallStep;
use crate::case::Forecast;
use crate::expectation::Expectation;
use crate::members::MemberStep;
use crate::nodes::{Node, Nodes, State};
use crate::outcome::{Outcome, Seen};
use crate::release::Release;
use crate::setup::Setup;
use crate::starts::Start;
use crate::step::Step;
use crate::world::World;

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
    pub(crate) fn forecast(&self, world: &World, step: &Step) -> Forecast {
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
}

/// A step that nothing has to come of.
fn passive(world: &World, invariant: &'static str, because: &str) -> Forecast {
    let mut next = world.clone();
    next.fresh = false;
    let mut forecast = Forecast::new(invariant, because);
    forecast.may(Outcome::Any, next);
    forecast
}
