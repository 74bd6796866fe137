//! Who the members are: ids as people write them, ids as Raft counts them, addresses.

use std::collections::BTreeMap;

use crate::wire;

/// A member's name and where its gRPC port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The `--raftId` string.
    pub id: String,
    /// `host:port` of its `--address`.
    pub address: String,
}

/// All known members by Raft id.
pub type Peers = BTreeMap<u64, Peer>;

/// A member's Raft id: FNV-1a 64 of its name, 0 mapped to 1 (elastickv's `full_node_id`).
pub fn raft_id(id: &str) -> u64 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}

/// Parses `id=host:port,id=host:port,…`, in the order written.
///
/// # Errors
/// A text that names the entry that is not of that form, or is there twice.
pub fn parse_list(list: &str) -> Result<Vec<Peer>, String> {
    let mut peers: Vec<Peer> = Vec::new();
    for entry in list.split(',').map(str::trim).filter(|e| !e.is_empty()) {
        let Some((id, address)) = entry.split_once('=') else {
            return Err(format!("member '{entry}' is not of the form id=host:port"));
        };
        if id.is_empty() || !address.contains(':') {
            return Err(format!("member '{entry}' is not of the form id=host:port"));
        }
        if peers.iter().any(|p| p.id == id || p.address == address) {
            return Err(format!("member '{entry}' is listed twice"));
        }
        peers.push(Peer {
            id: id.to_owned(),
            address: address.to_owned(),
        });
    }
    Ok(peers)
}

/// The map as it travels and lies on disk.
pub fn to_wire(peers: &Peers) -> wire::Peers {
    wire::Peers {
        peers: peers
            .iter()
            .map(|(&raft_id, peer)| wire::Peer {
                raft_id,
                id: peer.id.clone(),
                address: peer.address.clone(),
            })
            .collect(),
    }
}

/// The map from what travelled or lay on disk.
pub fn from_wire(peers: wire::Peers) -> Peers {
    peers
        .peers
        .into_iter()
        .map(|p| {
            let peer = Peer {
                id: p.id,
                address: p.address,
            };
            (p.raft_id, peer)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_fnv1a() {
        assert_eq!(raft_id(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(raft_id("a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn lists_are_checked() {
        assert_eq!(parse_list("a=h:1,b=h:2").map(|p| p.len()), Ok(2));
        assert!(parse_list("a=h:1,a=h:2").is_err());
        assert!(parse_list("a").is_err());
        assert!(parse_list("a=h").is_err());
    }
}
