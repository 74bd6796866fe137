//! What a change of the membership comes to.

use crate::apply::{self, Members};
use crate::case::{Forecast, refused};
use crate::gate::capable;
use crate::guards;
use crate::nodes::Nodes;
use crate::outcome::Outcome;
use crate::release::Release;
use crate::setup::{KekFile, Setup};
use crate::step::MemberChange;
use crate::world::{Files, Role, World};

/// The step `Member`.
#[derive(Clone, Debug)]
pub(crate) struct MemberStep {
    pub change: MemberChange,
    pub node: u16,
    pub setup: Setup,
    pub collides: bool,
    pub disturbed: bool,
}

/// The names that a member which is not capable is refused by.
const NOT_CAPABLE: [&str; 3] = [
    "member-not-capable",
    "member-unreachable",
    "ErrPeerNotEncryptionCapable",
];
const COLLISION: [&str; 2] = ["node-id-collision", "ErrNodeIDCollision"];

impl MemberStep {
    pub fn forecast(&self, nodes: &Nodes, world: &World) -> Forecast {
        let mut world = world.clone();
        world.fresh = false;
        let quorum = world.is_majority(|voter| nodes.is_up(voter));
        let mut forecast = match self.change {
            MemberChange::AddLearner => self.add(&world, Role::Learner),
            MemberChange::AddVoter => self.add(&world, Role::Voter),
            MemberChange::Promote => self.promote(nodes, &world),
            MemberChange::Remove => self.remove(&world),
            MemberChange::Replace => self.replace(&world),
        };
        for name in ["not-leader", "leader-not-verified"] {
            forecast.nothing(refused(name), &world);
        }
        if self.disturbed || !quorum {
            forecast.nothing(Outcome::Refused(None), &world);
            forecast.nothing(Outcome::Failed, &world);
            forecast.nothing(Outcome::Indeterminate, &world);
        }
        forecast
    }

    /// The world in which it is a member, with a disk of its own; and what becomes of it there.
    fn joined(&self, world: &World, role: Role) -> (World, Members) {
        let mut next = world.clone();
        next.members.insert(self.node, role);
        if let Some(disk) = next.disk_mut(self.node) {
            disk.files = Files::default();
            disk.before = None;
        }
        next.colliding.retain(|node| *node != self.node);
        if self.collides {
            next.colliding.push(self.node);
        }
        let mut members = Members::new();
        if let Some(halt) = apply::advance(&mut next, self.node, &self.setup) {
            let mut outcomes = vec![halt.outcome()];
            // It comes by snapshot, and 5D does not see what is in it.
            if self.setup.release == Release::R5D || !halt.certain {
                outcomes.push(Outcome::Serves);
            }
            members.insert(self.node, outcomes);
        } else {
            apply::served(&mut next, self.node, &self.setup);
        }
        (next, members)
    }

    fn add(&self, world: &World, role: Role) -> Forecast {
        let mut empty = world.clone();
        if let Some(disk) = empty.disk_mut(self.node) {
            disk.files = Files::default();
        }
        let reasons = guards::reasons(&empty, self.node, &self.setup);
        if let Some(reason) = reasons.certain() {
            let mut forecast = Forecast::new("ROL-REFUSE", reason.text);
            for outcome in [Outcome::Refused(None), Outcome::Failed] {
                forecast.nothing(outcome, world);
            }
            return forecast;
        }
        let mut forecast = self.gated(world);
        if forecast.cases.is_empty() {
            self.taken(&mut forecast, world, role);
        }
        for reason in &reasons.0 {
            let outcome = Outcome::Refused(reason.name.map(str::to_owned));
            forecast.nothing(outcome, world);
        }
        forecast
    }

    fn taken(&self, forecast: &mut Forecast, world: &World, role: Role) {
        let (next, members) = self.joined(world, role);
        forecast.case(Outcome::Accepted, next.clone(), members.clone(), false);
        if members.contains_key(&self.node) {
            // Whoever waits for it to serve is told that it ended.
            forecast.may(Outcome::Halts(None), next.clone());
        }
        if self.disturbed {
            forecast.case(Outcome::Indeterminate, next, members, false);
        }
        // Nobody can ask it which KEK it has: it may be let in, and must end then.
        if self.setup.kek == KekFile::Foreign {
            forecast.nothing(Outcome::Refused(None), world);
        }
    }

    /// The forecast of a newcomer that must be refused, or an empty one.
    fn gated(&self, world: &World) -> Forecast {
        let refuse = |because: &str, names: &[&str]| {
            let mut forecast = Forecast::new("ROL-MEMBER", because);
            for name in names {
                forecast.nothing(refused(name), world);
            }
            forecast
        };
        if self.collides && world.bootstrapped() {
            let because = "its id shares 16 bits with a member's, and keys are in use";
            return refuse(because, &COLLISION);
        }
        let stage = stage(world);
        if world.any_phase() && !capable(&self.setup, stage) {
            return refuse("a cutover is on, and it is not capable", &NOT_CAPABLE);
        }
        let because = match (world.any_phase(), world.bootstrapped()) {
            (true, _) => "it is capable, and gets its rows before it is a member",
            (false, true) => "no cutover is on",
            (false, false) => "there are no keys",
        };
        Forecast::new("ROL-MEMBER", because)
    }

    fn promote(&self, nodes: &Nodes, world: &World) -> Forecast {
        if world.members.get(&self.node) != Some(&Role::Learner) {
            let mut forecast = Forecast::new("ROL-MEMBER", "it is no learner");
            forecast.nothing(Outcome::Refused(None), world);
            forecast.nothing(Outcome::Failed, world);
            return forecast;
        }
        let up = nodes.is_up(self.node);
        let stage = stage(world);
        let fit = up && capable(&nodes.setup(self.node), stage);
        let gated = world.any_phase() && !fit && !nodes.is_harmed(self.node);
        let mut forecast = Forecast::new(
            "ROL-MEMBER",
            match gated {
                true => "a cutover is on, and the learner is not capable or not there",
                false => "the learner may get its vote",
            },
        );
        if !gated {
            let mut next = world.clone();
            next.members.insert(self.node, Role::Voter);
            forecast.may(Outcome::Accepted, next.clone());
            if self.disturbed {
                forecast.may(Outcome::Indeterminate, next);
            }
        }
        // It may not have caught up, or can't while it is away.
        if gated || !up || self.disturbed || nodes.is_harmed(self.node) {
            forecast.nothing(Outcome::Refused(None), world);
        }
        forecast
    }

    fn remove(&self, world: &World) -> Forecast {
        let mut forecast = Forecast::new("ROL-MEMBER", "a member may be taken out");
        let mut next = world.clone();
        next.members.remove(&self.node);
        next.colliding.retain(|node| *node != self.node);
        forecast.may(Outcome::Accepted, next.clone());
        // A leader that takes itself out may be gone before it has answered.
        forecast.may(Outcome::Indeterminate, next);
        forecast.nothing(Outcome::Indeterminate, world);
        forecast
    }

    fn replace(&self, world: &World) -> Forecast {
        let mut without = world.clone();
        without.members.remove(&self.node);
        without.colliding.retain(|node| *node != self.node);
        if let Some(disk) = without.disk_mut(self.node) {
            disk.files = Files::default();
            disk.before = None;
        }
        let mut forecast = self.add(&without, Role::Voter);
        for case in &mut forecast.cases {
            case.unchanged = false;
        }
        for world in [world, &without] {
            forecast.may(Outcome::Indeterminate, world.clone());
        }
        forecast
    }
}

/// The first release that is capable of the phase that is on.
fn stage(world: &World) -> Release {
    if world.raft_phase() {
        Release::R6E
    } else {
        Release::R6D
    }
}
