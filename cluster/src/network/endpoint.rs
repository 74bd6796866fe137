//! A node's end of its network, for whoever stands in it: the suite in a namespace
//! of its own making, or an agent in a container's.

use std::io;
use std::net::Ipv4Addr;

use super::netlink::{Mac, Netlink, interface_index};
use super::probe::ProbeSocket;
use super::{LinkRule, NetworkError};

/// Ethernet address of nobody: locally administered, never given out.
const NOBODY: Mac = [0x02, 0x6b, 0x71, 0xde, 0xad, 0x00];

/// A node's interface, its neighbour table and a socket for probes. It stays in the network
/// it was opened in, whatever thread uses it.
pub struct Endpoint {
    pub(super) netlink: Netlink,
    pub(super) interface: u32,
    probe: ProbeSocket,
}

impl Endpoint {
    /// Opens the end whose interface has this name, in the network of the calling thread. Its
    /// background task goes to `runtime`, which may be another thread's.
    ///
    /// # Errors
    /// When there is no such interface, or a socket is refused.
    pub fn open(
        runtime: &tokio::runtime::Handle,
        interface: &str,
        ip: Ipv4Addr,
    ) -> io::Result<Self> {
        Ok(Self {
            netlink: Netlink::open(runtime)?,
            interface: interface_index(interface)?,
            probe: ProbeSocket::at(ip)?,
        })
    }

    /// Its socket for probes.
    pub fn probe(&self) -> &ProbeSocket {
        &self.probe
    }

    /// Opens or cuts the way to a neighbour: its entry gets its own Ethernet address, or one
    /// that nobody has.
    ///
    /// # Errors
    /// With what the kernel refused.
    pub async fn set_link(
        &self,
        to: Ipv4Addr,
        mac: Mac,
        rule: LinkRule,
    ) -> Result<(), NetworkError> {
        let mac = match rule {
            LinkRule::Open => mac,
            LinkRule::Cut => NOBODY,
        };
        self.netlink.set_neighbour(self.interface, to, mac).await
    }
}
