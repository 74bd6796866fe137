//! What a person, or a plan, may ask of the model.

use crate::apply;
use crate::guards;
use crate::model::Model;
use crate::nodes::State;
use crate::release::Release;
use crate::setup::Setup;
use crate::starts::unsafe_roll;
use crate::step::{Call, MemberChange, Step, Tamper};
use crate::tamper::tamper;
use crate::world::{Role, World};

impl Model {
    /// Whether a majority of the voters is up and can still apply what is committed. If not, that
    /// writes fail is an outage by design.
    pub fn majority_applies(&self) -> bool {
        self.worlds.iter().all(|world| {
            world.is_majority(|voter| self.nodes.is_up(voter) && !self.nodes.is_harmed(voter))
        })
    }

    /// Whether no majority of the voters could apply what is committed even if nothing but the
    /// rules of the rollout kept them down: processes that a fault has ended count as they were.
    pub fn outage_by_design(&self) -> bool {
        let able = |voter: u16| {
            let state = self.nodes.get(voter).map(|node| node.state);
            matches!(state, Some(State::Up | State::Down)) && !self.nodes.is_harmed(voter)
        };
        !self.worlds.iter().all(|world| world.is_majority(able))
    }

    /// Whether a node's process may halt by itself at any moment, by design: something is
    /// committed, or may be at any time, that it can't apply.
    pub fn may_halt(&self, node: u16) -> bool {
        let restless = |world: &World| {
            let mut world = world.clone();
            apply::settle(&mut world, &self.nodes).contains_key(&node)
        };
        self.is_harmed(node) || self.worlds.iter().any(restless)
    }

    /// What a node was started with last; `None` if there is no such node.
    pub fn setup(&self, node: u16) -> Option<Setup> {
        self.nodes.get(node).map(|node| node.setup)
    }

    /// Whether its process runs, as far as was seen.
    pub fn is_up(&self, node: u16) -> bool {
        self.nodes.is_up(node)
    }

    /// Whether something came of the node that may not: nothing is expected of it any more.
    pub fn is_harmed(&self, node: u16) -> bool {
        self.nodes.is_harmed(node)
    }

    /// The members, by position, in ascending order, in the first of the worlds.
    pub fn members(&self) -> Vec<u16> {
        self.worlds[0].members.keys().copied().collect()
    }

    /// Those of them that have a vote.
    pub fn voters(&self) -> Vec<u16> {
        self.worlds[0].voters().collect()
    }

    /// The learners among them.
    pub fn learners(&self) -> Vec<u16> {
        let members = self.worlds[0].members.iter();
        let learner = |(node, role): (&u16, &Role)| (*role == Role::Learner).then_some(*node);
        members.filter_map(learner).collect()
    }

    /// Whether there are keys, in every world.
    pub fn is_bootstrapped(&self) -> bool {
        self.worlds.iter().all(World::bootstrapped)
    }

    /// Whether phase 1 is on, in every world.
    pub fn storage_cutover(&self) -> bool {
        self.worlds.iter().all(World::storage_phase)
    }

    /// Whether phase 2 is on, in every world.
    pub fn raft_cutover(&self) -> bool {
        self.worlds.iter().all(World::raft_phase)
    }

    /// Why a step is known to destroy a cluster, its data or a node for good, by design of the
    /// store. Such a step is only done by a plan that names it.
    pub fn destroys(&self, step: &Step) -> Option<String> {
        let why = match step {
            Step::Start {
                node,
                setup,
                tampers,
                ..
            } => self.start_destroys(*node, setup, tampers)?,
            Step::Call {
                call: Call::RegisterWriter,
                epoch: Some(epoch),
                ..
            } if *epoch <= u32::from(u16::MAX) && self.is_bootstrapped() => {
                "a node registered above its real epoch can't start until it has passed it"
            }
            Step::Member {
                change: MemberChange::Remove | MemberChange::Replace,
                node,
                ..
            } if !self.majority_without(*node) => {
                "the voters that are left, and up, are no majority: the change never ends"
            }
            _ => return None,
        };
        Some(why.to_owned())
    }

    fn start_destroys(&self, node: u16, setup: &Setup, tampers: &[Tamper]) -> Option<&'static str> {
        let any = |test: &dyn Fn(&World) -> bool| self.worlds.iter().any(test);
        if tampers.contains(&Tamper::DataWiped) {
            return Some("a voter that has forgotten its votes and its log breaks Raft itself");
        }
        if tampers.contains(&Tamper::DataCloned) {
            return Some("two members with one disk seal under the same keys, ids and epochs");
        }
        let unrefused = |world: &World| {
            let mut world = world.clone();
            tamper(&mut world, node, tampers);
            guards::reasons(&world, node, setup).certain().is_none()
        };
        if tampers.contains(&Tamper::DataOlder) && any(&unrefused) {
            return Some("a voter that has forgotten what it acknowledged breaks Raft itself");
        }
        let tampered = tampers.iter().any(|what| *what != Tamper::Undone);
        if tampered && setup.release < Release::R6C && any(&|world| world.bootstrapped()) {
            return Some("a release without guards starts on files that were tampered with");
        }
        if any(&|world| unsafe_roll(world, setup) && unrefused(world)) {
            return Some("a known-unsafe downgrade: it can't read what is encrypted on its disk");
        }
        None
    }

    /// Whether the voters but this one that are up are a majority of them.
    pub(crate) fn majority_without(&self, node: u16) -> bool {
        self.worlds.iter().all(|world| {
            let mut rest = world.clone();
            rest.members.remove(&node);
            rest.voters().next().is_some() && rest.is_majority(|voter| self.nodes.is_up(voter))
        })
    }
}
