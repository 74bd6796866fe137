//! Moments: what a fault or a step waits for, where a time would say too little.
//!
//! A moment is armed when the entry with `at` before it in the plan begins, right before that is
//! applied; those before the first such entry are armed at the start. What was so already
//! when it was armed is no moment.
//!
//! Moments on the disk (a file appears, is synced, is renamed) will be words of [`Moment`] like the
//! others, and their waiting a match arm of [`watch::Sought`]: nothing else knows one from another.

mod between;
pub(crate) mod watch;
mod written;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use keyquake_cluster::node_name;
use keyquake_rollout::Call;
use serde::{Deserialize, Serialize};

/// How long a moment may take to come, unless the plan says otherwise.
pub(crate) const WITHIN: Duration = Duration::from_secs(10);

/// When an entry of a schedule begins, if not at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// What it waits for.
    pub moment: Moment,
    /// How long it waits from when it is armed (for `between`: from when the call was sent); `None`
    /// is 10 s. `during` ends with its call.
    pub within: Option<Duration>,
}

/// Something that happens in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "written::Written", into = "written::Written")]
pub enum Moment {
    /// `{ during = "rotate-storage" }`: the call was sent, and its answer is still out.
    During(Call),
    /// `{ between = "rotate-storage" }`: a member shows in its own keys what the call did, and
    /// another one does not yet.
    Between(Call),
    /// `{ operations = 2000 }`: so many operations of all workloads were completed.
    Operations(u64),
    /// `{ log = "text", node = "n2" }`: a node's log gets a line that contains the text.
    Log {
        /// What the line contains.
        text: String,
        /// Whose log; `None` is anybody's.
        node: Option<u16>,
    },
    /// `{ answer = "leader", node = "n1" }`: a node's own answer is no longer what it was.
    Answer {
        /// To what.
        question: Question,
        /// Whose answer; `None` is anybody's.
        node: Option<u16>,
    },
}

/// What a node can be asked again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// `active-storage-key`: the id of its active storage key.
    ActiveStorageKey,
    /// `active-raft-key`: the id of its active raft key.
    ActiveRaftKey,
    /// `storage-cutover`: whether it encrypts values.
    StorageCutover,
    /// `raft-cutover`: the index from which on it encrypts log entries.
    RaftCutover,
    /// `capable`: whether it says that it can encrypt.
    Capable,
    /// `leader`: who leads, in its eyes.
    Leader,
}

/// How far a node has come, in its own words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether it says that it leads.
    pub leads: bool,
    /// The last entry of its log.
    pub last_log: u64,
    /// The last entry that it has applied.
    pub applied: u64,
    /// The last entry in its newest snapshot, behind which its log begins.
    pub snapshot: u64,
}

/// Knows what moments are made of. Questions only: nothing is changed by asking, and asking
/// often must be cheap.
#[async_trait]
pub trait Watcher: Send + Sync {
    /// How many operations of all workloads were completed so far.
    fn operations_done(&self) -> u64;

    /// A node's own answer; `Err` if it gives none now. That it has no keys, or does not know the
    /// question, is an answer.
    async fn answer(&self, node: u16, question: Question) -> Result<String, String>;

    /// How far a node has come; `Err` if it gives no answer within a moment.
    async fn progress(&self, node: u16) -> Result<Progress, String>;
}

impl When {
    /// How long it may wait once it is armed, as a plan can know it.
    pub(crate) fn waits_at_most(&self) -> Duration {
        match self.moment {
            Moment::During(_) => Duration::ZERO,
            _ => self.within.unwrap_or(WITHIN),
        }
    }
}

impl Moment {
    /// The call it belongs to, which has to stand before it.
    pub(crate) fn call(&self) -> Option<Call> {
        match self {
            Moment::During(call) | Moment::Between(call) => Some(*call),
            _ => None,
        }
    }

    /// The node it names.
    pub(crate) fn node(&self) -> Option<u16> {
        match self {
            Moment::Log { node, .. } | Moment::Answer { node, .. } => *node,
            _ => None,
        }
    }
}

impl Question {
    /// The name, as plans spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Question::ActiveStorageKey => "active-storage-key",
            Question::ActiveRaftKey => "active-raft-key",
            Question::StorageCutover => "storage-cutover",
            Question::RaftCutover => "raft-cutover",
            Question::Capable => "capable",
            Question::Leader => "leader",
        }
    }

    /// What a member that has carried out a call answers otherwise than before.
    pub(crate) fn of_call(call: Call) -> Option<Self> {
        match call {
            Call::Bootstrap | Call::RotateStorage => Some(Question::ActiveStorageKey),
            Call::RotateRaft => Some(Question::ActiveRaftKey),
            Call::EnableStorageEnvelope => Some(Question::StorageCutover),
            Call::EnableRaftEnvelope => Some(Question::RaftCutover),
            Call::RegisterWriter | Call::Resync => None,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What has to happen, as a sentence.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = |node: &Option<u16>| node.map_or_else(|| "any node".to_owned(), node_name);
        match self {
            Moment::During(call) => write!(f, "{call} was sent"),
            Moment::Between(call) => write!(f, "the first member showed {call}"),
            Moment::Operations(count) => write!(f, "operation {count} was done"),
            Moment::Log { text, node } => write!(f, "the log of {} said {text:?}", whose(node)),
            Moment::Answer { question, node } => {
                write!(f, "{} of {} changed", question, whose(node))
            }
        }
    }
}
