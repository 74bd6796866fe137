//! What observations leave of the worlds.

use crate::apply::{self, Members};
use crate::case::Case;
use crate::model::Model;
use crate::nodes::{State, full};
use crate::outcome::{Outcome, Seen};
use crate::setup::Setup;
use crate::step::{MemberChange, Step};
use crate::world::World;

/// More worlds than these are not kept side by side; those that came first are.
const WORLDS_MAX: usize = 64;

impl Model {
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
            .filter(|case| seen.outcome == Outcome::Unknown || case.outcome.allows(&seen.outcome))
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
        let mut worlds: Vec<_> = fitting
            .iter()
            .map(|case| after(case, &self.worlds[0], step, seen))
            .collect();
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

    /// Takes in what a node shows of its own keys: whether it has any, and the phases that are on. What
    /// it shows is committed; what it does not show may still be on its way to it.
    pub fn saw_keys(&mut self, keys: bool, storage_cutover: bool, raft_cutover: bool) {
        let shows = |world: &World| {
            (!keys || world.bootstrapped())
                && (!storage_cutover || world.storage_phase())
                && (!raft_cutover || world.raft_phase())
        };
        if self.worlds.iter().any(shows) {
            self.worlds.retain(shows);
        }
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
                    let lame = !full(&self.nodes.setup(node));
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
                entry.state = match outcome {
                    Outcome::Halts(_) => State::Halted,
                    _ if taken => State::Up,
                    _ => State::Idle,
                };
                // It is another process on another disk.
                entry.harmed &= !(change == MemberChange::Replace && taken);
            }
        }
    }
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
fn after(case: &Case, before: &World, step: &Step, seen: &Seen) -> World {
    let mut world = case.next.clone();
    if let (Step::Start { node, .. } | Step::Save { node }, Outcome::Halts(_)) =
        (step, &seen.outcome)
    {
        apply::halted(&mut world, *node);
    }
    if let (Step::Start { node, .. } | Step::Save { node }, Outcome::Unknown) =
        (step, &seen.outcome)
    {
        apply::unregistered(&mut world, before, *node);
    }
    for (node, outcome) in &seen.members {
        if matches!(outcome, Outcome::Halts(_)) {
            apply::halted(&mut world, *node);
        }
    }
    world
}
