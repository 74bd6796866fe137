//! Where the nodes live: network namespaces of their own, loopback ports, or containers.

mod endpoint;
mod hub;
mod inside;
mod namespaces;
mod netlink;
mod own;
mod probe;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::matrix::Matrix;
use crate::spec::node_name;
pub use endpoint::Endpoint;
use namespaces::Namespaces;
pub use netlink::Mac;
pub use own::{EnterError, enter_own_mounts, enter_own_network};
pub use probe::{ProbeSocket, Station, probe};

/// Which network was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// Namespaces where they can be made, else loopback.
    #[default]
    Auto,
    /// Namespaces or an error.
    Namespace,
    /// Loopback: no link faults.
    Loopback,
}

/// Which network this process got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkKind {
    /// The process sits in a hub namespace; each node gets its own beside it.
    Namespace,
    /// All nodes share 127.0.0.1.
    Loopback {
        /// Why there are no namespaces, as a sentence for the user.
        why: String,
    },
    /// Containers, on a network that their engine makes.
    Container {
        /// The first address of its 256; the first node has the next one.
        subnet: Ipv4Addr,
    },
}

impl NetworkKind {
    /// The address of the node at a position (0 is the first): `10.77.0.1` and
    /// so on with the same ports on each, or 127.0.0.1 with ports that differ.
    pub fn node_ip(&self, index: u16) -> IpAddr {
        match self {
            NetworkKind::Namespace => IpAddr::V4(namespaces::node_address(index)),
            NetworkKind::Container { subnet } => {
                let first = u32::from(*subnet) + 1;
                IpAddr::V4(Ipv4Addr::from(first + u32::from(index)))
            }
            NetworkKind::Loopback { .. } => IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    /// What can be broken on this network.
    pub fn capabilities(&self) -> Capabilities {
        match self {
            NetworkKind::Namespace | NetworkKind::Container { .. } => Capabilities {
                links: true,
                why_not: None,
            },
            NetworkKind::Loopback { why } => Capabilities {
                links: false,
                why_not: Some(why.clone()),
            },
        }
    }
}

/// What can be broken on a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether links between nodes can be cut, one direction at a time.
    pub links: bool,
    /// Why something is missing.
    pub why_not: Option<String>,
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why_not {
            None => write!(f, "faults of processes and of links"),
            Some(why) => write!(f, "faults of processes only, no partitions: {why}"),
        }
    }
}

/// What becomes of the packets of one node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkRule {
    /// They arrive.
    Open,
    /// They vanish silently; the sender sees no error.
    Cut,
}

/// What went wrong with the network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A fault of links on a network that has none.
    #[error(
        "can't {what}: the nodes share the loopback network ({why}); \
         run as root or with unprivileged user namespaces (--network namespace shows what is missing), \
         or leave partitions out (--faults kill,pause)"
    )]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// Why there are no namespaces.
        why: String,
    },
    /// The addresses of the hub's network don't suffice.
    #[error("{nodes} nodes are too many for one network: at most {max}")]
    TooManyNodes {
        /// How many were asked for.
        nodes: u16,
        /// How many there can be.
        max: u16,
    },
    /// No node at this position.
    #[error("there is no node at position {index}: the cluster has {nodes}")]
    NoSuchNode {
        /// The position asked for.
        index: u16,
        /// How many nodes there are.
        nodes: u16,
    },
    /// A link from a node to itself.
    #[error("{0} has no link to itself")]
    SameNode(String),
    /// The network of a container can't be entered from outside.
    #[error("the network of {0} is its container's: the suite can't stand in it")]
    Contained(String),
    /// Containers were asked of this crate, which knows none.
    #[error("containers need a network that their engine has made")]
    NoEngine,
    /// Fresh links that carry nothing.
    #[error(
        "the nodes' network was made, but {seconds} s later it still doesn't carry every packet (the last \
             position is the suite's own): {seen}; is a firewall active for new network namespaces?"
    )]
    NotOpen {
        /// How long was waited.
        seconds: u64,
        /// What was measured last.
        seen: Matrix,
    },
    /// The kernel refused something, by a system call or over netlink; or an agent did.
    #[error("failed to {what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

/// Links that somebody else has made, and can cut: the network of containers.
#[async_trait]
pub trait Links: Send + Sync {
    /// How many nodes it was made for.
    fn node_count(&self) -> u16;

    /// Opens or cuts one direction between two nodes, for new and established
    /// connections alike.
    ///
    /// # Errors
    /// With what was refused.
    async fn set_link(&self, from: u16, to: u16, rule: LinkRule) -> Result<(), NetworkError>;

    /// Measures which node's packets reach which; see [`probe()`].
    ///
    /// # Errors
    /// When the measurement itself fails.
    async fn probe(&self, expected: &Matrix) -> Result<Matrix, NetworkError>;
}

/// The network that the nodes live in.
pub enum Network {
    /// A namespace for each node.
    Namespaces(Namespaces),
    /// The loopback network, with the reason.
    Loopback {
        /// How many nodes share it.
        nodes: u16,
        /// Why there are no namespaces.
        why: String,
    },
    /// A container for each node.
    Containers(Arc<dyn Links>),
}

impl Network {
    /// Makes the network for so many nodes, all links open.
    ///
    /// # Errors
    /// With what the kernel refused; for containers always: their engine makes it.
    pub async fn build(kind: &NetworkKind, nodes: u16) -> Result<Network, NetworkError> {
        match kind {
            NetworkKind::Namespace => Ok(Network::Namespaces(Namespaces::build(nodes).await?)),
            NetworkKind::Loopback { why } => Ok(Network::Loopback {
                nodes,
                why: why.clone(),
            }),
            NetworkKind::Container { .. } => Err(NetworkError::NoEngine),
        }
    }

    /// What can be broken on this network.
    pub fn capabilities(&self) -> Capabilities {
        match self {
            Network::Namespaces(_) | Network::Containers(_) => {
                NetworkKind::Namespace.capabilities()
            }
            Network::Loopback { why, .. } => {
                NetworkKind::Loopback { why: why.clone() }.capabilities()
            }
        }
    }

    /// How many nodes it was made for.
    pub fn node_count(&self) -> u16 {
        match self {
            Network::Namespaces(namespaces) => namespaces.node_count(),
            Network::Loopback { nodes, .. } => *nodes,
            Network::Containers(links) => links.node_count(),
        }
    }

    /// The namespace of a node, for a process that shall live in it.
    pub fn namespace(&self, index: u16) -> Option<BorrowedFd<'_>> {
        match self {
            Network::Namespaces(namespaces) => namespaces.namespace(index),
            Network::Loopback { .. } | Network::Containers(_) => None,
        }
    }

    /// Runs `work` on a thread of its own that stands where the node stands.
    /// Sockets made there belong to the node's network for ever.
    ///
    /// # Errors
    /// When the namespace can't be entered; always on containers.
    pub fn inside<T: Send>(
        &self,
        index: u16,
        work: impl FnOnce() -> T + Send,
    ) -> Result<T, NetworkError> {
        self.check(index)?;
        if matches!(self, Network::Containers(_)) {
            return Err(NetworkError::Contained(node_name(index)));
        }
        match self.namespace(index) {
            None => Ok(work()),
            Some(namespace) => inside::inside(namespace, work).map_err(|source| NetworkError::Io {
                what: format!("enter the network of {}", node_name(index)),
                source,
            }),
        }
    }

    /// Opens or cuts one direction between two nodes, for new and established
    /// connections alike.
    ///
    /// # Errors
    /// `Unsupported` on loopback; else what the kernel refused.
    pub async fn set_link(&self, from: u16, to: u16, rule: LinkRule) -> Result<(), NetworkError> {
        self.check(from)?;
        self.check(to)?;
        if from == to {
            return Err(NetworkError::SameNode(node_name(from)));
        }
        match self {
            Network::Namespaces(namespaces) => namespaces.set_link(from, to, rule).await,
            Network::Containers(links) => links.set_link(from, to, rule).await,
            Network::Loopback { why, .. } => Err(NetworkError::Unsupported {
                what: "cut or open a link",
                why: why.clone(),
            }),
        }
    }

    /// Measures which node's packets reach which, by sending some: at most
    /// 250 ms (on containers a second). `expected` says what is awaited, so that it can end early.
    ///
    /// # Errors
    /// `Unsupported` on loopback; else what a socket refused.
    pub async fn probe(&self, expected: &Matrix) -> Result<Matrix, NetworkError> {
        match self {
            Network::Namespaces(namespaces) => namespaces.probe(expected).await,
            Network::Containers(links) => links.probe(expected).await,
            Network::Loopback { why, .. } => Err(NetworkError::Unsupported {
                what: "measure the links",
                why: why.clone(),
            }),
        }
    }

    fn check(&self, index: u16) -> Result<(), NetworkError> {
        let nodes = self.node_count();
        if index < nodes {
            Ok(())
        } else {
            Err(NetworkError::NoSuchNode { index, nodes })
        }
    }
}
