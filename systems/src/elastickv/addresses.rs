//! Where nodes listen.
//!
//! In namespaces every node has an address of its own and the same ports. On loopback all share
//! 127.0.0.1, so ports differ and must be free. All ports lie below the range from which the
//! kernel takes ports for outgoing connections: there, a client that dials a dead node could be
//! given the node's own port, which keeps the node from coming back.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use keyquake_cluster::{NetworkKind, NodeAddresses, NodeSpec, node_name};

use crate::system::SystemError;

/// gRPC, and the address of a node in its Raft group.
pub(super) const GRPC: &str = "grpc";
/// Redis' protocol.
pub(super) const RESP: &str = "resp";
/// HTTP: DynamoDB and health.
pub(super) const DYNAMO: &str = "dynamo";
/// HTTP: S3.
pub(super) const S3: &str = "s3";
/// HTTP: SQS.
pub(super) const SQS: &str = "sqs";
/// HTTP: Prometheus. Always on the node's loopback interface, where it needs no token.
pub(super) const METRICS: &str = "metrics";

/// Every service, in the order of their ports.
const SERVICES: [&str; 6] = [GRPC, RESP, DYNAMO, S3, SQS, METRICS];

/// Ports of one node.
const PORTS_PER_NODE: u16 = SERVICES.len() as u16;

/// The first port of a node in its own namespace.
const NAMESPACE_FIRST_PORT: u16 = 20_051;

/// Where free ports are looked for on loopback.
const SEARCH: std::ops::Range<u16> = 20_000..32_000;

/// The addresses of all nodes.
pub(super) fn assign(
    nodes: u16,
    network: &NetworkKind,
    first_port: Option<u16>,
) -> Result<Vec<NodeAddresses>, SystemError> {
    match network {
        NetworkKind::Namespace | NetworkKind::Container { .. } => Ok((0..nodes)
            .map(|index| at(network.node_ip(index), NAMESPACE_FIRST_PORT))
            .collect()),
        NetworkKind::Loopback { .. } => on_loopback(nodes, first_port),
    }
}

/// The address of one of a node's services.
pub(super) fn of(node: &NodeSpec, service: &str) -> SocketAddr {
    // Specs are made here, with all services; port 0 is refused by every peer.
    let port = node.addresses.ports.get(service).copied().unwrap_or(0);
    SocketAddr::new(node.addresses.ip, port)
}

fn at(ip: IpAddr, first_port: u16) -> NodeAddresses {
    NodeAddresses {
        ip,
        ports: SERVICES
            .iter()
            .zip(first_port..)
            .map(|(service, port)| ((*service).to_owned(), port))
            .collect(),
    }
}

fn on_loopback(nodes: u16, first_port: Option<u16>) -> Result<Vec<NodeAddresses>, SystemError> {
    let count = nodes * PORTS_PER_NODE;
    if let Some(first) = first_port {
        return block(nodes, first);
    }
    // Runs that start at the same moment begin their search at different places.
    let blocks = (SEARCH.end - SEARCH.start) / count;
    let offset = (std::process::id() % u32::from(blocks)) as u16;
    (0..blocks)
        .map(|step| SEARCH.start + (offset + step) % blocks * count)
        .find_map(|first| block(nodes, first).ok())
        .ok_or(SystemError::NoFreePorts {
            count,
            first: SEARCH.start,
            last: SEARCH.end,
        })
}

/// The block of ports from `first`, if all are free.
fn block(nodes: u16, first: u16) -> Result<Vec<NodeAddresses>, SystemError> {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut addresses = Vec::new();
    for index in 0..nodes {
        for (place, service) in (0..).zip(SERVICES) {
            let port = first.saturating_add(index * PORTS_PER_NODE + place);
            let address = SocketAddr::new(ip, port);
            TcpListener::bind(address).map_err(|error| SystemError::PortTaken {
                address,
                service,
                node: node_name(index),
                reason: error.to_string(),
            })?;
        }
        addresses.push(at(ip, first.saturating_add(index * PORTS_PER_NODE)));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn loopback() -> NetworkKind {
        NetworkKind::Loopback {
            why: "test".to_owned(),
        }
    }

    #[test]
    fn loopback_ports_are_distinct_and_free() {
        let nodes = assign(5, &loopback(), None).unwrap();
        let ports: HashSet<u16> = nodes
            .iter()
            .flat_map(|node| node.ports.values().copied())
            .collect();
        assert_eq!(ports.len(), 30);
        assert!(ports.iter().all(|port| SEARCH.contains(port)));
    }

    #[test]
    fn a_taken_port_is_named() {
        // Away from where other tests look for ports at the same moment.
        let free = (12_000..19_000)
            .step_by(18)
            .find_map(|first| assign(3, &loopback(), Some(first)).ok())
            .unwrap();
        let first = free[0].ports[GRPC];
        let taken = free[1].ports[RESP];
        let _holder = TcpListener::bind((Ipv4Addr::LOCALHOST, taken)).unwrap();
        let error = assign(3, &loopback(), Some(first)).unwrap_err().to_string();
        assert!(
            error.contains(&format!("port 127.0.0.1:{taken} (resp of n2) is taken")),
            "{error}"
        );
    }

    #[test]
    fn namespaces_use_the_same_ports_on_every_address() {
        let nodes = assign(3, &NetworkKind::Namespace, None).unwrap();
        assert_eq!(nodes[0].ports, nodes[2].ports);
        assert_eq!(nodes[2].ip.to_string(), "10.77.0.3");
    }
}
