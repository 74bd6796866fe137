//! The few changes of the kernel's network tables that the suite makes.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use rtnetlink::packet_route::neighbour::NeighbourState;
use rtnetlink::{Handle, LinkUnspec};
use tokio::task::JoinHandle;

use super::NetworkError;

/// An Ethernet address.
pub type Mac = [u8; 6];

/// A netlink socket of one namespace, with the task that reads it.
pub(super) struct Netlink {
    pub(super) handle: Handle,
    reader: JoinHandle<()>,
}

impl Netlink {
    /// Opens a socket in the namespace of the calling thread. The reading task
    /// goes to `runtime`, which may be another thread's.
    pub(super) fn open(runtime: &tokio::runtime::Handle) -> io::Result<Self> {
        let _context = runtime.enter();
        let (connection, handle, _) = rtnetlink::new_connection()?;
        Ok(Self {
            handle,
            reader: runtime.spawn(connection),
        })
    }

    /// Gives an interface an address in a /24.
    pub(super) async fn add_address(
        &self,
        index: u32,
        address: Ipv4Addr,
    ) -> Result<(), NetworkError> {
        let request = self.handle.address().add(index, IpAddr::V4(address), 24);
        request
            .execute()
            .await
            .map_err(refused(|| format!("add the address {address}")))
    }

    /// Switches an interface on.
    pub(super) async fn up(&self, index: u32) -> Result<(), NetworkError> {
        let request = self
            .handle
            .link()
            .set(LinkUnspec::new_with_index(index).up().build());
        request
            .execute()
            .await
            .map_err(refused(|| format!("switch interface {index} on")))
    }

    /// Says once and for ever which Ethernet address an IP address has. The
    /// kernel never replaces a permanent entry by what it hears.
    pub(super) async fn set_neighbour(
        &self,
        index: u32,
        address: Ipv4Addr,
        mac: Mac,
    ) -> Result<(), NetworkError> {
        let request = self
            .handle
            .neighbours()
            .add(index, IpAddr::V4(address))
            .link_layer_address(&mac)
            .state(NeighbourState::Permanent)
            .replace();
        request
            .execute()
            .await
            .map_err(refused(|| format!("set the neighbour {address}")))
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Turns a netlink error into ours; the closure says what was being done.
pub(super) fn refused(
    what: impl FnOnce() -> String,
) -> impl FnOnce(rtnetlink::Error) -> NetworkError {
    |error| {
        let source = match error {
            rtnetlink::Error::NetlinkError(message) => message.to_io(),
            other => io::Error::other(other.to_string()),
        };
        NetworkError::Io {
            what: what(),
            source,
        }
    }
}

/// The number of an interface in the namespace of the calling thread.
pub(super) fn interface_index(name: &str) -> io::Result<u32> {
    Ok(nix::net::if_::if_nametoindex(name)?)
}
