//! Who could be asked by whom at one moment: processes that run, and links that carry both ways.

use keyquake_cluster::{Matrix, NodeStatus};

use super::Stage;

/// How the cluster was at one moment.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    /// The members, by position.
    members: Vec<u16>,
    /// Those of all nodes whose processes run.
    running: Vec<u16>,
    links: Matrix,
}

impl Reach {
    /// Whether a node's process runs. The suite itself reaches every node, cut off or not.
    pub(super) fn runs(&self, node: u16) -> bool {
        self.running.contains(&node)
    }

    /// The members that a node can't ask: a question needs the way there and the way back.
    pub(super) fn away_from(&self, at: u16) -> Vec<u16> {
        let both_ways = |node| self.links.is_open(at, node) && self.links.is_open(node, at);
        let away = |&node: &u16| !self.runs(node) || (node != at && !both_ways(node));
        self.members.iter().copied().filter(away).collect()
    }
}

impl Stage<'_> {
    /// How the cluster is now.
    pub(super) fn reach(&self) -> Reach {
        let runs = |&node: &u16| matches!(self.cluster.status(node), NodeStatus::Running { .. });
        Reach {
            members: self.insiders(),
            running: (0..self.cluster.node_count()).filter(runs).collect(),
            links: self.cluster.links(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(running: &[u16], cuts: &[(u16, u16)]) -> Reach {
        let mut links = Matrix::all_open(4);
        for &(from, to) in cuts {
            links.set(from, to, false);
        }
        Reach {
            members: vec![0, 1, 2],
            running: running.to_vec(),
            links,
        }
    }

    #[test]
    fn who_is_cut_off_depends_on_who_asks() {
        let alone = reach(&[0, 1, 2], &[(1, 0), (0, 1), (1, 2), (2, 1)]);
        assert_eq!(alone.away_from(0), [1]);
        assert_eq!(alone.away_from(1), [0, 2]);
        assert!(alone.runs(1), "the suite still reaches it");
    }

    #[test]
    fn an_answer_needs_the_way_back() {
        let one_way = reach(&[0, 1, 2], &[(2, 0)]);
        assert_eq!(one_way.away_from(0), [2]);
        assert_eq!(one_way.away_from(2), [0]);
        assert_eq!(one_way.away_from(1), [] as [u16; 0]);
    }

    #[test]
    fn what_does_not_run_is_away_and_strangers_count_for_nothing() {
        let down = reach(&[0, 3], &[]);
        assert_eq!(down.away_from(0), [1, 2]);
        assert_eq!(down.away_from(1), [1, 2], "itself is not there either");
    }
}
