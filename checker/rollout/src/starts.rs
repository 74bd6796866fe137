//! What a start comes to: a guard refuses it, it halts at an entry, or it serves.

use crate::apply::{self, Members};
use crate::case::{Case, Forecast};
use crate::guards::{self, Reasons};
use crate::nodes::{Nodes, State, full};
use crate::outcome::Outcome;
use crate::release::Release;
use crate::setup::Setup;
use crate::step::Tamper;
use crate::tamper::tamper;
use crate::world::{Files, World};

/// A start, as the steps `Start` and `Save` have it.
pub(crate) struct Start<'a> {
    pub node: u16,
    pub setup: Setup,
    pub tampers: &'a [Tamper],
    pub was_serving: bool,
    /// Whether the disk is copied first.
    pub saves: bool,
}

impl Start<'_> {
    pub fn forecast(&self, nodes: &Nodes, world: &World) -> Forecast {
        let mut world = world.clone();
        let fresh = std::mem::take(&mut world.fresh) || nodes.rotator_up();
        if self.saves {
            save(&mut world, self.node, fresh);
        }
        tamper(&mut world, self.node, self.tampers);
        if let Some(because) = self.beyond_saying(nodes, &world) {
            return self.whatever(world, because);
        }
        let reasons = guards::reasons(&world, self.node, &self.setup);
        let mut forecast = match reasons.certain() {
            Some(reason) => Forecast::new(refusal_invariant(&world, &self.setup), reason.text),
            None => self.after_the_guards(nodes, &world),
        };
        add_refusals(&mut forecast, &reasons, &world);
        forecast
    }

    /// Why nothing can be said of this start.
    fn beyond_saying(&self, nodes: &Nodes, world: &World) -> Option<&'static str> {
        if nodes.is_harmed(self.node) {
            return Some("what came of the node before was no outcome that may come");
        }
        if !world.members.contains_key(&self.node) {
            return Some("the node is not a member");
        }
        let files = world.files(self.node);
        if files.vague {
            return Some("nobody can say what is on the disk");
        }
        if files.applied > 0 && files.sidecar.is_none() && self.setup.release == Release::R6B {
            return Some("the keys in use are not on its disk, and the release has no guards");
        }
        let tampered = self.tampers.iter().any(|what| *what != Tamper::Undone);
        if tampered && self.setup.release < Release::R6C && world.bootstrapped() {
            return Some("the files were tampered with, and the release has no guards");
        }
        if self.tampers.contains(&Tamper::DataOlder) {
            let refused = guards::reasons(world, self.node, &self.setup);
            if refused.certain().is_none() {
                return Some("the disk forgets what the node acknowledged, and nothing shows it");
            }
        }
        None
    }

    /// Whatever comes of it is no finding; the disk is then beyond saying.
    fn whatever(&self, mut world: World, because: &str) -> Forecast {
        if let Some(disk) = world.disk_mut(self.node) {
            disk.files = Files {
                vague: true,
                ..Files::default()
            };
        }
        let mut forecast = Forecast::new("ROL-RESTART", because);
        forecast.may(Outcome::Any, world);
        forecast
    }

    fn after_the_guards(&self, nodes: &Nodes, world: &World) -> Forecast {
        if world.bootstrapped() && unsafe_roll(world, &self.setup) {
            return self.downgraded(world);
        }
        let mut next = world.clone();
        let halt = apply::advance(&mut next, self.node, &self.setup);
        let quorum = world.is_majority(|voter| {
            voter == self.node || (nodes.is_up(voter) && !nodes.is_harmed(voter))
        });
        let mut forecast = match halt {
            Some(halt) => {
                let because = "it can't apply what is committed, and halts there, at every start";
                let mut forecast = Forecast::new("ROL-HALT", because);
                let mut halted = next.clone();
                apply::load(&mut halted, self.node);
                forecast.may(halt.outcome(), halted);
                // A snapshot brings 5D past entries that it does not know.
                if self.setup.release == Release::R5D || !halt.certain {
                    forecast.may(Outcome::Serves, self.passed(&next));
                }
                forecast
            }
            None => self.serves(nodes, world),
        };
        if !quorum {
            "no majority is up: it may come to no entry, and find no leader"
                .clone_into(&mut forecast.because);
            for outcome in [Outcome::Serves, Outcome::Indeterminate, Outcome::Failed] {
                if !forecast.cases.iter().any(|case| case.outcome == outcome) {
                    forecast.may(outcome, world.clone());
                }
            }
        }
        forecast
    }

    fn serves(&self, nodes: &Nodes, world: &World) -> Forecast {
        let mut next = world.clone();
        apply::served(&mut next, self.node, &self.setup);
        if let Some(disk) = next.disk_mut(self.node) {
            disk.before = None;
        }
        let (invariant, because) = self.why_it_serves(nodes);
        let mut forecast = Forecast::new(invariant, because);
        forecast.may(Outcome::Serves, next.clone());
        if world.bootstrapped() && !apply::applies_everything(world, &self.setup) {
            forecast.may(apply::lame(&self.setup).outcome(), next);
        }
        forecast
    }

    fn why_it_serves(&self, nodes: &Nodes) -> (&'static str, &'static str) {
        let state = nodes.get(self.node).map(|node| node.state);
        match state {
            Some(State::Halted) => (
                "ROL-RECOVER",
                "what it halted at it can apply now: it replays and catches up",
            ),
            Some(State::Refused) => (
                "ROL-REFUSE",
                "no guard's trigger holds any more, and a refused start leaves no trace",
            ),
            _ if !self.was_serving => ("ROL-RECOVER", "it can apply all that is committed"),
            _ => (
                "ROL-RESTART",
                "no guard's trigger holds: it starts, catches up and serves",
            ),
        }
    }

    /// A release without the guards, or without the phase, on a disk that is cut over.
    fn downgraded(&self, world: &World) -> Forecast {
        let because = "a known-unsafe downgrade: values or entries are encrypted that this process can't read; whatever comes of it has to be reported";
        let mut forecast = self.whatever(world.clone(), because);
        forecast.invariant = "ROL-DOWNGRADE";
        forecast
    }

    /// The state is past what the process can't apply: its sidecar does not hold it.
    fn passed(&self, world: &World) -> World {
        let mut next = world.clone();
        let all = next.log.len();
        if let Some(disk) = next.disk_mut(self.node) {
            disk.files.applied = all;
        }
        next
    }
}

/// Whether a process of this kind can't read what lies on the disks.
pub(crate) fn unsafe_roll(world: &World, setup: &Setup) -> bool {
    let storage = world.storage_phase() && (setup.release < Release::R6D || !full(setup));
    let raft = world.raft_phase() && (setup.release < Release::R6E || !full(setup));
    storage || raft
}

/// The invariant that a start which is not refused breaks.
fn refusal_invariant(world: &World, setup: &Setup) -> &'static str {
    if world.any_phase() && !setup.enabled {
        "ROL-DOWNGRADE"
    } else {
        "ROL-REFUSE"
    }
}

fn add_refusals(forecast: &mut Forecast, reasons: &Reasons, world: &World) {
    let mut cases: Vec<Case> = Vec::new();
    for reason in &reasons.0 {
        let outcome = Outcome::Refused(reason.name.map(str::to_owned));
        if !cases.iter().any(|case| case.outcome == outcome) {
            cases.push(Case {
                outcome,
                members: Members::new(),
                unchanged: true,
                next: world.clone(),
            });
        }
    }
    // What is certain comes first.
    let first = reasons
        .certain()
        .map(|reason| reason.name.map(str::to_owned));
    if let Some(name) = first {
        cases.sort_by_key(|case| case.outcome != Outcome::Refused(name.clone()));
    }
    forecast.cases.extend(cases);
}

/// Keeps a copy of the node's disk.
fn save(world: &mut World, node: u16, fresh: bool) {
    let Some(disk) = world.disk_mut(node) else {
        return;
    };
    let mut copy = disk.files.clone();
    if let Some(sidecar) = &mut copy.sidecar {
        sidecar.lags |= fresh;
    }
    disk.saved = Some(copy);
}
