//! What an operator, or the nemesis, does to a cluster, as the model sees it. Nodes are positions.

use serde::{Deserialize, Serialize};

use crate::setup::Setup;

/// A call of the encryption administration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Call {
    /// `bootstrap`: the first two keys, and every member registered.
    Bootstrap,
    /// `enable-storage-envelope`: phase 1.
    EnableStorageEnvelope,
    /// `enable-raft-envelope`: phase 2.
    EnableRaftEnvelope,
    /// `rotate-storage`: a new active storage key.
    RotateStorage,
    /// `rotate-raft`: a new active raft key.
    RotateRaft,
    /// `register-writer`: the leader's own epoch under the storage key, again.
    RegisterWriter,
    /// `resync`: asks for the leader's keys; changes nothing.
    Resync,
}

impl Call {
    /// All of them.
    pub const ALL: [Call; 7] = [
        Call::Bootstrap,
        Call::EnableStorageEnvelope,
        Call::EnableRaftEnvelope,
        Call::RotateStorage,
        Call::RotateRaft,
        Call::RegisterWriter,
        Call::Resync,
    ];

    /// The name, as plans spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Call::Bootstrap => "bootstrap",
            Call::EnableStorageEnvelope => "enable-storage-envelope",
            Call::EnableRaftEnvelope => "enable-raft-envelope",
            Call::RotateStorage => "rotate-storage",
            Call::RotateRaft => "rotate-raft",
            Call::RegisterWriter => "register-writer",
            Call::Resync => "resync",
        }
    }
}

/// A word that is no call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no call `{0}`; there are {names}", names = Call::ALL.map(Call::as_str).join(", "))]
pub struct UnknownCall(String);

impl std::str::FromStr for Call {
    type Err = UnknownCall;

    fn from_str(word: &str) -> Result<Self, UnknownCall> {
        let mut all = Call::ALL.into_iter();
        all.find(|call| call.as_str() == word)
            .ok_or_else(|| UnknownCall(word.to_owned()))
    }
}

impl TryFrom<String> for Call {
    type Error = UnknownCall;

    fn try_from(word: String) -> Result<Self, UnknownCall> {
        word.parse()
    }
}

impl From<Call> for &'static str {
    fn from(call: Call) -> Self {
        call.as_str()
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// How often, and which request, is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Send {
    /// `once`: a request of its own.
    #[default]
    Once,
    /// `twice`: the very same request, once more after the first answer.
    Twice,
    /// `concurrent`: two requests of their own at the same time.
    Concurrent,
    /// `late`: the last request of this call that was sent before, again, as the network may
    /// deliver it long after.
    Late,
}

impl Send {
    /// The name, as plans spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Send::Once => "once",
            Send::Twice => "twice",
            Send::Concurrent => "concurrent",
            Send::Late => "late",
        }
    }
}

impl std::fmt::Display for Send {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is done to the files of a node that is down, before it is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tamper {
    /// `sidecar-removed`
    SidecarRemoved,
    /// `sidecar-older`: the sidecar as it was when the plan last saved this node's disk.
    SidecarOlder,
    /// `sidecar-corrupt`: bytes in the middle of the sidecar overwritten.
    SidecarCorrupt,
    /// `sidecar-epoch-last`: the active storage key's local epoch set to 0xFFFF.
    SidecarEpochLast,
    /// `sidecar-epoch-near`: the same, to 0xFFFE: one start is left.
    SidecarEpochNear,
    /// `data-older`: the whole data directory, sidecar included, as the plan last saved it.
    DataOlder,
    /// `sidecar-cutover`: the raft cutover index in the sidecar lowered by one.
    SidecarCutover,
    /// `data-cloned`: the data directory of the last saved other node, under this id.
    DataCloned,
    /// `data-wiped`: the data directory and the sidecar removed.
    DataWiped,
    /// `undone`: what the start before tampered with, put back as it was. Only right after a start
    /// that was refused: a node that has run since has other files.
    Undone,
}

impl Tamper {
    /// All of them.
    pub const ALL: [Tamper; 10] = [
        Tamper::SidecarRemoved,
        Tamper::SidecarOlder,
        Tamper::SidecarCorrupt,
        Tamper::SidecarEpochLast,
        Tamper::SidecarEpochNear,
        Tamper::SidecarCutover,
        Tamper::DataOlder,
        Tamper::DataCloned,
        Tamper::DataWiped,
        Tamper::Undone,
    ];

    /// The name, as plans spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tamper::SidecarRemoved => "sidecar-removed",
            Tamper::SidecarOlder => "sidecar-older",
            Tamper::SidecarCorrupt => "sidecar-corrupt",
            Tamper::SidecarEpochLast => "sidecar-epoch-last",
            Tamper::SidecarEpochNear => "sidecar-epoch-near",
            Tamper::SidecarCutover => "sidecar-cutover",
            Tamper::DataOlder => "data-older",
            Tamper::DataCloned => "data-cloned",
            Tamper::DataWiped => "data-wiped",
            Tamper::Undone => "undone",
        }
    }
}

impl std::fmt::Display for Tamper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A change of the membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberChange {
    /// `add-learner`: a spare node is started and added without a vote.
    AddLearner,
    /// `add-voter`: a spare node is started and added with a vote.
    AddVoter,
    /// `promote`: a learner gets its vote.
    Promote,
    /// `remove`: a member is taken out and its process ended.
    Remove,
    /// `replace`: a member is removed, its disk wiped, and added again as a voter.
    Replace,
}

impl MemberChange {
    /// All of them.
    pub const ALL: [MemberChange; 5] = [
        MemberChange::AddLearner,
        MemberChange::AddVoter,
        MemberChange::Promote,
        MemberChange::Remove,
        MemberChange::Replace,
    ];

    /// The name, as plans spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            MemberChange::AddLearner => "add-learner",
            MemberChange::AddVoter => "add-voter",
            MemberChange::Promote => "promote",
            MemberChange::Remove => "remove",
            MemberChange::Replace => "replace",
        }
    }

    /// Whether a process joins that was no member before.
    pub const fn adds(self) -> bool {
        matches!(
            self,
            MemberChange::AddLearner | MemberChange::AddVoter | MemberChange::Replace
        )
    }
}

impl std::fmt::Display for MemberChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The node is stopped if it is up, tampered with, and started so.
    Start {
        /// The node.
        node: u16,
        /// What it is started with.
        setup: Setup,
        /// What was done to its files while it was down.
        tampers: Vec<Tamper>,
        /// Whose saved disk `DataCloned` took.
        cloned: Option<u16>,
        /// Whether the process before was the node's own orderly life: a restart of it is then
        /// a matter of ROL-RESTART. False for a process that had halted or was refused.
        was_serving: bool,
    },
    /// The node is stopped, its data directory and sidecar copied, and it is started again as it
    /// was (a plain restart, to the model, that also remembers the disk).
    Save {
        /// The node.
        node: u16,
    },
    /// The node's process was ended, by a kill or because its fault asks for it.
    Down {
        /// The node.
        node: u16,
    },
    /// A call of the administration.
    Call {
        /// Which.
        call: Call,
        /// The node that gets it; it led a moment ago unless the plan aims at another.
        at: u16,
        /// Whether `at` led a moment ago.
        leads: bool,
        /// How it is sent.
        send: Send,
        /// Of `register-writer`: the epoch given in place of the one that is registered.
        epoch: Option<u32>,
        /// Whether something else of the plan may end or cut off nodes meanwhile, or the
        /// client's deadline is cut short: then an answer may be lost.
        disturbed: bool,
        /// Members that nobody can ask at the moment: down, paused or cut off from `at`.
        unreachable: Vec<u16>,
    },
    /// The membership is changed.
    Member {
        /// How.
        change: MemberChange,
        /// Whom.
        node: u16,
        /// What the newcomer is started with.
        setup: Setup,
        /// Whether its id shares 16 bits with a member's.
        collides: bool,
        /// As for calls.
        disturbed: bool,
    },
    /// Leadership is handed to a node.
    Transfer {
        /// To whom.
        to: u16,
    },
}
