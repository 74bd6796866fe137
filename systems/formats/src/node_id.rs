//! Node ids as the store computes them from `--raftId`.

use std::collections::HashMap;
use std::hash::Hasher;

use fnv::FnvHasher;

/// The 64-bit id: FNV-1a of the Raft id, never 0.
pub fn full_node_id(raft_id: &str) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(raft_id.as_bytes());
    // 0 is the store's "nobody".
    hasher.finish().max(1)
}

/// The 16 bits of a full id that fit a nonce and key the writer registry.
pub fn node_id(full_node_id: u64) -> u16 {
    full_node_id as u16
}

/// Two members that would share nonces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// Their Raft ids, in the order given.
    pub raft_ids: (String, String),
    /// The 16 bits they share.
    pub node_id: u16,
}

/// Every member whose 16-bit id an earlier one has already.
pub fn collisions<'a>(raft_ids: impl IntoIterator<Item = &'a str>) -> Vec<Collision> {
    let mut first = HashMap::new();
    let mut found = Vec::new();
    for raft_id in raft_ids {
        let node_id = node_id(full_node_id(raft_id));
        let owner = *first.entry(node_id).or_insert(raft_id);
        if owner != raft_id {
            found.push(Collision {
                raft_ids: (owner.to_owned(), raft_id.to_owned()),
                node_id,
            });
        }
    }
    found
}

/// A Raft id that begins like this one and shares the 16 bits of another's.
pub fn twin_of(raft_id: &str, begins: &str) -> String {
    let wanted = node_id(full_node_id(raft_id));
    // One in 65536 does; so many numbers hold far more than one.
    let mut ids = (0..u32::MAX).map(|number| format!("{begins}-{number:x}"));
    let twin = ids.find(|id| node_id(full_node_id(id)) == wanted);
    twin.unwrap_or_else(|| begins.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_agree_with_published_and_independent_values() {
        // The first three are FNV's own test vectors, the others a few lines of Python.
        for (raft_id, full) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
            ("n1", 0x08b3_7b07_b558_d4c0),
            ("n2", 0x08b3_7e07_b558_d9d9),
            ("n3", 0x08b3_7d07_b558_d826),
        ] {
            assert_eq!(full_node_id(raft_id), full, "{raft_id:?}");
        }
        assert_eq!(node_id(full_node_id("n2")), 0xd9d9);
    }

    #[test]
    fn a_twin_is_another_with_the_same_16_bits() {
        for raft_id in ["n1", "n2", ""] {
            let twin = twin_of(raft_id, "n4");
            assert!(twin.starts_with("n4-"), "{twin}");
            assert_eq!(node_id(full_node_id(&twin)), node_id(full_node_id(raft_id)));
            assert_ne!(full_node_id(&twin), full_node_id(raft_id));
        }
    }

    #[test]
    fn members_that_share_16_bits_are_found() {
        assert_eq!(collisions(["n1", "n2", "n3", "n1"]), []);
        let expected = Collision {
            raft_ids: ("n498".to_owned(), "n784".to_owned()),
            node_id: 0x73fe,
        };
        assert_eq!(collisions(["n498", "n1", "n784"]), [expected]);
    }
}
