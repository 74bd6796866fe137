//! Makes clients of running nodes.

use std::net::SocketAddr;
use std::time::Duration;

use keyquake_cluster::NodeSpec;
use keyquake_formats::canary::Canary;
use keyquake_workloads::{Capabilities, Client, Connect, Protocol};

use super::addresses::{self, GRPC, RESP};
use super::grpc::GrpcClient;
use super::resp::RespClient;

/// A node that does not take a connection within this is not there. No operation was sent then,
/// so it is a definite failure, and cheaper to know than by the operation's own timeout.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Clients by node.
pub(super) struct Connector {
    nodes: Vec<Addresses>,
    canary: Canary,
}

struct Addresses {
    grpc: SocketAddr,
    resp: SocketAddr,
}

impl Connector {
    pub(super) fn new(nodes: &[NodeSpec], canary: Canary) -> Self {
        Self {
            canary,
            nodes: nodes
                .iter()
                .map(|node| Addresses {
                    grpc: addresses::of(node, GRPC),
                    resp: addresses::of(node, RESP),
                })
                .collect(),
        }
    }
}

impl Connect for Connector {
    fn connect(&self, protocol: Protocol, node: u16) -> Box<dyn Client> {
        let addresses = &self.nodes[usize::from(node)];
        match protocol {
            Protocol::Grpc => Box::new(GrpcClient::new(addresses.grpc, self.canary.clone())),
            Protocol::Resp => Box::new(RespClient::new(addresses.resp, self.canary.clone())),
        }
    }

    fn capabilities(&self, protocol: Protocol) -> Capabilities {
        capabilities(protocol)
    }
}

/// gRPC has single-key calls only.
pub(super) fn capabilities(protocol: Protocol) -> Capabilities {
    let all = protocol == Protocol::Resp;
    Capabilities {
        swap: all,
        compare_and_set: all,
        transactions: all,
    }
}
