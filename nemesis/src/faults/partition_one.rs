//! `partition-one`: one node alone, the others together.

use super::{both_ways, is_one_node};
use crate::catalogue::{FaultInfo, FaultName};
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::PartitionOne,
    does: "cuts one node off from all others, both ways; clients still reach it",
    needs: "network namespaces (root, or unprivileged user namespaces), 2 nodes",
    proves: "measured reachability of every node by every other is exactly as wanted, while held and once healed",
    nodes_min: 2,
    needs_links: true,
    step: false,
};

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    if is_one_node(target) {
        Ok(())
    } else {
        Err("\"leader\", \"follower\" or one node (\"n2\")")
    }
}

pub(super) fn cuts(nodes: &[u16], cluster_size: u16) -> Vec<(u16, u16)> {
    let alone = nodes.iter().copied();
    alone
        .flat_map(|node| {
            (0..cluster_size)
                .filter(move |&other| other != node)
                .flat_map(move |other| both_ways((node, other)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_cut_from_all_both_ways() {
        assert_eq!(cuts(&[1], 3), [(1, 0), (0, 1), (1, 2), (2, 1)]);
        assert!(fits(&Target::Nodes(vec![0, 1])).is_err());
    }
}
