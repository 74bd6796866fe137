//! What a node is: everything needed to start it, whatever starts it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// One node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// Its name: `n1` for the first.
    pub id: String,
    /// Its position in the cluster, from 0.
    pub index: u16,
    /// The release it runs, as the plan spells it (`6a`).
    pub release: String,
    /// Where its data lies; made at the first start, kept over restarts.
    pub data_dir: PathBuf,
    /// Where `<id>.log` is appended to.
    pub log_dir: PathBuf,
    /// Where it can be reached.
    pub addresses: NodeAddresses,
    /// How it is started.
    pub launch: Launch,
}

/// Where a node can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddresses {
    /// Its address; see [`crate::NetworkKind::node_ip`].
    pub ip: IpAddr,
    /// Its ports, by the name of the service (`grpc`, `resp`, …).
    pub ports: BTreeMap<String, u16>,
}

/// The command that starts a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program: a path, or a name to be found in `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Set on top of the suite's own environment.
    pub env: Vec<(String, String)>,
}

/// The name of the node at a position: `n1` for 0.
pub fn node_name(index: u16) -> String {
    format!("n{}", u32::from(index) + 1)
}
