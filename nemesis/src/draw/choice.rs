//! What kinds of steps there are, and how often each is taken: so that keys are made, phases
//! turned on and releases rolled on, and what must be refused is tried in between.

use std::collections::BTreeSet;

use keyquake_rollout::{Call, MemberChange, Model, Send, Step, Tamper};

use super::outlook::{End, all_up};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A node that is down comes back.
    Repair,
    /// A node that is down is started, and must not serve.
    Stubborn,
    /// All members are rolled on.
    Onward,
    /// One node is: a later release.
    Forward,
    /// An earlier one.
    Back,
    /// The same as before.
    Restart,
    /// Flags that it serves with.
    Flags,
    /// Flags that it must not start with.
    Guarded,
    /// Files that it must not start with.
    Tampered,
    /// A sidecar that was saved before.
    Older,
    /// Its disk is saved.
    Saved,
    /// Somebody else leads.
    Transfer,
    /// Keys are made, or a phase is turned on.
    Progress,
    /// A key is rotated.
    Rotation,
    /// A call that is taken, and changes no key.
    Again,
    /// The last request of a call, once more.
    Late,
    /// A call, or a newcomer, that must be refused.
    Refused,
    /// A spare is added.
    Join,
    /// A learner gets its vote.
    Promote,
    /// A spare is removed again.
    Leave,
    /// A member is replaced.
    Replace,
}

/// Each as often as the number says, among those that can be.
pub(super) const WEIGHTS: [(Kind, u64); 21] = [
    (Kind::Repair, 40),
    (Kind::Stubborn, 5),
    (Kind::Onward, 20),
    (Kind::Forward, 6),
    (Kind::Back, 2),
    (Kind::Restart, 2),
    (Kind::Flags, 3),
    (Kind::Guarded, 6),
    (Kind::Tampered, 6),
    (Kind::Older, 10),
    (Kind::Saved, 4),
    (Kind::Transfer, 3),
    (Kind::Progress, 30),
    (Kind::Rotation, 10),
    (Kind::Again, 5),
    (Kind::Late, 4),
    (Kind::Refused, 4),
    (Kind::Join, 4),
    (Kind::Promote, 12),
    (Kind::Leave, 4),
    (Kind::Replace, 2),
];

/// Those that can be done while a fault keeps a node away.
pub(super) const MEANWHILE: [Kind; 8] = [
    Kind::Progress,
    Kind::Rotation,
    Kind::Again,
    Kind::Late,
    Kind::Refused,
    Kind::Forward,
    Kind::Restart,
    Kind::Flags,
];

/// What a step may turn out to be, by itself and by how it ends; `None` if nights have no such
/// step. `born` nodes were members from the beginning: clients speak to them, so they stay.
/// `joined` spares have a disk by now, and can't join again.
pub(super) fn kind(
    model: &Model,
    step: &Step,
    end: End,
    born: u16,
    joined: &BTreeSet<u16>,
) -> Option<Kind> {
    Some(match step {
        Step::Start {
            node,
            setup,
            tampers,
            ..
        } => {
            let before = model.setup(*node)?;
            match (model.is_up(*node), end) {
                (false, End::Done) => Kind::Repair,
                (false, End::Barred) => Kind::Stubborn,
                (true, End::Barred) if tampers.is_empty() => Kind::Guarded,
                (true, End::Barred) if tampers.contains(&Tamper::SidecarOlder) => Kind::Older,
                (true, End::Barred) => Kind::Tampered,
                (true, End::Done) if !tampers.is_empty() => return None,
                (true, End::Done) if setup.release > before.release => Kind::Forward,
                (true, End::Done) if setup.release < before.release => Kind::Back,
                (true, End::Done) if *setup == before => Kind::Restart,
                (true, End::Done) => Kind::Flags,
            }
        }
        Step::Save { .. } => Kind::Saved,
        Step::Transfer { .. } => Kind::Transfer,
        Step::Call { call, send, .. } => call_kind(model, *call, *send, end)?,
        Step::Member { change, node, .. } => match (change, end) {
            _ if !all_up(model) => return None,
            (MemberChange::AddLearner | MemberChange::AddVoter, _) if joined.contains(node) => {
                return None;
            }
            (MemberChange::Remove, _) if *node < born => return None,
            (_, End::Barred) => Kind::Refused,
            (MemberChange::AddLearner | MemberChange::AddVoter, _) => Kind::Join,
            (MemberChange::Promote, _) => Kind::Promote,
            (MemberChange::Remove, _) => Kind::Leave,
            (MemberChange::Replace, _) => Kind::Replace,
        },
        Step::Down { .. } => return None,
    })
}

fn call_kind(model: &Model, call: Call, send: Send, end: End) -> Option<Kind> {
    let done = match call {
        Call::Bootstrap => model.is_bootstrapped(),
        Call::EnableStorageEnvelope => model.storage_cutover(),
        Call::EnableRaftEnvelope => model.raft_cutover(),
        Call::RotateStorage | Call::RotateRaft => false,
        Call::RegisterWriter | Call::Resync => true,
    };
    // By the table of stages it makes the keys first; stores have none to make.
    if call == Call::EnableStorageEnvelope && end == End::Done && !model.is_bootstrapped() {
        return None;
    }
    let rotation = matches!(call, Call::RotateStorage | Call::RotateRaft);
    Some(match end {
        End::Barred => Kind::Refused,
        End::Done if send == Send::Late => Kind::Late,
        End::Done if done => Kind::Again,
        End::Done if rotation => Kind::Rotation,
        End::Done => Kind::Progress,
    })
}
