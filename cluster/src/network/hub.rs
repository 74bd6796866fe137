//! The hub: the namespace the suite itself sits in, with one bridge that all
//! nodes are plugged into. A bridge of the host would pass through the host's
//! firewall (a Docker daemon drops what it forwards); this one is nobody's.

use std::net::Ipv4Addr;

use rtnetlink::{LinkBridge, LinkVeth};

use super::NetworkError;
use super::netlink::{Mac, Netlink, interface_index, refused};

/// The suite's own address, which clients come from.
pub(super) const HUB_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);
/// Ethernet address of the hub's end of the bridge ("kq" in the middle).
pub(super) const HUB_MAC: Mac = [0x02, 0x6b, 0x71, 0, 0, 0xfe];
/// The bridge's name.
pub(super) const BRIDGE: &str = "kq0";

/// Furnishes the namespace of the calling thread: loopback on, bridge, address.
pub(super) async fn build() -> Result<(), NetworkError> {
    let netlink = open()?;
    netlink.up(index_of("lo")?).await?;
    let bridge = LinkBridge::new(BRIDGE).address(HUB_MAC.to_vec()).build();
    let request = netlink.handle.link().add(bridge);
    request
        .execute()
        .await
        .map_err(refused(|| format!("make the bridge {BRIDGE}")))?;
    netlink.add_address(index_of(BRIDGE)?, HUB_ADDRESS).await
}

/// Tries what [`build`] does, and one pair of interfaces as nodes get it.
pub(super) async fn rehearse() -> Result<(), NetworkError> {
    build().await?;
    let pair = LinkVeth::new("kq-try", "kq-try-peer").build();
    let request = open()?.handle.link().add(pair).execute();
    request
        .await
        .map_err(refused(|| "make a pair of virtual interfaces".into()))
}

/// A netlink socket of the hub, for a thread that stands in it.
pub(super) fn open() -> Result<Netlink, NetworkError> {
    Netlink::open(&tokio::runtime::Handle::current()).map_err(|source| NetworkError::Io {
        what: "open a netlink socket".into(),
        source,
    })
}

/// The number of an interface of the hub.
pub(super) fn index_of(name: &str) -> Result<u32, NetworkError> {
    interface_index(name).map_err(|source| NetworkError::Io {
        what: format!("find the interface {name}"),
        source,
    })
}
