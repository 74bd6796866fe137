//! What a call of the administration comes to.

use crate::apply;
use crate::case::{Forecast, refused};
use crate::gate::{self, Bar};
use crate::nodes::Nodes;
use crate::outcome::Outcome;
use crate::setup::SidecarPath;
use crate::step::{Call, Send};
use crate::world::{Change, Entry, World};

/// The step `Call`.
#[derive(Clone, Debug)]
pub(crate) struct CallStep {
    pub call: Call,
    pub at: u16,
    pub leads: bool,
    pub send: Send,
    pub epoch: Option<u32>,
    pub disturbed: bool,
    pub unreachable: Vec<u16>,
}

/// What may come of a call that nodes are ended or cut off under, or that meets another.
const PASSING: [&str; 12] = [
    "another-change-pending",
    "raced-rotation",
    "writes-not-drained",
    "cutover-unsafe",
    "member-unreachable",
    "capability-not-checked",
    "epoch-behind-registry",
    "epoch-not-registered",
    "writer-not-registered",
    "member-not-registered",
    "rotation-pending",
    "sidecar-missing",
];

impl CallStep {
    pub fn forecast(&self, nodes: &Nodes, world: &World) -> Forecast {
        let mut world = world.clone();
        world.fresh = false;
        if !nodes.is_up(self.at) {
            return unanswered(&world, "the node that is called is not up");
        }
        if self.call == Call::Resync {
            return self.resync(nodes, &world);
        }
        let harmed = nodes.is_harmed(self.at);
        let bars = gate::bars(nodes, &world, self);
        let bar = bars.iter().find(|bar| bar.certain).filter(|_| !harmed);
        let quorum = world.is_majority(|voter| {
            voter == self.at || (nodes.is_up(voter) && !self.unreachable.contains(&voter))
        });
        let mut forecast = match bar {
            Some(bar) => Forecast::new(bar.invariant, bar.text.clone()),
            None => self.not_barred(nodes, &world, quorum || harmed),
        };
        self.add_refusals(&mut forecast, &bars, &world, quorum);
        if harmed {
            "the node that is called is beyond saying".clone_into(&mut forecast.because);
            forecast.nothing(Outcome::Any, &world);
        }
        forecast
    }

    fn not_barred(&self, nodes: &Nodes, world: &World, quorum: bool) -> Forecast {
        let (invariant, because) = self.why(nodes, world, quorum);
        let mut forecast = Forecast::new(invariant, because);
        for entries in self.effects(nodes, world) {
            let mut next = world.clone();
            let unchanged = entries.is_empty();
            let members = apply::commit(&mut next, nodes, &entries, &self.unreachable);
            self.register(&mut next);
            if quorum || self.disturbed {
                let (next, members) = (next.clone(), members.clone());
                forecast.case(Outcome::Accepted, next, members, unchanged);
            }
            forecast.case(Outcome::Indeterminate, next, members, unchanged);
            // Of two entries the first may have come through alone.
            if let [first, _, ..] = entries[..] {
                let mut next = world.clone();
                let members = apply::commit(&mut next, nodes, &[first], &self.unreachable);
                forecast.case(Outcome::Indeterminate, next, members, false);
            }
        }
        forecast.nothing(Outcome::Indeterminate, world);
        forecast
    }

    /// What an acceptance may have put into the log: one of these.
    fn effects(&self, nodes: &Nodes, world: &World) -> Vec<Vec<Entry>> {
        let once = |change| Entry {
            change,
            certain: true,
        };
        let maybe = |change| Entry {
            change,
            certain: false,
        };
        // Only a node that is beyond saying takes what needs keys when there are none.
        let needs_keys = !matches!(self.call, Call::Bootstrap | Call::EnableStorageEnvelope);
        if needs_keys && !world.bootstrapped() {
            return vec![Vec::new()];
        }
        let cutover = match self.call {
            Call::Bootstrap => (world.bootstrapped(), Change::Bootstrap),
            Call::EnableStorageEnvelope => (world.storage_phase(), Change::StorageCutover),
            Call::EnableRaftEnvelope => (world.raft_phase(), Change::RaftCutover),
            Call::RotateStorage => return self.rotations(nodes, Change::RotateStorage),
            Call::RotateRaft => return self.rotations(nodes, Change::RotateRaft),
            Call::RegisterWriter | Call::Resync => return vec![Vec::new()],
        };
        let (done, change) = cutover;
        if done {
            return vec![Vec::new()];
        }
        let mut entries = vec![once(change)];
        if change == Change::StorageCutover && !world.bootstrapped() {
            entries.insert(0, once(Change::Bootstrap));
        }
        let mut effects = vec![entries];
        if self.send == Send::Late {
            // The late one is the first of its kind that is taken, or one that changes nothing.
            effects.push(Vec::new());
        }
        if self.call != Call::Bootstrap && world.bootstrapped() && nodes.rotator_up() {
            for entries in &mut effects {
                entries.push(maybe(Change::RotateRaft));
            }
        }
        effects
    }

    /// An epoch registered by hand is what the next start is measured against.
    fn register(&self, world: &mut World) {
        let (Call::RegisterWriter, Some(epoch)) = (self.call, self.epoch) else {
            return;
        };
        let rotated = world.has(Change::RotateStorage);
        if let Some(row) = world.registered.get_mut(usize::from(self.at)) {
            row.possible = row.possible.max(epoch);
            // A rotation begins epochs anew: only before the first one do they count loads.
            if !rotated {
                row.certain = row.certain.max(epoch);
            }
        }
    }

    fn rotations(&self, nodes: &Nodes, change: Change) -> Vec<Vec<Entry>> {
        let entry = |certain| Entry { change, certain };
        match self.send {
            Send::Once | Send::Twice => vec![vec![entry(true)]],
            // One of them may have been refused.
            Send::Concurrent => vec![vec![entry(true), entry(false)]],
            Send::Late if nodes.settled(self.call) => vec![Vec::new()],
            Send::Late => vec![vec![entry(false)]],
        }
    }

    fn why(&self, nodes: &Nodes, world: &World, quorum: bool) -> (&'static str, String) {
        if !quorum {
            let because = "no majority can be reached: it is refused, or its outcome is not known";
            return ("ROL-GATE", because.to_owned());
        }
        let effects = self.effects(nodes, world);
        if effects.iter().all(Vec::is_empty) || self.send != Send::Once {
            let because = format!("{} again changes no key and no flag", self.call);
            return ("ROL-IDEMPOTENT", because);
        }
        let all = "flag, KEK and sidecar path are all given";
        match self.call {
            Call::EnableStorageEnvelope => (
                "ROL-CAPABLE",
                "every member is capable: phase 1 is turned on".to_owned(),
            ),
            Call::EnableRaftEnvelope => (
                "ROL-BARRIER",
                "every member is capable: phase 2 is turned on, and its barrier ends".to_owned(),
            ),
            call => ("ROL-GATE", format!("{all}: {call} is taken")),
        }
    }

    fn add_refusals(&self, forecast: &mut Forecast, bars: &[Bar], world: &World, quorum: bool) {
        let mut names: Vec<&str> = Vec::new();
        // What must be refused is named first.
        for certain in [true, false] {
            let bars = bars.iter().filter(|bar| bar.certain == certain);
            names.extend(bars.flat_map(|bar| bar.names));
        }
        names.extend(["not-leader", "leader-not-verified"]);
        let stormy = self.disturbed || !quorum || !self.unreachable.is_empty();
        if stormy || self.send == Send::Concurrent {
            names.extend(PASSING);
        }
        for (at, name) in names.iter().enumerate() {
            if !names[..at].contains(name) {
                forecast.nothing(refused(name), world);
            }
        }
        if self.send == Send::Late {
            forecast.nothing(Outcome::Refused(None), world);
        }
        if stormy {
            forecast.nothing(Outcome::Failed, world);
            forecast.nothing(Outcome::Indeterminate, world);
        }
    }

    /// A question: it changes nothing, and is answered by a leader that has keys.
    fn resync(&self, nodes: &Nodes, world: &World) -> Forecast {
        let has_keys = world.files(self.at).sidecar.is_some()
            && nodes.setup(self.at).sidecar == SidecarPath::On;
        let mut forecast = Forecast::new("ROL-GATE", "it asks, and changes nothing");
        if self.leads {
            forecast.nothing(Outcome::Accepted, world);
        }
        for name in ["not-leader", "leader-not-verified"] {
            forecast.nothing(refused(name), world);
        }
        if !has_keys || nodes.is_harmed(self.at) {
            forecast.nothing(Outcome::Refused(None), world);
        }
        for outcome in [Outcome::Failed, Outcome::Indeterminate] {
            forecast.nothing(outcome, world);
        }
        forecast
    }
}

/// Nobody is there to answer.
fn unanswered(world: &World, because: &str) -> Forecast {
    let mut forecast = Forecast::new("ROL-GATE", because);
    for outcome in [
        Outcome::Failed,
        Outcome::Refused(None),
        Outcome::Indeterminate,
    ] {
        forecast.nothing(outcome, world);
    }
    forecast
}
