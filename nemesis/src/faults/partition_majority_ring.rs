//! `partition-majority-ring`: everybody sees a majority, no two see the same.
//!
//! Nodes stand in a ring; each keeps as few neighbours, as many on its left as
//! on its right, as make a majority with it. Three nodes would keep all so: of
//! them the first two lose each other, and the third sees both.

use super::both_ways;
use crate::catalogue::{FaultInfo, FaultName};
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::PartitionMajorityRing,
    does: "cuts links, both ways, so that every node sees a majority and no two see the same one",
    needs: "network namespaces (root, or unprivileged user namespaces), 3 nodes",
    proves: "measured reachability of every node by every other is exactly as wanted, while held and once healed",
    nodes_min: 3,
    needs_links: true,
    step: false,
};

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    match target {
        Target::Nodes(nodes) if nodes.len() >= 3 => Ok(()),
        _ => Err("every node, in the order of the ring ([\"n2\", \"n1\", \"n3\"])"),
    }
}

/// The cuts for a ring in this order.
pub(super) fn cuts(ring: &[u16]) -> Vec<(u16, u16)> {
    let nodes = ring.len();
    if let [one, other, _] = *ring {
        return both_ways((one, other)).into();
    }
    let majority = nodes / 2 + 1;
    let kept_each_side = majority / 2;
    let mut cuts = Vec::new();
    for one in 0..nodes {
        for other in one + 1..nodes {
            let distance = (other - one).min(nodes - (other - one));
            if distance > kept_each_side {
                cuts.extend(both_ways((ring[one], ring[other])));
            }
        }
    }
    cuts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everybody_sees_a_majority_and_no_two_the_same() {
        for nodes in 3..=9_u16 {
            let ring = (0..nodes).rev().collect::<Vec<_>>();
            let cuts = cuts(&ring);
            let view = |node: u16| {
                (0..nodes)
                    .filter(|&other| !cuts.contains(&(node, other)))
                    .collect::<BTreeSet<_>>()
            };
            let views = (0..nodes).map(view).collect::<BTreeSet<_>>();
            assert_eq!(
                views.len(),
                usize::from(nodes),
                "two of {nodes} see the same"
            );
            assert!(
                views.iter().all(|view| view.len() > usize::from(nodes) / 2),
                "{nodes} nodes: {views:?}"
            );
            assert!(
                cuts.iter()
                    .all(|&(one, other)| cuts.contains(&(other, one)))
            );
        }
    }

    #[test]
    fn three_make_a_chain_and_five_a_ring() {
        assert_eq!(cuts(&[2, 0, 1]), [(2, 0), (0, 2)]);
        assert_eq!(cuts(&[0, 1, 2, 3, 4]).len(), 10);
    }
}
