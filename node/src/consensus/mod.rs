//! Consensus: one thread owns raft-rs' state machine and the durable log, takes
//! everything through one inbox, and answers through channels.

mod apply;
mod driver;
mod generations;
mod handle;
mod keys;
mod log;
mod logger;
mod membership;
mod pending;
mod ready;
mod seeded;
mod snapshots;
mod status;
mod storage;
mod transfer;

pub use driver::{Driver, Setup};
pub use handle::{Input, KeysApplied, Node};
pub use log::{LogError, Membership, Origin, RaftLog};
pub use membership::{Change, ChangeKind};
pub use status::{Role, Status};
pub use transfer::TransferRequest;

use thiserror::Error;

use crate::fsm::FsmError;

/// Where the driver's messages to other nodes go. Never blocks; may drop.
pub trait Outbox: Send + Sync {
    /// Sends a Raft message.
    fn send(&self, message: raft::eraftpb::Message);
    /// Streams the snapshot file a message announces, then reports to the inbox.
    fn send_snapshot(&self, message: raft::eraftpb::Message, origin: Origin);
    /// Tells who the members are now.
    fn set_peers(&self, peers: &crate::peers::Peers);
}

/// Why a command, read or membership change was not carried out.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing was proposed: this node does not lead.
    #[error("not leader")]
    NotLeader,
    /// Nothing was proposed: leadership is being handed over.
    #[error("leadership transfer in progress")]
    TransferInProgress,
    /// Nothing was proposed: too much is queued.
    #[error("server overloaded")]
    Overloaded,
    /// Nothing was proposed, for the reason in the text.
    #[error("{0}")]
    Refused(String),
    /// Proposed, and the outcome is unknown to this node.
    #[error("leadership lost")]
    LeadershipLost,
    /// The engine has stopped; the outcome is unknown.
    #[error("etcd raft engine is closed")]
    Closed,
    /// A membership change or transfer that cannot be done, with elastickv's text.
    #[error("etcd raft engine {0}")]
    Admin(&'static str),
}

/// Why the engine stopped. The process ends with it.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The state failed.
    #[error(transparent)]
    Fsm(#[from] FsmError),
    /// raft-rs refused to go on.
    #[error("raft failed: {0}")]
    Raft(#[from] raft::Error),
    /// This process may not go on as a writer: what a start would have refused.
    #[error("encryption startup guard: {0}")]
    Guard(String),
    /// An entry this release must not pass.
    #[error("encryption: FSM apply failed; halting apply: entry {index}: {reason}")]
    Halt {
        /// The entry; the applied index stays below it.
        index: u64,
        /// What is wrong with it.
        reason: String,
    },
}
