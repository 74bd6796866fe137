//! Why a call is refused before anything is proposed: the proposer's own setup, what there is
//! already, and the members that have to be capable.

use crate::calls::CallStep;
use crate::nodes::{Nodes, full};
use crate::release::Release;
use crate::setup::{KekFile, Setup, SidecarPath};
use crate::step::Call;
use crate::world::{Change, World};

/// A reason to refuse a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    pub invariant: &'static str,
    /// The names that it may go by.
    pub names: &'static [&'static str],
    /// Whether the call must be refused, for this or another reason.
    pub certain: bool,
    pub text: String,
}

pub(crate) const NOT_LEADER: &[&str] = &["not-leader"];
const PROPOSER: &[&str] = &["proposer-not-configured"];
const NO_KEYS: &[&str] = &[
    "not-bootstrapped",
    "sidecar-missing",
    "ErrEncryptionNotBootstrapped",
];
const NO_KEY: &[&str] = &["key-unknown", "not-bootstrapped", "sidecar-missing"];
const TOO_OLD: &[&str] = &[
    "proposer-not-configured",
    "call-unknown",
    "cutover-not-wired",
    "member-not-capable",
];
const NOT_CAPABLE: &[&str] = &["member-not-capable"];
const UNREACHABLE: &[&str] = &["member-unreachable", "capability-not-checked"];
const REGISTERING: &[&str] = &[
    "epoch-behind-registry",
    "epoch-not-registered",
    "writer-not-registered",
    "member-not-registered",
];
const ROTATING: &[&str] = &[
    "rotation-pending",
    "raced-rotation",
    "another-change-pending",
];

/// The first release of which a member is capable of what the call turns on, if it is a cutover.
fn stage(call: Call) -> Option<Release> {
    match call {
        Call::EnableStorageEnvelope => Some(Release::R6D),
        Call::EnableRaftEnvelope => Some(Release::R6E),
        _ => None,
    }
}

/// Whether a member of this setup may be there when this is turned on.
pub(crate) fn capable(setup: &Setup, stage: Release) -> bool {
    setup.release >= stage
        && setup.enabled
        && !matches!(setup.kek, KekFile::Absent)
        && setup.sidecar == SidecarPath::On
}

/// All reasons that hold, and may hold.
pub(crate) fn bars(nodes: &Nodes, world: &World, step: &CallStep) -> Vec<Bar> {
    let mut bars = Vec::new();
    proposer(&mut bars, nodes, world, step);
    keys(&mut bars, nodes, world, step);
    if let Some(stage) = stage(step.call) {
        members(&mut bars, nodes, world, step, stage);
    }
    for (holds, names, text) in [
        (
            nodes.started,
            REGISTERING,
            "a process has just started, and may not be registered yet",
        ),
        (
            nodes.rotator_up(),
            ROTATING,
            "a leader may be rotating by itself",
        ),
    ] {
        if holds {
            add(&mut bars, "ROL-GATE", names, false, text);
        }
    }
    bars
}

fn add(
    bars: &mut Vec<Bar>,
    invariant: &'static str,
    names: &'static [&'static str],
    certain: bool,
    text: impl Into<String>,
) {
    bars.push(Bar {
        invariant,
        names,
        certain,
        text: text.into(),
    });
}

fn proposer(bars: &mut Vec<Bar>, nodes: &Nodes, world: &World, step: &CallStep) {
    let setup = nodes.setup(step.at);
    let mut members = world.members.keys();
    let inert = members.all(|node| nodes.setup(*node).release <= Release::R6A);
    let gate = if inert { "ROL-6A-INERT" } else { "ROL-GATE" };
    if setup.release < Release::R6B {
        let names = if stage(step.call).is_some() {
            TOO_OLD
        } else {
            PROPOSER
        };
        let text = format!("{} proposes nothing, whatever its flags", setup.release);
        add(bars, gate, names, true, text);
    } else if !full(&setup) {
        let text = "the proposer has not all of flag, KEK and sidecar path";
        let certain = matches!(setup.kek, KekFile::Own | KekFile::Absent)
            || !setup.enabled
            || setup.sidecar != SidecarPath::On;
        // With an undurable path the three are given, for what they are worth.
        let certain = certain && setup.sidecar != SidecarPath::Undurable;
        add(bars, gate, PROPOSER, certain, text);
        let holds_foreign = setup.kek == KekFile::Foreign;
        if holds_foreign
            && matches!(
                step.call,
                Call::Bootstrap | Call::RotateRaft | Call::RotateStorage
            )
        {
            let text = "the wrapped key does not open under the proposer's KEK";
            add(bars, "ROL-GATE", &["kek-mismatch"], true, text);
        }
    }
    if let Some(stage) = stage(step.call)
        && setup.release >= Release::R6B
        && setup.release < stage
    {
        let text = format!(
            "{} comes with {stage}, and the proposer is {}",
            step.call, setup.release
        );
        add(bars, "ROL-CAPABLE", TOO_OLD, true, text);
    }
    if !step.leads {
        let text = "the node does not lead";
        add(bars, "ROL-GATE", NOT_LEADER, true, text);
    }
}

fn keys(bars: &mut Vec<Bar>, nodes: &Nodes, world: &World, step: &CallStep) {
    let bootstrapped = world.bootstrapped();
    match step.call {
        Call::Bootstrap if bootstrapped => {
            let text = "there are keys, and a bootstrap never replaces them";
            add(
                bars,
                "ROL-IDEMPOTENT",
                &["already-bootstrapped"],
                false,
                text,
            );
        }
        Call::Bootstrap => {
            let collides = world
                .colliding
                .iter()
                .any(|node| world.members.contains_key(node));
            if collides {
                let text = "two members share the 16 bits of their ids";
                add(bars, "ROL-REFUSE", &["node-id-collision"], true, text);
            }
        }
        Call::RotateStorage | Call::RotateRaft | Call::EnableRaftEnvelope if !bootstrapped => {
            add(bars, "ROL-REFUSE", NO_KEYS, true, "there are no keys yet");
        }
        // By the table of stages it bootstraps first; the stores have no keys to do it with.
        Call::EnableStorageEnvelope if !bootstrapped => {
            add(bars, "ROL-REFUSE", NO_KEYS, false, "there are no keys yet");
        }
        Call::RegisterWriter if !bootstrapped => {
            add(bars, "ROL-REFUSE", NO_KEY, true, "there are no keys yet");
        }
        Call::RegisterWriter => epoch(bars, nodes, world, step),
        _ => {}
    }
}

/// An epoch that is registered by hand.
fn epoch(bars: &mut Vec<Bar>, nodes: &Nodes, world: &World, step: &CallStep) {
    let behind = &["epoch-behind-registry"];
    match step.epoch {
        Some(epoch) if epoch > u32::from(u16::MAX) => {
            let names = &["invalid-argument", "ErrLocalEpochOutOfRange"];
            add(
                bars,
                "ROL-REFUSE",
                names,
                true,
                "the epoch has more than 16 bits",
            );
        }
        Some(epoch) => {
            let lower = epoch < world.registered(step.at).certain && !nodes.is_harmed(step.at);
            // Rotations begin epochs anew: only before the first one is the number known.
            let rotated = world.has(Change::RotateStorage);
            let text = "the epoch may be behind the registry's";
            add(bars, "ROL-IDEMPOTENT", behind, lower && !rotated, text);
        }
        None => add(
            bars,
            "ROL-IDEMPOTENT",
            behind,
            false,
            "the epoch is registered already",
        ),
    }
}

fn members(bars: &mut Vec<Bar>, nodes: &Nodes, world: &World, step: &CallStep, stage: Release) {
    // A cutover that is active already asks nobody, or may.
    let active = match stage {
        Release::R6E => world.raft_phase(),
        _ => world.storage_phase(),
    };
    for node in world.members.keys().copied() {
        if step.unreachable.contains(&node) || !nodes.is_up(node) {
            let text = format!("the member at position {node} can't be asked");
            add(bars, "ROL-CAPABLE", UNREACHABLE, !active, text);
        } else if nodes.is_harmed(node) {
            add(
                bars,
                "ROL-CAPABLE",
                NOT_CAPABLE,
                false,
                "a member is beyond saying",
            );
        } else if !capable(&nodes.setup(node), stage) {
            let text = format!("the member at position {node} is not capable");
            add(bars, "ROL-CAPABLE", NOT_CAPABLE, !active, text);
        }
    }
}
