//! Nodes as processes in network namespaces, their links, and the heal journal.
//!
//! What a node *is* ([`NodeSpec`]: release, flags, data, addresses) and what
//! *runs* it ([`Runtime`]) are apart, so that containers can come beside
//! processes. The order of a run:
//!
//! 1. [`journal::heal`] undoes what dead runs left (before the next step: from
//!    inside a user namespace other runs' processes can't be looked into).
//! 2. [`enter_own_network`], from `main` before any thread: the suite itself
//!    moves into a *hub* namespace, where it may make what it likes.
//! 3. [`Network::build`], [`journal::Journal::open`], [`ProcessRuntime::new`],
//!    [`Cluster::new`].
//! 4. [`Cluster::shutdown`], then [`journal::Journal::finish`].
//!
//! Nothing of this outlives the suite, whatever kills it: nodes die with the
//! thread that forked them, and namespaces are held by file descriptors only.

mod cluster;
pub mod journal;
mod matrix;
mod network;
mod runtime;
mod spec;
mod status;

pub use cluster::{Cluster, ClusterError};
pub use matrix::Matrix;
pub use network::{
    Capabilities, EnterError, LinkRule, Network, NetworkError, NetworkKind, NetworkMode,
    enter_own_network,
};
pub use runtime::{ProcessRuntime, Runtime, RuntimeError, ThreadCensus};
pub use spec::{Launch, NodeAddresses, NodeSpec, node_name};
pub use status::{Ending, NodeStatus};
