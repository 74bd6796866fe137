//! `evidence/evidence.json`: what was collected while a run went on, and when.
//!
//! Times are nanoseconds on the history's clock. Paths are from the run's folder.

use serde::{Deserialize, Serialize};

/// The version of `evidence.json` that this code writes, and the newest it reads.
pub const EVIDENCE_FORMAT: u32 = 1;

/// All that was collected. Field order is the file's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceIndex {
    /// Version of this file; see [`EVIDENCE_FORMAT`].
    pub format: u32,
    /// Copies of the nodes' files, oldest first.
    pub collections: Vec<Collection>,
    /// Every state of every sidecar that was seen, oldest first.
    pub sidecars: Vec<SidecarState>,
    /// Every process of every node, in the order in which they were seen first.
    pub loads: Vec<Load>,
    /// Bytes that the copies take.
    pub bytes: u64,
    /// What could not be collected, and why.
    pub lost: Vec<String>,
    /// Whether this is all there is: false while the run goes on, and for ever if it is cut off.
    pub complete: bool,
}

/// One look at the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// Its folder (`evidence/007-after-fault-3`).
    pub folder: String,
    /// Why it was made: `after fault 3 (kill)`, `n2 went down`, `finding`.
    pub why: String,
    /// When it began.
    pub time_ns: u64,
    /// How many operations the history had completed by then.
    pub operations: u64,
    /// The nodes whose files were copied.
    pub nodes: Vec<NodeCopy>,
    /// What nodes answered.
    pub answers: Vec<NodeAnswer>,
}

/// The files of one node in a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeCopy {
    /// Its name.
    pub node: String,
    /// The folder of the copy: `data/<raft id>`, `keys`, `deleted` below it.
    pub folder: String,
    /// The name of its data directory, which is its id in the Raft group.
    pub raft_id: String,
    /// When the copy began.
    pub time_ns: u64,
    /// How it stood still: `stopped` for the copy, `paused` by a fault, or `down`.
    pub stood: String,
    /// How long it was stopped, if it was.
    pub stopped_ns: u64,
    /// The process whose files these are: the last that ran; `None` if none ever did.
    pub pid: Option<u32>,
}

/// What a node said to a question: the protobuf message as it came, in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAnswer {
    /// Who answered.
    pub node: String,
    /// The question: `GetSidecarState`, `GetCapability`.
    pub question: String,
    /// When it was asked.
    pub time_ns: u64,
    /// The file.
    pub file: String,
}

/// A state of a node's sidecar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SidecarState {
    /// The node.
    pub node: String,
    /// When it was seen first.
    pub time_ns: u64,
    /// When it was last seen that the state before was still there; 0 for the first.
    pub not_yet_ns: u64,
    /// The copy; `None` when there was no file.
    pub file: Option<String>,
    /// The process that ran then, if one did.
    pub pid: Option<u32>,
    /// The keys in use, for pictures: storage, raft; 0 for none.
    pub active: (u32, u32),
    /// Whether values are encrypted.
    pub storage_on: bool,
    /// The raft cutover; 0 before it.
    pub raft_cutover: u64,
    /// The node's epoch under the active storage key.
    pub epoch: u16,
}

/// One process of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// The node.
    pub node: String,
    /// The process.
    pub pid: u32,
    /// Its release.
    pub release: String,
    /// Its flags of encryption, in words (`encryption on, kek own`); empty for none.
    pub flags: String,
    /// Whether it has flag, KEK and sidecar path.
    pub capable: bool,
    /// Whether it was asked to rotate at its start.
    pub rotates_on_startup: bool,
    /// When it was seen first.
    pub begun_ns: u64,
    /// When it was seen to have ended; `None` for one that ran to the end of the run.
    pub ended_ns: Option<u64>,
    /// How it ended, in words.
    pub ending: Option<String>,
}
