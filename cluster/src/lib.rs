//! Nodes as processes in network namespaces, their links, and the heal journal.
//!
//! What a node *is* ([`NodeSpec`]: release, flags, data, addresses) and what
//! *runs* it ([`Runtime`]) are apart, and so are the nodes and their [`Network`]:
//! containers (in a crate of their own) stand beside processes. The order of a run:
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

mod cgroup;
mod cluster;
mod disk;
pub mod journal;
mod matrix;
mod network;
mod runtime;
mod spec;
mod status;

pub use cgroup::{Allowance, CgroupError, Groups};
pub use cluster::{Cluster, ClusterError, Frozen};
pub use disk::{Disk, DiskError, Disks, Full, OnDisk};
pub use matrix::Matrix;
pub use network::{
    Capabilities, Endpoint, EnterError, LinkRule, Links, Mac, Network, NetworkError, NetworkKind,
    NetworkMode, ProbeSocket, Station, enter_own_mounts, enter_own_network, probe,
};
pub use runtime::{
    EFFECT_SECONDS, LINE_BYTES_MAX, LogTail, NodeLog, ProcessRuntime, Running, Runtime,
    RuntimeError, ThreadCensus, census_of_others, check_directory, done_by,
};
pub use spec::{Launch, NodeAddresses, NodeSpec, node_name};
pub use status::{Ending, NodeStatus};
