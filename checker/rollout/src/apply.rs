//! What a process does when it comes to an encryption entry: applies it, or halts.

use std::collections::BTreeMap;

use crate::nodes::{Nodes, full};
use crate::outcome::Outcome;
use crate::release::Release;
use crate::setup::{KekFile, Setup, SidecarPath};
use crate::step::{Call, MemberChange};
use crate::world::{Change, Entry, Epoch, Files, Registered, Role, Sidecar, World};

pub(crate) const KEK_NOT_CONFIGURED: &str = "ErrKEKNotConfigured";

/// What becomes of members, by position.
pub(crate) type Members = BTreeMap<u16, Vec<Outcome>>;

/// Why a process goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Halt {
    /// `None`: the tables give it no name.
    pub name: Option<&'static str>,
    /// Whether it is certain that it does.
    pub certain: bool,
}

impl Halt {
    pub fn outcome(&self) -> Outcome {
        Outcome::Halts(self.name.map(str::to_owned))
    }

    fn certain(name: Option<&'static str>) -> Option<Self> {
        Some(Self {
            name,
            certain: true,
        })
    }
}

/// Whether a process halts at such an entry.
fn at(entry: Entry, setup: &Setup) -> Option<Halt> {
    let cutover = matches!(entry.change, Change::StorageCutover | Change::RaftCutover);
    let halt = match setup.release {
        Release::R5D => Halt::certain(None),
        Release::R6A => Halt::certain(Some(KEK_NOT_CONFIGURED)),
        _ if setup.kek == KekFile::Absent => Halt::certain(Some(KEK_NOT_CONFIGURED)),
        // The key can't be opened, or there is nowhere to keep it.
        _ if setup.kek != KekFile::Own && !cutover => Halt::certain(None),
        _ if setup.sidecar == SidecarPath::Off => Halt::certain(None),
        _ if setup.sidecar == SidecarPath::Undurable => Some(Halt {
            name: None,
            certain: false,
        }),
        release if release < knows(entry.change) => Halt::certain(None),
        _ => None,
    }?;
    Some(Halt {
        certain: halt.certain && entry.certain,
        ..halt
    })
}

/// The first release that can apply it.
fn knows(change: Change) -> Release {
    match change {
        Change::Bootstrap | Change::RotateStorage | Change::RotateRaft => Release::R6B,
        Change::StorageCutover => Release::R6D,
        Change::RaftCutover => Release::R6E,
    }
}

/// The files after an entry was applied.
fn take(files: &mut Files, entry: Entry, registered: Registered) {
    files.applied += 1;
    if entry.change == Change::Bootstrap && files.sidecar.is_none() {
        // A disk that is new under an id that has registered begins above that.
        let used = registered.possible;
        files.sidecar = Some(Sidecar {
            covers: 0,
            lags: false,
            loads: if used > 0 { used + 1 } else { 0 },
            epoch: Epoch::Usual,
            corrupt: false,
            cutover_off: false,
        });
    }
    if let Some(sidecar) = &mut files.sidecar {
        sidecar.covers = files.applied;
        sidecar.lags = false;
        if entry.change == Change::RotateStorage && sidecar.epoch != Epoch::Usual {
            sidecar.epoch = Epoch::Carried;
        }
    }
}

/// A process with these files applies what is committed, as far as it can.
pub(crate) fn advance(world: &mut World, node: u16, setup: &Setup) -> Option<Halt> {
    let log = world.log.clone();
    let registered = world.registered(node);
    let files = &mut world.disk_mut(node)?.files;
    while let Some(entry) = log.get(files.applied) {
        if let Some(halt) = at(*entry, setup) {
            return Some(halt);
        }
        take(files, *entry, registered);
    }
    None
}

/// Every process that runs has come as far as it can; a leader may have rotated by itself. What
/// may become of members at any moment, because of what is behind them, is given back.
pub(crate) fn settle(world: &mut World, nodes: &Nodes) -> Members {
    if nodes.rotator_up() && world.bootstrapped() {
        world.log.push(Entry {
            change: Change::RotateStorage,
            certain: false,
        });
    }
    let members: Vec<_> = world.members.keys().copied().collect();
    let mut restless = Members::new();
    for node in members.into_iter().filter(|node| nodes.is_up(*node)) {
        let setup = nodes.setup(node);
        let mut may = Vec::new();
        if let Some(halt) = advance(world, node, &setup) {
            may.push(halt.outcome());
        }
        // Registrations come by themselves; a rolled-back process may meet what it has applied.
        if world.bootstrapped() && !applies_everything(world, &setup) {
            may.push(lame(&setup).outcome());
        }
        if !may.is_empty() {
            may.push(Outcome::Serves);
            may.dedup();
            restless.insert(node, may);
        }
    }
    restless
}

/// Whether a process with these flags can apply whatever the log holds.
pub(crate) fn applies_everything(world: &World, setup: &Setup) -> bool {
    world.log.iter().all(|entry| at(*entry, setup).is_none())
}

/// The halt of a process that can't apply what it has passed.
pub(crate) fn lame(setup: &Setup) -> Halt {
    let kekless = setup.release == Release::R6A
        || (setup.release > Release::R6A && setup.kek == KekFile::Absent);
    Halt {
        name: kekless.then_some(KEK_NOT_CONFIGURED),
        certain: false,
    }
}

/// Entries are committed; what becomes of the members that hear of it.
pub(crate) fn commit(world: &mut World, nodes: &Nodes, entries: &[Entry], deaf: &[u16]) -> Members {
    world.log.extend(entries);
    world.fresh |= !entries.is_empty();
    let members: Vec<_> = world.members.keys().copied().collect();
    let mut become_of = Members::new();
    for node in members.into_iter().filter(|node| nodes.is_up(*node)) {
        let before = world.files(node);
        let Some(halt) = advance(world, node, &nodes.setup(node)) else {
            if deaf.contains(&node)
                && let Some(disk) = world.disk_mut(node)
            {
                disk.files = before;
            }
            continue;
        };
        let mut outcomes = vec![halt.outcome()];
        if !halt.certain || deaf.contains(&node) {
            outcomes.push(Outcome::Serves);
        }
        become_of.insert(node, outcomes);
    }
    become_of
}

/// A process came up and serves: it has applied what there is, and has registered its epoch.
pub(crate) fn served(world: &mut World, node: u16, setup: &Setup) {
    let counted = full(setup) && setup.release >= Release::R6D;
    let had_keys = world.files(node).sidecar.is_some();
    if counted && had_keys {
        load(world, node);
    }
    let _ = advance(world, node, setup);
    let loads = world.files(node).sidecar.map(|sidecar| sidecar.loads);
    if let (true, Some(loads)) = (counted, loads)
        && let Some(row) = world.registered.get_mut(usize::from(node))
    {
        row.certain = row.certain.max(loads);
        row.possible = row.possible.max(loads);
    }
}

/// A process takes an epoch.
pub(crate) fn load(world: &mut World, node: u16) {
    let Some(sidecar) = world
        .disk_mut(node)
        .and_then(|disk| disk.files.sidecar.as_mut())
    else {
        return;
    };
    sidecar.loads += 1;
    let loads = sidecar.loads;
    sidecar.epoch = match sidecar.epoch {
        Epoch::Near | Epoch::Last => Epoch::Last,
        // It could not have started but under an epoch that was left.
        Epoch::Carried | Epoch::Usual => Epoch::Usual,
    };
    if let Some(row) = world.registered.get_mut(usize::from(node)) {
        row.possible = row.possible.max(loads);
    }
}

/// A member was seen to halt: it has not applied the entry it stands before, so that entry is there.
pub(crate) fn halted(world: &mut World, node: u16) {
    let applied = world.files(node).applied;
    if let Some(entry) = world.log.get_mut(applied) {
        entry.certain = true;
    }
}

/// Nobody could tell what came of a start: its epoch need not have been registered.
pub(crate) fn unregistered(world: &mut World, before: &World, node: u16) {
    let certain = before.registered(node).certain;
    if let Some(row) = world.registered.get_mut(usize::from(node)) {
        row.certain = certain.min(row.certain);
    }
}

/// A call was taken that must not be: what it is for is in the log all the same.
pub(crate) fn force(world: &mut World, nodes: &Nodes, call: Call) {
    let (done, change) = match call {
        Call::Bootstrap => (world.bootstrapped(), Change::Bootstrap),
        Call::EnableStorageEnvelope => (world.storage_phase(), Change::StorageCutover),
        Call::EnableRaftEnvelope => (world.raft_phase(), Change::RaftCutover),
        Call::RotateStorage => (false, Change::RotateStorage),
        Call::RotateRaft => (false, Change::RotateRaft),
        Call::RegisterWriter | Call::Resync => return,
    };
    // Without keys there is nothing that any of them could have turned.
    let possible = world.bootstrapped() || change == Change::Bootstrap;
    if possible && !done {
        let certain = true;
        let _ = commit(world, nodes, &[Entry { change, certain }], &[]);
    }
}

/// A change of members was taken that must not be.
pub(crate) fn force_member(world: &mut World, change: MemberChange, node: u16) {
    let role = match change {
        MemberChange::Remove => None,
        MemberChange::AddLearner => Some(Role::Learner),
        MemberChange::AddVoter | MemberChange::Promote | MemberChange::Replace => Some(Role::Voter),
    };
    match role {
        Some(role) => world.members.insert(node, role),
        None => world.members.remove(&node),
    };
}
