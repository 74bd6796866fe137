//! `partition-one-way`: packets vanish in one direction only.
//!
//! What a node says is lost while what it is told arrives. TCP needs both
//! ways, so a connection over such a link dies slowly: acknowledgements arrive,
//! or data does, never both.

use super::is_one_node;
use crate::catalogue::{FaultInfo, FaultName};
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::PartitionOneWay,
    does: "lets vanish what a node sends to all others (or what the named links carry); the other way stays open",
    needs: "network namespaces (root, or unprivileged user namespaces), 2 nodes",
    proves: "measured reachability of every node by every other is exactly as wanted, while held and once healed",
    nodes_min: 2,
    needs_links: true,
    step: false,
};

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    if is_one_node(target) || matches!(target, Target::Cuts(_)) {
        Ok(())
    } else {
        Err("\"leader\", \"follower\", one node (\"n2\") or links ([\"n1 -> n2\"])")
    }
}

pub(super) fn cuts(target: &Target, nodes: &[u16], cluster_size: u16) -> Vec<(u16, u16)> {
    match target {
        Target::Cuts(cuts) => cuts.clone(),
        _ => {
            let senders = nodes.iter().copied();
            senders
                .flat_map(|node| {
                    (0..cluster_size)
                        .filter(move |&to| to != node)
                        .map(move |to| (node, to))
                })
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_sent_is_lost() {
        assert_eq!(cuts(&Target::Leader, &[1], 3), [(1, 0), (1, 2)]);
        assert_eq!(cuts(&Target::Cuts(vec![(2, 0)]), &[], 3), [(2, 0)]);
    }
}
