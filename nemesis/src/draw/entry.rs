//! A step of the model as an entry of a plan.

use std::time::Duration;

use keyquake_rollout::{Call, FlagChange, MemberChange, Model, Release, Setup, Step, Switch};

use crate::catalogue::FaultName;
use crate::moment::{Moment, When};
use crate::operator::{CallRequest, Roll};
use crate::schedule::{Details, PlannedFault};
use crate::target::Target;

/// An entry that begins at a time, in milliseconds.
fn entry(at: u64, fault: FaultName, target: Target, details: Details) -> PlannedFault {
    PlannedFault {
        at: Duration::from_millis(at),
        when: None,
        until: None,
        hold: Duration::ZERO,
        fault,
        target,
        details,
        expect: Default::default(),
    }
}

/// A fault that is held.
pub(super) fn held(at: u64, hold: u64, fault: FaultName, target: Target) -> PlannedFault {
    PlannedFault {
        hold: Duration::from_millis(hold),
        ..entry(at, fault, target, Details::None)
    }
}

/// A fault that hits whoever leads while a call is in flight: at once, for later it may be over.
pub(super) fn hitting(call: Call, hold: u64, fault: FaultName) -> PlannedFault {
    PlannedFault {
        when: Some(When {
            moment: Moment::During(call),
            within: None,
        }),
        ..held(0, hold, fault, Target::Leader)
    }
}

/// A call.
pub(super) fn call(
    at: u64,
    step: &Step,
    target: Target,
    deadline: Option<u64>,
) -> Option<PlannedFault> {
    let Step::Call {
        call, send, epoch, ..
    } = step
    else {
        return None;
    };
    let request = CallRequest {
        call: *call,
        send: *send,
        deadline: deadline.map(Duration::from_millis),
        epoch: *epoch,
    };
    Some(entry(at, FaultName::Admin, target, Details::Admin(request)))
}

/// All members on one release, one after another.
pub(super) fn roll_all(at: u64, release: Release, encryption: Option<Switch>) -> PlannedFault {
    let roll = Roll {
        release: Some(release.to_string()),
        flags: FlagChange {
            encryption,
            ..FlagChange::default()
        },
        tampers: Vec::new(),
    };
    entry(at, FaultName::Roll, Target::All, Details::Roll(roll))
}

/// Any other step than a call; `None` if plans have none for it.
pub(super) fn step(at: u64, model: &Model, step: &Step) -> Option<PlannedFault> {
    let one = |node: &u16| Target::Nodes(vec![*node]);
    Some(match step {
        Step::Start {
            node,
            setup,
            tampers,
            ..
        } => {
            let before = model.setup(*node)?;
            let flags = change(&before, setup);
            let nothing = flags == FlagChange::default() && tampers.is_empty();
            let release =
                (setup.release != before.release || nothing).then(|| setup.release.to_string());
            let roll = Roll {
                release,
                flags,
                tampers: tampers.clone(),
            };
            entry(at, FaultName::Roll, one(node), Details::Roll(roll))
        }
        Step::Save { node } => entry(at, FaultName::Save, one(node), Details::None),
        Step::Transfer { to } => entry(at, FaultName::Transfer, one(to), Details::None),
        Step::Member {
            change,
            node,
            setup,
            ..
        } => {
            let roll = match change.adds() {
                true => newcomer(*change, setup),
                false => Roll::default(),
            };
            let details = Details::Member(*change, roll);
            entry(at, FaultName::Member, one(node), details)
        }
        Step::Call { .. } | Step::Down { .. } => return None,
    })
}

/// What a newcomer is, said whole: nobody need know what it was prepared as.
fn newcomer(change: MemberChange, setup: &Setup) -> Roll {
    let encryption = match setup.enabled {
        true => Switch::On,
        false => Switch::Off,
    };
    // Only who was a member before can have been asked to.
    let rotates = change == MemberChange::Replace && setup.release >= Release::R6F;
    Roll {
        release: Some(setup.release.to_string()),
        flags: FlagChange {
            encryption: Some(encryption),
            rotate_on_startup: rotates.then_some(Switch::Off),
            ..FlagChange::default()
        },
        tampers: Vec::new(),
    }
}

/// The flags that make one setup of another: all at once where that says it.
pub(super) fn change(before: &Setup, after: &Setup) -> FlagChange {
    let switch = |on| match on {
        true => Switch::On,
        false => Switch::Off,
    };
    let parts = |setup: &Setup| (setup.enabled, setup.kek, setup.sidecar);
    let rotate_on_startup = (before.rotate_on_startup != after.rotate_on_startup)
        .then(|| switch(after.rotate_on_startup));
    let rest = FlagChange {
        rotate_on_startup,
        ..FlagChange::default()
    };
    if parts(before) == parts(after) {
        return rest;
    }
    let at_once = [
        (Setup::full(after.release), Switch::On),
        (Setup::bare(after.release), Switch::Off),
    ];
    if let Some((_, encryption)) = at_once.iter().find(|(all, _)| parts(all) == parts(after)) {
        return FlagChange {
            encryption: Some(*encryption),
            ..rest
        };
    }
    FlagChange {
        flag: (before.enabled != after.enabled).then(|| switch(after.enabled)),
        kek: (before.kek != after.kek).then_some(after.kek),
        sidecar: (before.sidecar != after.sidecar).then_some(after.sidecar),
        ..rest
    }
}
