//! A graph seen through the edges that count, as states.
//!
//! Plainly, a state is a node. *Apart*, it is the graph of snapshot isolation: state `2t` is the
//! start of transaction `t`, `2t + 1` its commit. A missed write leads from a start to a commit,
//! everything else from a commit to a start, a start to its own commit. A cycle there is a cycle
//! of transactions without two missed writes in a row, which is what snapshot isolation forbids,
//! and without one, an order of all states is an order of starts and commits.

use super::{Graph, Kinds};

#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub graph: &'a Graph<'a>,
    pub kinds: Kinds,
    pub apart: bool,
}

/// What leads from a start, and to a commit.
const MISSED: Kinds = Kinds::RW.with(Kinds::TAIL);

/// One edge, or one that does not count.
pub(crate) enum Edge {
    To(u32, Kinds),
    Skipped,
    /// No more.
    End,
}

impl View<'_> {
    pub fn states(&self) -> u32 {
        self.graph.nodes() << u32::from(self.apart)
    }

    pub fn node(&self, state: u32) -> u32 {
        state >> u32::from(self.apart)
    }

    /// Whether a state is one of a transaction.
    pub fn is_transaction(&self, state: u32) -> bool {
        self.graph.is_transaction(self.node(state))
    }

    /// The edge of a state by its number.
    #[inline]
    pub fn nth(&self, state: u32, nth: u32) -> Edge {
        if !self.apart {
            return match self.graph.nth(state, nth) {
                None => Edge::End,
                Some((to, kind)) if self.kinds.counts(kind) => Edge::To(to, kind),
                Some(_) => Edge::Skipped,
            };
        }
        let node = state / 2;
        let starts = state.is_multiple_of(2) && self.graph.is_transaction(node);
        if starts && nth == 0 {
            return Edge::To(state + 1, Kinds::NONE);
        }
        let Some((to, kind)) = self.graph.nth(node, nth - u32::from(starts)) else {
            return Edge::End;
        };
        let fits = !self.graph.is_transaction(node) || starts == MISSED.has(kind);
        if !fits || !self.kinds.counts(kind) {
            return Edge::Skipped;
        }
        let commits = self.graph.is_transaction(to) && kind.has(MISSED);
        Edge::To(2 * to + u32::from(commits), kind)
    }

    /// All edges of a state that count.
    #[inline]
    pub fn each(&self, state: u32, mut give: impl FnMut(u32, Kinds)) {
        let mut nth = 0;
        loop {
            match self.nth(state, nth) {
                Edge::To(to, kind) => give(to, kind),
                Edge::Skipped => {}
                Edge::End => return,
            }
            nth += 1;
        }
    }
}
