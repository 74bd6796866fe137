//! What was collected while a cluster ran: copies of its disks, states of its sidecars, answers,
//! and who ran when. All times are nanoseconds on one clock, the history's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::subject::NodeDisks;

/// Everything collected on the way, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Copies of nodes' files. The sidecar in each is that of the same moment.
    pub copies: Vec<DiskCopy>,
    /// States of sidecars, as they were seen.
    pub sidecars: Vec<SidecarSeen>,
    /// What nodes answered, each a file.
    pub answers: Vec<AnswerSeen>,
    /// The processes.
    pub loads: Vec<Load>,
    /// Calls that change keys, and what came of them.
    pub calls: Vec<CallMade>,
    /// Since when a node's files are not its own doing, because somebody tampered with them. What
    /// was collected of it later says nothing about the store.
    pub tampered: BTreeMap<String, u64>,
    /// What could not be collected.
    pub lost: Vec<String>,
}

/// The files of one node at one moment.
#[derive(Clone, Debug)]
pub struct DiskCopy {
    /// When they were copied.
    pub time_ns: u64,
    /// Where they lie now.
    pub disks: NodeDisks,
    /// Files that the process had deleted and held open.
    pub deleted: Option<PathBuf>,
    /// Whether the node's process had ended.
    pub down: bool,
}

/// A state of a node's sidecar.
#[derive(Clone, Debug)]
pub struct SidecarSeen {
    /// The node.
    pub node: String,
    /// When it was seen first.
    pub time_ns: u64,
    /// When the state before was last seen to be there still; 0 for the first.
    pub not_yet_ns: u64,
    /// A copy; `None` when there was no file.
    pub file: Option<PathBuf>,
}

/// What a node said, as the bytes that it said.
#[derive(Clone, Debug)]
pub struct AnswerSeen {
    /// Who said it.
    pub node: String,
    /// The bytes.
    pub file: PathBuf,
}

/// One process of a node.
#[derive(Clone, Debug)]
pub struct Load {
    /// The node.
    pub node: String,
    /// Whether its release can make no change of keys: 6A, or before.
    pub early: bool,
    /// Whether it can make none at all: also for want of flag, KEK or sidecar.
    pub inert: bool,
    /// Whether it was asked to rotate at its start.
    pub rotates_on_startup: bool,
    /// When it was seen first: not before it began.
    pub begun_ns: u64,
}

/// What kind of entry a call makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallKind {
    /// The first keys.
    Bootstrap,
    /// A new storage key.
    RotateStorage,
    /// A new raft key.
    RotateRaft,
    /// Phase 1's cutover.
    EnableStorage,
    /// Phase 2's cutover.
    EnableRaft,
}

/// A call that changes keys.
#[derive(Clone, Debug)]
pub struct CallMade {
    /// What it asks for.
    pub kind: CallKind,
    /// When its answer was known; 0 for one before the workloads.
    pub time_ns: u64,
    /// Whether it was accepted.
    pub accepted: bool,
    /// Whether keys are others once it is accepted: a request that was made before, or asks for what
    /// is so already, may be accepted without effect.
    pub must_change: bool,
    /// How many entries it may have made, accepted or not.
    pub entries_max: u32,
    /// The log index that was answered.
    pub index: Option<u64>,
}
