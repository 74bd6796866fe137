//! What the suite asks of a store.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use keyquake_cluster::{NetworkKind, NodeSpec};
use keyquake_formats::canary::Canary;
use keyquake_rollout::{FlagChange, MemberChange, Setup};
use keyquake_workloads::{Capabilities, Connect, Protocol};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::elastickv::{Elastickv, Reference};
use crate::programs::Programs;

/// The stores that can be tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemName {
    /// The suite's own reference store.
    Reference,
    /// elastickv's production server.
    Elastickv,
}

impl fmt::Display for SystemName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Reference => "reference",
            Self::Elastickv => "elastickv",
        })
    }
}

impl FromStr for SystemName {
    type Err = SystemError;

    fn from_str(text: &str) -> Result<Self, SystemError> {
        match text {
            "reference" => Ok(Self::Reference),
            "elastickv" => Ok(Self::Elastickv),
            _ => Err(SystemError::UnknownSystem(text.to_owned())),
        }
    }
}

/// How a store is to be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemOptions {
    /// Nodes behind the members that are prepared, and may be added later.
    pub spares: u16,
    /// The first spare's id shares 16 bits with the first member's.
    pub collide: bool,
    /// The release of all nodes; `None` is the store's newest.
    pub release: Option<String>,
    /// The release of single nodes, by name (`n1`).
    pub node_releases: BTreeMap<String, String>,
    /// Seeded bugs to switch on, in the reference store only.
    pub bugs: Vec<String>,
    /// Start all nodes with the flags of encryption, on the files of
    /// [`KeyFiles`](crate::elastickv::encryption::KeyFiles) in the run's folder.
    pub encryption: bool,
    /// On loopback: the first port. `None` looks for ports that are free.
    pub first_port: Option<u16>,
    /// After how many entries nodes take a snapshot and cut their log; `None` is the store's own
    /// choice.
    pub snapshot_every: Option<u64>,
    /// More environment for every node.
    pub env: Vec<(String, String)>,
}

/// What an operator's hand makes of a node; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeChange {
    /// Its release.
    pub release: Option<String>,
    /// Its flags of encryption.
    pub flags: FlagChange,
}

/// Why a store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// No such store.
    #[error("unknown system {0:?}: there are reference, elastickv")]
    UnknownSystem(String),
    /// elastickv is not part of the suite.
    #[error("system elastickv needs its program: pass --binary PATH")]
    BinaryMissing,
    /// There is nothing at the path.
    #[error("the program {path} can't be started: {reason}; pass the path of an executable file", path = .path.display())]
    BadBinary {
        /// The path given.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Only the reference store has seeded bugs.
    #[error("system {0} has no seeded bugs: leave out --bug, or use --system reference")]
    NoBugs(SystemName),
    /// Its releases are programs of their own, and for this one none was given.
    #[error(
        "there is no program of {system} for release {release} (there is one for {}): give it with \
         --binary {release}=PATH, or one for all other releases with --binary PATH",
        .known.join(", ")
    )]
    NoProgram {
        /// The store.
        system: SystemName,
        /// The release.
        release: String,
        /// Those that have one.
        known: Vec<String>,
    },
    /// Its program would end at once.
    #[error(
        "{node} can't be given {flag} on release {release}, whose program doesn't know it; leave \
         the flag out, or use a later release"
    )]
    FlagUnknown {
        /// The node's name.
        node: String,
        /// The flag.
        flag: &'static str,
        /// The release.
        release: String,
    },
    /// A command line that is not of this run.
    #[error("the flags of a node can't be read: {0}")]
    Flags(String),
    /// A node that is not there got a release.
    #[error("there is no node {0:?} to give a release to: nodes are n1 to n{1}")]
    NoSuchNode(String, u16),
    /// A cluster needs nodes, and the address scheme ends at 100.
    #[error("a cluster of {0} nodes can't be started: use 1 to 100")]
    NodeCount(u16),
    /// A port that a node needs is in use.
    #[error(
        "port {address} ({service} of {node}) is taken: end the process that has it, or choose another first port ({reason})"
    )]
    PortTaken {
        /// The address.
        address: SocketAddr,
        /// What it is for.
        service: &'static str,
        /// The node it is for.
        node: String,
        /// What the operating system said.
        reason: String,
    },
    /// All blocks of ports tried had taken ones.
    #[error("found no {count} free ports in a row on 127.0.0.1 between {first} and {last}")]
    NoFreePorts {
        /// How many are needed.
        count: u16,
        /// The lowest tried.
        first: u16,
        /// The end of what was tried.
        last: u16,
    },
    /// A node did not come up in time.
    #[error("{node} is not ready: {waiting_for} (last seen: {last}); see its log {log}", log = .log.display())]
    NotReady {
        /// The node's name.
        node: String,
        /// What it should have done.
        waiting_for: &'static str,
        /// What it did.
        last: String,
        /// Where it says why.
        log: PathBuf,
    },
    /// Nodes are up, but nobody leads them.
    #[error("the cluster has no leader that serves: {0}; see the nodes' logs")]
    NoLeader(String),
    /// The operating system refused.
    #[error("failed to {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// A store under test.
#[async_trait]
pub trait System: Send + Sync {
    /// Which one.
    fn name(&self) -> SystemName;

    /// What its nodes, and behind them the spares, are: programs, flags, addresses, folders under `dir` (`nodes/<id>` for
    /// data, `logs` for logs). Nothing is started or created.
    fn prepare(
        &self,
        nodes: u16,
        dir: &Path,
        network: &NetworkKind,
        options: &SystemOptions,
    ) -> Result<Vec<NodeSpec>, SystemError>;

    /// What a node is started with, by its flags.
    ///
    /// # Errors
    /// When its release names no stage of the rollout, or its flags are none of this run.
    fn setup(&self, node: &NodeSpec) -> Result<Setup, SystemError>;

    /// The node as it has to be started after a change: same data, same addresses.
    fn changed(&self, node: &NodeSpec, change: &NodeChange) -> Result<NodeSpec, SystemError>;

    /// The node as it has to be started to be added to a cluster of these members.
    fn joining(&self, node: &NodeSpec, members: &[NodeSpec], change: MemberChange) -> NodeSpec;

    /// Asks a node itself whether it is what a change made of it; gives what it said of itself.
    /// The error says what it is instead, or that it gave no answer.
    async fn check_changed(&self, node: &NodeSpec, change: &NodeChange) -> Result<String, String>;

    /// Waits until a node answers on its administration and client ports. It may not know a
    /// leader yet.
    async fn ready(&self, node: &NodeSpec, deadline: Instant) -> Result<(), SystemError>;

    /// Waits until exactly one node leads, a majority confirms it, and it serves. Returns its
    /// position.
    async fn serving(&self, nodes: &[NodeSpec], deadline: Instant) -> Result<u16, SystemError>;

    /// Who leads right now, by the nodes' own word; the highest term wins. Quick: nodes that
    /// don't answer at once are passed over.
    async fn leader(&self, nodes: &[NodeSpec]) -> Option<u16>;

    /// Clients of these nodes, which write each value with its canary. Nothing is connected
    /// yet.
    fn connect(&self, nodes: &[NodeSpec], canary: Canary) -> Arc<dyn Connect>;

    /// What the store can do over a protocol.
    fn capabilities(&self, protocol: Protocol) -> Capabilities;

    /// After the last fault is healed, operations succeed again within this.
    fn recovery_bound(&self) -> Duration;
}

/// The store of this name; without programs it can be talked to, but not started.
pub fn system(name: SystemName) -> Arc<dyn System> {
    system_of(name, Programs::NONE)
}

/// The store of this name, started from these programs. The reference store needs none: it is
/// in the suite's own executable.
pub fn system_of(name: SystemName, programs: Programs) -> Arc<dyn System> {
    match name {
        SystemName::Reference => Arc::new(Reference { programs }),
        SystemName::Elastickv => Arc::new(Elastickv { programs }),
    }
}
