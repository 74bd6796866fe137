//! Directed reachability between the nodes of a cluster.

use std::fmt;

use crate::spec::node_name;

/// Which node's packets reach which node. A node always reaches itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    nodes: u16,
    open: Vec<bool>,
}

impl Matrix {
    /// Every node reaches every node.
    pub fn all_open(nodes: u16) -> Self {
        Self {
            nodes,
            open: vec![true; usize::from(nodes) * usize::from(nodes)],
        }
    }

    /// No node reaches another.
    pub fn all_cut(nodes: u16) -> Self {
        let mut matrix = Self::all_open(nodes);
        for (from, to) in matrix.pairs().collect::<Vec<_>>() {
            matrix.set(from, to, false);
        }
        matrix
    }

    /// How many nodes it is about.
    pub fn node_count(&self) -> u16 {
        self.nodes
    }

    /// Every ordered pair of two different nodes.
    pub fn pairs(&self) -> impl Iterator<Item = (u16, u16)> + use<> {
        let nodes = self.nodes;
        (0..nodes).flat_map(move |from| {
            (0..nodes)
                .filter(move |&to| to != from)
                .map(move |to| (from, to))
        })
    }

    /// Whether packets of `from` reach `to`; false for nodes it doesn't know.
    pub fn is_open(&self, from: u16, to: u16) -> bool {
        self.slot(from, to).is_some_and(|slot| self.open[slot])
    }

    /// Notes whether packets of `from` reach `to`.
    pub fn set(&mut self, from: u16, to: u16, open: bool) {
        if let Some(slot) = self.slot(from, to).filter(|_| from != to) {
            self.open[slot] = open;
        }
    }

    /// The pairs that don't reach each other, in order.
    pub fn cuts(&self) -> Vec<(u16, u16)> {
        self.pairs()
            .filter(|&(from, to)| !self.is_open(from, to))
            .collect()
    }

    /// Whether every node reaches every node.
    pub fn is_all_open(&self) -> bool {
        self.open.iter().all(|&open| open)
    }

    /// The pairs in which two matrices differ, in order.
    pub fn difference(&self, other: &Matrix) -> Vec<(u16, u16)> {
        self.pairs()
            .filter(|&(from, to)| self.is_open(from, to) != other.is_open(from, to))
            .collect()
    }

    fn slot(&self, from: u16, to: u16) -> Option<usize> {
        (from < self.nodes && to < self.nodes)
            .then(|| usize::from(from) * usize::from(self.nodes) + usize::from(to))
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (from, to)) in self.pairs().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            let word = if self.is_open(from, to) { "ok" } else { "cut" };
            write!(f, "{comma}{}→{} {word}", node_name(from), node_name(to))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_each_direction_by_itself() {
        let mut matrix = Matrix::all_open(2);
        matrix.set(1, 0, false);
        assert_eq!(matrix.to_string(), "n1→n2 ok, n2→n1 cut");
        assert_eq!(matrix.cuts(), [(1, 0)]);
        assert_eq!(matrix.difference(&Matrix::all_open(2)), [(1, 0)]);
        assert!(!matrix.is_all_open());
    }

    #[test]
    fn a_node_always_reaches_itself_and_strangers_never() {
        let mut matrix = Matrix::all_cut(3);
        matrix.set(0, 0, false);
        assert!(matrix.is_open(0, 0));
        assert!(!matrix.is_open(0, 7));
        assert_eq!(matrix.cuts().len(), 6);
    }
}
