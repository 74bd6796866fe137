//! The operator's hands: what a person would do to a cluster with the store's own tools. How it
//! is done for a store is not known here; see [`Operator`].

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use keyquake_cluster::NodeSpec;
use serde::{Deserialize, Serialize};

use crate::in_flight::InFlight;

/// A call of the store's encryption administration, as plans spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum AdminCall {
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
}

impl AdminCall {
    /// All of them.
    pub const ALL: [AdminCall; 5] = [
        AdminCall::Bootstrap,
        AdminCall::EnableStorageEnvelope,
        AdminCall::EnableRaftEnvelope,
        AdminCall::RotateStorage,
        AdminCall::RotateRaft,
    ];

    /// The name, as plans spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            AdminCall::Bootstrap => "bootstrap",
            AdminCall::EnableStorageEnvelope => "enable-storage-envelope",
            AdminCall::EnableRaftEnvelope => "enable-raft-envelope",
            AdminCall::RotateStorage => "rotate-storage",
            AdminCall::RotateRaft => "rotate-raft",
        }
    }
}

impl fmt::Display for AdminCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AdminCall {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let mut all = AdminCall::ALL.into_iter();
        all.find(|call| call.as_str() == word).ok_or_else(|| {
            format!(
                "there is no call `{word}`; there are {}",
                AdminCall::ALL.map(AdminCall::as_str).join(", ")
            )
        })
    }
}

impl From<AdminCall> for &'static str {
    fn from(call: AdminCall) -> Self {
        call.as_str()
    }
}

impl TryFrom<String> for AdminCall {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        word.parse()
    }
}

/// What a roll makes of a node. What is `None` stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roll {
    /// Its release.
    pub release: Option<String>,
    /// Its flags of encryption.
    pub encryption: Option<Switch>,
}

impl fmt::Display for Roll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let release = self.release.as_ref().map(|to| format!("to {to}"));
        let flags = self.encryption.map(|flags| format!("encryption {flags}"));
        let words: Vec<_> = release.into_iter().chain(flags).collect();
        f.write_str(&words.join(", "))
    }
}

/// Flags given, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// `on`
    On,
    /// `off`
    Off,
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Switch::On => "on",
            Switch::Off => "off",
        })
    }
}

/// An admin call that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What the store answered, for the record.
    pub answer: String,
    /// The log index it answered.
    pub index: u64,
}

/// An admin call that was not seen to be accepted; the texts are sentences for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAccepted {
    /// Nothing was done.
    Refused(String),
    /// It was sent, and may have been done.
    Lost(String),
}

/// Does to a store what an operator does. Errors are sentences for the record.
#[async_trait]
pub trait Operator: Send + Sync {
    /// Makes a call on whoever leads, and may look for the leader again as long as it is
    /// certain that nothing was done. `flight` is told whenever the request leaves, and whenever
    /// its answer is there.
    async fn call(&self, call: AdminCall, flight: &InFlight) -> Result<Accepted, NotAccepted>;

    /// Waits a moment until the nodes show in their own key state what was accepted at this
    /// index; an error if not even a majority does.
    async fn applied(&self, index: u64) -> Result<String, String>;

    /// The node as it has to be started to be what the roll makes of it.
    fn rolled(&self, node: &NodeSpec, roll: &Roll) -> Result<NodeSpec, String>;

    /// Asks the node itself whether it is what the roll made of it; gives what it said.
    async fn check_rolled(&self, node: u16, roll: &Roll) -> Result<String, String>;
}
