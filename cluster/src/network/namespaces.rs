//! A network namespace for each node, wired to the hub's bridge, with links
//! that can be cut one direction at a time.
//!
//! A cut is a lie in the sender's neighbour table: the receiver's entry gets an
//! Ethernet address that nobody has. Packets leave, and vanish: no error comes
//! back, established connections fall silent too, and no firewall is needed.
//! The bridge may flood such a frame to every port; every interface behind
//! them drops it, since it is not addressed to it. All entries are permanent
//! from the start, so that no address resolution can heal a cut by itself.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rtnetlink::packet_route::link::{InfoData, InfoVeth};
use rtnetlink::{LinkUnspec, LinkVeth};
use tokio::sync::Mutex;

use super::endpoint::Endpoint;
use super::netlink::{Mac, Netlink, interface_index, refused};
use super::probe::{ProbeSocket, Station, probe};
use super::{LinkRule, NetworkError, hub, inside};
use crate::matrix::Matrix;
use crate::spec::node_name;

/// Addresses 10.77.0.1 to 10.77.0.253 are nodes'; .254 is the hub's.
const MAX_NODES: u16 = 253;
/// How long new links may take to carry packets.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// No single measurement takes longer.
const PROBE_WITHIN: Duration = Duration::from_millis(250);
/// The name of a node's interface, inside.
const INTERFACE: &str = "eth0";

/// The namespaces of all nodes; see the module.
pub struct Namespaces {
    nodes: Vec<NodeNamespace>,
    /// One probe at a time: they share the sockets.
    probing: Mutex<()>,
}

struct NodeNamespace {
    descriptor: OwnedFd,
    end: Endpoint,
}

/// The address of the node at a position.
pub(super) fn node_address(index: u16) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, u8::try_from(index + 1).unwrap_or(u8::MAX))
}

fn node_mac(index: u16) -> Mac {
    let [high, low] = index.to_be_bytes();
    [0x02, 0x6b, 0x71, 0x01, high, low]
}

impl Namespaces {
    /// Makes and wires the namespaces. The calling thread stands in the hub.
    pub(super) async fn build(count: u16) -> Result<Self, NetworkError> {
        if count > MAX_NODES {
            return Err(NetworkError::TooManyNodes {
                nodes: count,
                max: MAX_NODES,
            });
        }
        let hub = hub::open()?;
        let bridge = hub::index_of(hub::BRIDGE)?;
        let mut nodes = Vec::with_capacity(usize::from(count));
        for index in 0..count {
            nodes.push(NodeNamespace::build(index, count, &hub, bridge).await?);
        }
        let made = Self {
            nodes,
            probing: Mutex::new(()),
        };
        made.wait_until_open().await?;
        Ok(made)
    }

    pub(super) fn node_count(&self) -> u16 {
        self.nodes.len() as u16
    }

    pub(super) fn namespace(&self, index: u16) -> Option<BorrowedFd<'_>> {
        self.nodes
            .get(usize::from(index))
            .map(|node| node.descriptor.as_fd())
    }

    pub(super) async fn set_link(
        &self,
        from: u16,
        to: u16,
        rule: LinkRule,
    ) -> Result<(), NetworkError> {
        let sender = &self.nodes[usize::from(from)];
        sender
            .end
            .set_link(node_address(to), node_mac(to), rule)
            .await
    }

    /// A new cable carries nothing until the bridge has taken notice of it,
    /// which under load can take a while; a first packet lost to that would be
    /// sent again only a second later. The hub is asked too: clients sit there.
    async fn wait_until_open(&self) -> Result<(), NetworkError> {
        let hub = ProbeSocket::at(hub::HUB_ADDRESS).map_err(measuring)?;
        let mut stations = self.stations();
        stations.push(&hub);
        let open = Matrix::all_open(self.node_count() + 1);
        let deadline = Instant::now() + OPEN_WITHIN;
        loop {
            let seen = probe(&stations, &open, PROBE_WITHIN)
                .await
                .map_err(measuring)?;
            if seen == open {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(NetworkError::NotOpen {
                    seconds: OPEN_WITHIN.as_secs(),
                    seen,
                });
            }
        }
    }

    pub(super) async fn probe(&self, expected: &Matrix) -> Result<Matrix, NetworkError> {
        let _alone = self.probing.lock().await;
        probe(&self.stations(), expected, PROBE_WITHIN)
            .await
            .map_err(measuring)
    }

    fn stations(&self) -> Vec<&dyn Station> {
        self.nodes
            .iter()
            .map(|node| node.end.probe() as &dyn Station)
            .collect()
    }
}

fn measuring(source: std::io::Error) -> NetworkError {
    NetworkError::Io {
        what: "measure the links".into(),
        source,
    }
}

impl NodeNamespace {
    async fn build(
        index: u16,
        count: u16,
        hub: &Netlink,
        bridge: u32,
    ) -> Result<Self, NetworkError> {
        let name = node_name(index);
        let io = |source| NetworkError::Io {
            what: format!("make the network namespace of {name}"),
            source,
        };
        let descriptor = inside::create().map_err(io)?;
        plug_in(&name, index, descriptor.as_fd(), hub, bridge).await?;
        hub.set_neighbour(bridge, node_address(index), node_mac(index))
            .await?;

        let runtime = tokio::runtime::Handle::current();
        let (end, loopback) = inside::inside(descriptor.as_fd(), || {
            let end = Endpoint::open(&runtime, INTERFACE, node_address(index))?;
            std::io::Result::Ok((end, interface_index("lo")?))
        })
        .and_then(|made| made)
        .map_err(io)?;

        let (netlink, interface) = (&end.netlink, end.interface);
        netlink.up(loopback).await?;
        netlink.add_address(interface, node_address(index)).await?;
        netlink.up(interface).await?;
        netlink
            .set_neighbour(interface, hub::HUB_ADDRESS, hub::HUB_MAC)
            .await?;
        for other in (0..count).filter(|&other| other != index) {
            netlink
                .set_neighbour(interface, node_address(other), node_mac(other))
                .await?;
        }
        Ok(Self { descriptor, end })
    }
}

/// Lays a cable: one end in the hub, at the bridge, the other in the node's
/// namespace.
async fn plug_in(
    name: &str,
    index: u16,
    namespace: BorrowedFd<'_>,
    hub: &Netlink,
    bridge: u32,
) -> Result<(), NetworkError> {
    let inner = LinkUnspec::new_with_name(INTERFACE)
        .address(node_mac(index).to_vec())
        .setns_by_fd(namespace.as_raw_fd())
        .build();
    let cable = LinkVeth::new(&format!("kq-{name}"), INTERFACE)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(inner)))
        .controller(bridge)
        .up()
        .build();
    let request = hub.handle.link().add(cable).execute();
    request
        .await
        .map_err(refused(|| format!("plug {name} into the bridge")))
}
