//! One possible course of things: what is replicated, and what lies on each node's disk.

use std::collections::BTreeMap;

/// What an encryption entry of the log does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Bootstrap,
    RotateStorage,
    RotateRaft,
    StorageCutover,
    RaftCutover,
}

/// An encryption entry of the log, or one that may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub change: Change,
    /// False for a rotation whose answer was lost, or that a leader may have made by itself.
    pub certain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Voter,
    Learner,
}

/// How much of the epochs of the active storage key is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Epoch {
    Usual,
    /// 0xFFFE: one start is left.
    Near,
    /// 0xFFFF: none is.
    Last,
    /// None was under the key before: a store may begin anew under the new one, or go on.
    Carried,
}

/// A sidecar file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sidecar {
    /// How many entries of the log it holds.
    pub covers: usize,
    /// Whether the newest of them may be missing: it was copied right after they were committed.
    pub lags: bool,
    /// Process loads that have taken an epoch.
    pub loads: u32,
    pub epoch: Epoch,
    pub corrupt: bool,
    /// Whether its cutover index was lowered.
    pub cutover_off: bool,
}

/// What lies on a node's disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// How many entries of the log its state holds.
    pub applied: usize,
    pub sidecar: Option<Sidecar>,
    /// Whether nobody can say any more what is there.
    pub vague: bool,
}

/// A node's disk, and the copies of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disk {
    pub files: Files,
    /// The copy that was last saved.
    pub saved: Option<Files>,
    /// The files before they were last tampered with.
    pub before: Option<Files>,
}

/// The loads that the registry knows of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registered {
    pub certain: u32,
    pub possible: u32,
}

/// One possible course of things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct World {
    /// The encryption entries that are committed, in their order.
    pub log: Vec<Entry>,
    /// Whether the newest was committed by the last step, so that not every node need have it.
    pub fresh: bool,
    pub members: BTreeMap<u16, Role>,
    /// By position.
    pub disks: Vec<Disk>,
    /// By position.
    pub registered: Vec<Registered>,
    /// Members whose ids share 16 bits with another's.
    pub colliding: Vec<u16>,
}

impl World {
    pub fn new(members: u16, nodes: u16) -> Self {
        Self {
            log: Vec::new(),
            fresh: false,
            members: (0..members).map(|node| (node, Role::Voter)).collect(),
            disks: vec![Disk::default(); usize::from(nodes)],
            registered: vec![Registered::default(); usize::from(nodes)],
            colliding: Vec::new(),
        }
    }

    /// Whether such an entry is, or may be, in the log.
    pub fn has(&self, change: Change) -> bool {
        self.log.iter().any(|entry| entry.change == change)
    }

    pub fn bootstrapped(&self) -> bool {
        self.has(Change::Bootstrap)
    }

    /// Whether phase 1 is on.
    pub fn storage_phase(&self) -> bool {
        self.has(Change::StorageCutover)
    }

    /// Whether phase 2 is on.
    pub fn raft_phase(&self) -> bool {
        self.has(Change::RaftCutover)
    }

    pub fn any_phase(&self) -> bool {
        self.storage_phase() || self.raft_phase()
    }

    pub fn disk(&self, node: u16) -> Option<&Disk> {
        self.disks.get(usize::from(node))
    }

    pub fn files(&self, node: u16) -> Files {
        self.disk(node)
            .map_or_else(Files::default, |disk| disk.files.clone())
    }

    pub fn disk_mut(&mut self, node: u16) -> Option<&mut Disk> {
        self.disks.get_mut(usize::from(node))
    }

    pub fn registered(&self, node: u16) -> Registered {
        let row = self.registered.get(usize::from(node));
        row.copied().unwrap_or_default()
    }

    pub fn voters(&self) -> impl Iterator<Item = u16> + '_ {
        let members = self.members.iter();
        members.filter_map(|(node, role)| (*role == Role::Voter).then_some(*node))
    }

    /// Whether these voters are a majority.
    pub fn is_majority(&self, voter: impl Fn(u16) -> bool) -> bool {
        self.voters().filter(|node| voter(*node)).count() * 2 > self.voters().count()
    }
}
