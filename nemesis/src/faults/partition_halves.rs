//! `partition-halves`: two groups that don't hear each other.

use super::both_ways;
use crate::catalogue::{FaultInfo, FaultName};
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::PartitionHalves,
    does: "cuts the cluster into two groups, both ways; within a group all is well",
    needs: "network namespaces (root, or unprivileged user namespaces), 2 nodes",
    proves: "measured reachability of every node by every other is exactly as wanted, while held and once healed",
    nodes_min: 2,
    needs_links: true,
    step: false,
};

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    match target {
        Target::Groups(groups)
            if groups.len() == 2 && groups.iter().all(|group| !group.is_empty()) =>
        {
            Ok(())
        }
        _ => Err("two groups that hold every node ([[\"n1\"], [\"n2\", \"n3\"]])"),
    }
}

pub(super) fn cuts(target: &Target) -> Vec<(u16, u16)> {
    let Target::Groups(groups) = target else {
        return vec![];
    };
    let mut cuts = Vec::new();
    for (position, group) in groups.iter().enumerate() {
        for &one in group {
            for &other in groups[position + 1..].iter().flatten() {
                cuts.extend(both_ways((one, other)));
            }
        }
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_between_the_groups_are_cut() {
        let target = Target::Groups(vec![vec![2], vec![0, 1]]);
        assert!(fits(&target).is_ok());
        assert_eq!(cuts(&target), [(2, 0), (0, 2), (2, 1), (1, 2)]);
        assert!(fits(&Target::Groups(vec![vec![0], vec![1], vec![2]])).is_err());
        assert!(fits(&Target::Groups(vec![vec![0], vec![]])).is_err());
    }
}
