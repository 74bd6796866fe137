//! One shortest cycle of each kind that a level forbids.
//!
//! Whether there is a forbidden cycle at all is decided by components, in linear time. What it
//! should be called takes a search from each edge that its kind must have; that is under a
//! budget of steps, and a kind not found within it may go unnamed beside those that were.

use std::collections::VecDeque;

use super::components::{Components, View, components};
use super::graph::{Graph, Kinds};
use super::level::{CycleKind, Level};
use super::transactions::{Id, NONE};

/// One step round a cycle, from transaction to transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub from: Id,
    pub to: Id,
    pub kind: Kinds,
}

/// A cycle and what it is called.
pub(super) struct Cycle {
    pub kind: CycleKind,
    /// What else than data it takes: nothing, a process's order, or real time.
    pub order: Kinds,
    pub hops: Vec<Hop>,
}

/// Edges looked at for one kind of cycle.
const SEARCH_STEPS: u64 = 4_000_000;

/// The cycles that a level forbids, the gravest first; none if there is none.
pub(super) fn forbidden(graph: &Graph, level: Level) -> Vec<Cycle> {
    let kinds = level.cycles();
    let full = |order: Kinds| full_view(graph, level, order);
    let most = level.orders().last().map_or(Kinds::NONE, |&order| order);
    if components(full(most)).is_empty() {
        return Vec::new();
    }
    let mut walker = Walker::new(graph);
    let mut found: Vec<Cycle> = Vec::new();
    for &order in level.orders() {
        let view = full(order);
        let all = components(view);
        if all.is_empty() {
            continue;
        }
        for &kind in kinds {
            if !found.iter().any(|cycle| cycle.kind == kind) {
                found.extend(walker.find(view, &all, kind, order));
            }
        }
        if found.is_empty() {
            found.extend(walker.any(view, &all));
        }
    }
    found.sort_by_key(|cycle| {
        let order = level
            .orders()
            .iter()
            .position(|&order| order == cycle.order);
        (order, cycle.kind)
    });
    found
}

/// The edges whose cycles a level forbids.
fn full_view(graph: &Graph, level: Level, order: Kinds) -> View<'_> {
    let last = level.cycles().last().copied().unwrap_or(CycleKind::G0);
    let (kinds, apart) = match last {
        CycleKind::G0 => (Kinds::WW, false),
        CycleKind::G1c => (Kinds::WW.with(Kinds::WR), false),
        CycleKind::GSingle | CycleKind::GNonadjacent => (ALL, true),
        CycleKind::G2Item => (ALL, false),
    };
    View {
        graph,
        kinds: kinds.with(order),
        apart,
    }
}

const ALL: Kinds = Kinds::WW.with(Kinds::WR).with(Kinds::RW).with(Kinds::TAIL);

struct Walker<'a> {
    graph: &'a Graph,
    /// How each state was reached: (state, edge). Valid where `met` is the current round.
    reached: Vec<(u32, u32)>,
    distance: Vec<u32>,
    met: Vec<u32>,
    round: u32,
    queue: VecDeque<u32>,
}

impl<'a> Walker<'a> {
    fn new(graph: &'a Graph) -> Self {
        let states = 2 * graph.nodes() as usize;
        Walker {
            graph,
            reached: vec![(NONE, NONE); states],
            distance: vec![0; states],
            met: vec![0; states],
            round: 0,
            queue: VecDeque::new(),
        }
    }

    /// The shortest cycle of a kind, or one of the shortest found within the budget. `all` are
    /// the components of `full`.
    fn find(
        &mut self,
        full: View<'a>,
        all: &Components,
        kind: CycleKind,
        order: Kinds,
    ) -> Option<Cycle> {
        let dependencies = Kinds::WW.with(Kinds::WR);
        let (kinds, apart, first) = match kind {
            CycleKind::G0 => (Kinds::WW, false, Kinds::WW),
            CycleKind::G1c => (dependencies, false, Kinds::WR),
            CycleKind::GSingle => (dependencies.with(Kinds::TAIL), full.apart, Kinds::RW),
            CycleKind::GNonadjacent => (ALL, true, Kinds::RW),
            CycleKind::G2Item => (ALL, false, Kinds::RW),
        };
        let view = View {
            graph: self.graph,
            kinds: kinds.with(order),
            apart,
        };
        // What lies on no cycle of a view that holds this one need not be walked.
        let own;
        let within = match kind {
            CycleKind::GSingle => all,
            CycleKind::G2Item if !full.apart => all,
            _ => {
                own = components(view);
                &own
            }
        };
        let mut steps = SEARCH_STEPS;
        let mut best: Option<Cycle> = None;
        for node in 0..self.graph.transactions {
            for edge in self.graph.edges(node) {
                if self.graph.kind(edge) != first {
                    continue;
                }
                let cycle = self.around(view, within, node, edge, &mut steps);
                if let Some(cycle) = cycle
                    && (cycle.kind, cycle.order) == (kind, order)
                    && best
                        .as_ref()
                        .is_none_or(|best| cycle.hops.len() < best.hops.len())
                {
                    best = Some(cycle);
                }
                let shortest = best.as_ref().is_some_and(|best| best.hops.len() == 2);
                if shortest || steps == 0 {
                    return best;
                }
            }
        }
        best
    }

    /// Some cycle, where none was found by its kind.
    fn any(&mut self, view: View<'a>, within: &Components) -> Option<Cycle> {
        let mut steps = u64::MAX;
        for node in 0..self.graph.transactions {
            for edge in self.graph.edges(node) {
                if view.kinds.has(self.graph.kind(edge)) {
                    let cycle = self.around(view, within, node, edge, &mut steps);
                    if cycle.is_some() {
                        return cycle;
                    }
                }
            }
        }
        None
    }

    /// The shortest way back to where an edge begins.
    fn around(
        &mut self,
        view: View<'a>,
        within: &Components,
        from: u32,
        edge: u32,
        steps: &mut u64,
    ) -> Option<Cycle> {
        let entered_by_rw = view.apart && self.graph.kind(edge) == Kinds::RW;
        let start = 2 * self.graph.target(edge) + u32::from(entered_by_rw);
        let goal = 2 * from;
        if !within.together(start, goal) {
            return None;
        }
        self.round += 1;
        self.queue.clear();
        self.queue.push_back(start);
        self.met[start as usize] = self.round;
        self.reached[start as usize] = (NONE, edge);
        self.distance[start as usize] = 0;
        while let Some(state) = self.queue.pop_front() {
            if state == goal {
                return Some(self.cycle(from, goal));
            }
            let here = self.distance[state as usize];
            for edge in self.graph.edges(state / 2) {
                *steps = steps.checked_sub(1)?;
                let Some(next) = view.follow(state, edge) else {
                    continue;
                };
                if !within.together(next, goal) {
                    continue;
                }
                // Edges out of tail and time nodes only finish what the edge into them began.
                let free = state / 2 >= self.graph.transactions;
                let distance = here + u32::from(!free);
                let known = self.met[next as usize] == self.round;
                if known && self.distance[next as usize] <= distance {
                    continue;
                }
                self.met[next as usize] = self.round;
                self.distance[next as usize] = distance;
                self.reached[next as usize] = (state, edge);
                if free {
                    self.queue.push_front(next);
                } else {
                    self.queue.push_back(next);
                }
            }
        }
        None
    }

    /// Reads the way off, and leaves out the nodes that are no transactions.
    fn cycle(&self, from: u32, goal: u32) -> Cycle {
        let mut edges = Vec::new();
        let mut state = goal;
        while state != NONE {
            let (before, edge) = self.reached[state as usize];
            edges.push(edge);
            state = before;
        }
        let mut hops = Vec::new();
        let (mut at, mut kind) = (from, Kinds::NONE);
        for &edge in edges.iter().rev() {
            if kind == Kinds::NONE {
                kind = self.graph.kind(edge);
            }
            let to = self.graph.target(edge);
            if to < self.graph.transactions {
                hops.push(Hop { from: at, to, kind });
                (at, kind) = (to, Kinds::NONE);
            }
        }
        let (kind, order) = classify(&hops);
        Cycle { kind, order, hops }
    }
}

fn classify(hops: &[Hop]) -> (CycleKind, Kinds) {
    let has = |kind: Kinds| hops.iter().any(|hop| hop.kind == kind);
    let order = if has(Kinds::REALTIME) {
        Kinds::REALTIME
    } else if has(Kinds::PROCESS) {
        Kinds::PROCESS
    } else {
        Kinds::NONE
    };
    let is_rw = |at: usize| hops[at % hops.len()].kind == Kinds::RW;
    let missed = (0..hops.len()).filter(|&at| is_rw(at)).count();
    let adjacent = (0..hops.len()).any(|at| is_rw(at) && is_rw(at + 1));
    let kind = match missed {
        0 if has(Kinds::WR) => CycleKind::G1c,
        0 => CycleKind::G0,
        1 => CycleKind::GSingle,
        _ if adjacent => CycleKind::G2Item,
        _ => CycleKind::GNonadjacent,
    };
    (kind, order)
}
