//! The operator's hands: what a person would do to a cluster with the store's own tools. How it
//! is done for a store is not known here; see [`Operator`].

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use keyquake_cluster::NodeSpec;
use keyquake_rollout::{Call, FlagChange, MemberChange, Outcome, Send, Setup, Tamper};

use crate::in_flight::InFlight;

/// What a roll makes of a node. What is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roll {
    /// Its release.
    pub release: Option<String>,
    /// Its flags of encryption.
    pub flags: FlagChange,
    /// What is done to its files while it is down, in this order.
    pub tampers: Vec<Tamper>,
}

impl fmt::Display for Roll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let release = self.release.as_ref().map(|to| format!("to {to}"));
        let flags = Some(self.flags.to_string()).filter(|flags| !flags.is_empty());
        let tampers = self.tampers.iter().map(Tamper::to_string);
        let words: Vec<_> = release.into_iter().chain(flags).chain(tampers).collect();
        f.write_str(&words.join(", "))
    }
}

/// A call of the encryption administration, as a step of a plan makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRequest {
    /// Which.
    pub call: Call,
    /// How often, and which request.
    pub send: Send,
    /// After this the client waits no longer; `None` is the operator's usual patience.
    pub deadline: Option<Duration>,
    /// Of `register-writer`: the epoch to register in place of the node's own.
    pub epoch: Option<u32>,
}

impl CallRequest {
    /// A request of its own, with the usual patience.
    pub const fn once(call: Call) -> Self {
        Self {
            call,
            send: Send::Once,
            deadline: None,
            epoch: None,
        }
    }
}

impl fmt::Display for CallRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.call)?;
        if self.send != Send::Once {
            write!(f, " {}", self.send)?;
        }
        if let Some(epoch) = self.epoch {
            write!(f, " epoch {epoch}")?;
        }
        match self.deadline {
            Some(deadline) => write!(f, " within {}", humantime::format_duration(deadline)),
            None => Ok(()),
        }
    }
}

/// What came of something that an operator asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// In the model's words: accepted, refused with its name, failed, indeterminate.
    pub outcome: Outcome,
    /// The log index that was answered, if it was.
    pub index: Option<u64>,
    /// What was said, a sentence for the record.
    pub said: String,
}

/// What a node says of its own keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyState {
    /// The active storage key; 0 is none.
    pub storage_key: u32,
    /// The active raft key; 0 is none.
    pub raft_key: u32,
    /// Whether values are encrypted (phase 1).
    pub storage_cutover: bool,
    /// The index of the raft cutover (phase 2); 0 is none.
    pub raft_cutover: u64,
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (storage, raft) = (self.storage_key, self.raft_key);
        let phase = if self.storage_cutover { "on" } else { "off" };
        let cutover = self.raft_cutover;
        write!(
            f,
            "storage key {storage}, raft key {raft}, storage envelope {phase}, raft cutover {cutover}"
        )
    }
}

/// The last words of a process that ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWords {
    /// The error's name, if it said one (`ErrKEKMismatch`).
    pub name: Option<String>,
    /// Whether it had served and halted at an entry, rather than refused to start.
    pub halted: bool,
    /// The log index it halted at, if it said one.
    pub index: Option<u64>,
    /// Whether that is the index of a snapshot that holds what it can't apply.
    pub snapshot: bool,
    /// The line itself.
    pub line: String,
}

/// What lay on the disk of a node that was down, as it was then. How a store's disk is read is not
/// known here.
pub trait Remembered: std::marker::Send + Sync {
    /// What is on the disk now that was not, or was otherwise, and the reverse; `Ok(None)` if it is
    /// as it was. What a storage engine rewrites by being opened is no change. The error says what
    /// could not be read.
    fn changed(&self) -> Result<Option<String>, String>;

    /// What is remembered, in words, for the record.
    fn told(&self) -> String;
}

/// Does to a store what an operator does. What a store answers is never an error here: it is an
/// [`Outcome`]; errors are sentences about what could not be tried at all.
#[async_trait]
pub trait Operator: std::marker::Send + Sync {
    /// Makes a call on a node, or on whoever leads; then it may look for the leader again as long
    /// as it is certain that nothing was done. Nothing is held back because this side already
    /// knows that it must be refused. `flight` is told whenever the request leaves, and whenever
    /// its answer is there.
    async fn call(&self, request: &CallRequest, at: Option<u16>, flight: &InFlight) -> Answer;

    /// Waits a moment until the nodes show in their own key state what was accepted at this
    /// index; an error if not even a majority of `of` does.
    async fn applied(&self, index: u64, of: &[u16]) -> Result<String, String>;

    /// The last log entry that a node says to have applied; `None` if it says nothing.
    async fn applied_index(&self, node: u16) -> Option<u64>;

    /// What a node says of its own keys; `None` if it says nothing, or has none.
    async fn keys(&self, node: u16) -> Option<KeyState>;

    /// What a node is started with, read from its flags.
    fn setup(&self, node: &NodeSpec) -> Result<Setup, String>;

    /// The node as it has to be started to be what the roll makes of it.
    fn rolled(&self, node: &NodeSpec, roll: &Roll) -> Result<NodeSpec, String>;

    /// Asks the node itself whether it is what the roll made of it; gives what it said.
    async fn check_rolled(&self, node: &NodeSpec, roll: &Roll) -> Result<String, String>;

    /// The node as it has to be started to join a cluster that is there.
    fn joining(&self, node: &NodeSpec, change: MemberChange) -> Result<NodeSpec, String>;

    /// Asks whoever leads for a change of the membership, and waits until it is in force.
    async fn member(&self, change: MemberChange, node: &NodeSpec) -> Answer;

    /// Whether the node's id shares 16 bits with another's in this cluster.
    fn collides(&self, node: &NodeSpec) -> bool;

    /// Hands the leadership to a node, and waits until it leads.
    async fn transfer(&self, to: u16) -> Answer;

    /// Keeps a copy of the data and sidecar of a node that is down.
    fn save(&self, node: &NodeSpec) -> Result<String, String>;

    /// Changes the files of a node that is down, in this order; gives what was done to which
    /// file. `from` is the node whose saved disk a clone is.
    fn tamper(
        &self,
        node: &NodeSpec,
        what: &[Tamper],
        from: Option<u16>,
    ) -> Result<Vec<String>, String>;

    /// Remembers what a later start of a node that is down reads, and a refused one must leave
    /// alone: the folder of its sidecar byte for byte, the log, the registry and the values by what
    /// they say.
    fn remember(&self, node: &NodeSpec) -> Result<Box<dyn Remembered>, String>;

    /// Why a node's last process ended by itself, from what it wrote since `from` (bytes into
    /// its log); `None` if it says nothing.
    fn last_words(&self, node: &NodeSpec, from: u64) -> Option<LastWords>;
}
