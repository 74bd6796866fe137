//! One shortest cycle of each kind that a level forbids.
//!
//! Whether there is a forbidden cycle at all is decided without a search, in linear time. What it
//! should be called takes a search from each edge that its kind must have; that is under a
//! budget of steps, and a kind not found within it may go unnamed beside those that were.

use std::collections::VecDeque;

use super::components::{Components, components, components_within};
use super::view::{Edge, View};
use super::{Graph, Kinds};
use crate::txn::store::{Id, NONE};

/// The kinds of cycles, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum CycleKind {
    /// Only writes behind writes.
    G0,
    /// Writes, and reads of them.
    G1c,
    /// Exactly one read that missed a write.
    GSingle,
    /// Several, but none right after another.
    GNonadjacent,
    /// Any.
    G2Item,
}

impl CycleKind {
    pub fn name(self) -> &'static str {
        match self {
            CycleKind::G0 => "G0",
            CycleKind::G1c => "G1c",
            CycleKind::GSingle => "G-single",
            CycleKind::GNonadjacent => "G-nonadjacent",
            CycleKind::G2Item => "G2-item",
        }
    }
}

/// One step round a cycle, from transaction to transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub from: Id,
    pub to: Id,
    pub kind: Kinds,
}

/// A cycle and what it is called.
pub(crate) struct Cycle {
    pub kind: CycleKind,
    /// What else than data it takes: nothing, a process's order, or real time.
    pub order: Kinds,
    pub hops: Vec<Hop>,
}

impl Cycle {
    /// `G-single-realtime` and the like.
    pub fn name(&self) -> String {
        let suffix = match self.order {
            Kinds::PROCESS => "-process",
            Kinds::REALTIME => "-realtime",
            _ => "",
        };
        format!("{}{suffix}", self.kind.name())
    }
}

/// Edges looked at for one kind of cycle.
const SEARCH_STEPS: u64 = 4_000_000;

const DEPENDENCIES: Kinds = Kinds::WW.with(Kinds::WR);
const ALL: Kinds = DEPENDENCIES.with(Kinds::RW).with(Kinds::TAIL);

/// The edges whose cycles are forbidden where `worst` is the last kind that is.
pub(crate) fn view_of<'a>(graph: &'a Graph<'a>, worst: CycleKind, order: Kinds) -> View<'a> {
    let (kinds, apart) = match worst {
        CycleKind::G0 => (Kinds::WW, false),
        CycleKind::G1c => (DEPENDENCIES, false),
        CycleKind::GSingle | CycleKind::GNonadjacent => (ALL, true),
        CycleKind::G2Item => (ALL, false),
    };
    View {
        graph,
        kinds: kinds.with(order).with(timed(graph, order)),
        apart,
    }
}

/// Whether what was deduced from an order counts beside it.
fn timed(graph: &Graph<'_>, order: Kinds) -> Kinds {
    if order != Kinds::NONE && order == graph.deduced_from {
        return Kinds::TIMED;
    }
    Kinds::NONE
}

/// The cycles of these kinds in data alone, then with each of these orders; the gravest first.
pub(crate) fn forbidden(graph: &Graph<'_>, kinds: &[CycleKind], orders: &[Kinds]) -> Vec<Cycle> {
    let Some(&worst) = kinds.last() else {
        return Vec::new();
    };
    let mut searcher = Searcher::new(graph);
    let mut found: Vec<Cycle> = Vec::new();
    for &order in orders {
        let view = view_of(graph, worst, order);
        let all = components(view);
        if all.is_empty() {
            continue;
        }
        for &kind in kinds {
            if !found.iter().any(|cycle| cycle.kind == kind) {
                found.extend(searcher.find(view, &all, kind, order));
            }
        }
        if found.is_empty() {
            found.extend(searcher.any(view, &all));
        }
    }
    found.sort_by_key(|cycle| {
        let order = orders.iter().position(|&order| order == cycle.order);
        (order, cycle.kind)
    });
    found
}

struct Searcher<'a> {
    graph: &'a Graph<'a>,
    /// How each state was reached: (state, edge). Valid where `met` is the current round.
    reached: Vec<(u32, u32)>,
    distance: Vec<u32>,
    met: Vec<u32>,
    round: u32,
    queue: VecDeque<u32>,
}

impl<'a> Searcher<'a> {
    fn new(graph: &'a Graph<'a>) -> Self {
        Searcher {
            graph,
            reached: Vec::new(),
            distance: Vec::new(),
            met: Vec::new(),
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
        let (kinds, apart, first) = match kind {
            CycleKind::G0 => (Kinds::WW, false, Kinds::WW),
            CycleKind::G1c => (DEPENDENCIES, false, Kinds::WR),
            CycleKind::GSingle => (DEPENDENCIES.with(Kinds::TAIL), false, Kinds::RW),
            CycleKind::GNonadjacent => (ALL, true, Kinds::RW),
            CycleKind::G2Item => (ALL, false, Kinds::RW),
        };
        let view = View {
            graph: self.graph,
            kinds: kinds.with(order).with(timed(self.graph, order)),
            apart,
        };
        // What lies on no cycle of a view that holds this one need not be walked.
        let own;
        let within = match kind {
            CycleKind::GSingle | CycleKind::G2Item if !full.apart => all,
            CycleKind::GNonadjacent if full.apart => all,
            CycleKind::GSingle => {
                let kinds = ALL.with(order).with(timed(self.graph, order));
                own = components_within(View { kinds, ..view }, full, all);
                &own
            }
            _ => {
                own = components_within(view, full, all);
                &own
            }
        };
        if within.is_empty() {
            return None;
        }
        let mut steps = SEARCH_STEPS;
        let mut best: Option<Cycle> = None;
        for node in 0..self.graph.transactions {
            let mut nth = 0;
            while let Some((to, edge)) = self.graph.nth(node, nth) {
                nth += 1;
                // (The first edge of a G-single is of a kind that the way back must not have.)
                if edge.plain() != first || !view.kinds.with(first).counts(edge) {
                    continue;
                }
                let cycle = self.around(view, within, (node, to, edge), &mut steps);
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
            let mut nth = 0;
            while let Some((to, kind)) = self.graph.nth(node, nth) {
                nth += 1;
                if view.kinds.counts(kind) {
                    let cycle = self.around(view, within, (node, to, kind), &mut steps);
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
        (from, to, kind): (u32, u32, Kinds),
        steps: &mut u64,
    ) -> Option<Cycle> {
        let (start, goal) = if view.apart {
            let missed = kind.plain() == Kinds::RW;
            let commits = missed && self.graph.is_transaction(to);
            (2 * to + u32::from(commits), 2 * from + u32::from(!missed))
        } else {
            (to, from)
        };
        if !within.together(start, goal) {
            return None;
        }
        if self.met.len() < view.states() as usize {
            let states = view.states() as usize;
            self.met.resize(states, 0);
            self.distance.resize(states, 0);
            self.reached.resize(states, (NONE, NONE));
        }
        self.round += 1;
        self.queue.clear();
        self.queue.push_back(start);
        self.met[start as usize] = self.round;
        self.reached[start as usize] = (NONE, NONE);
        self.distance[start as usize] = 0;
        while let Some(state) = self.queue.pop_front() {
            if state == goal {
                return Some(self.cycle(view, (from, to, kind), goal));
            }
            let here = self.distance[state as usize];
            let mut nth = 0;
            loop {
                let (next, kind) = match view.nth(state, nth) {
                    Edge::End => break,
                    Edge::Skipped => (NONE, Kinds::NONE),
                    Edge::To(next, kind) => (next, kind),
                };
                nth += 1;
                *steps = steps.checked_sub(1)?;
                if next == NONE || !within.together(next, goal) {
                    continue;
                }
                // Edges out of helpers only finish what the edge into them began, and from its
                // start to its commit a transaction does not leave itself.
                let free = kind == Kinds::NONE || !view.is_transaction(state);
                let distance = here + u32::from(!free);
                let known = self.met[next as usize] == self.round;
                if known && self.distance[next as usize] <= distance {
                    continue;
                }
                self.met[next as usize] = self.round;
                self.distance[next as usize] = distance;
                self.reached[next as usize] = (state, nth - 1);
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
    fn cycle(&self, view: View<'a>, (from, to, kind): (u32, u32, Kinds), goal: u32) -> Cycle {
        let mut edges = Vec::new();
        let mut state = goal;
        loop {
            let (before, nth) = self.reached[state as usize];
            if before == NONE {
                break;
            }
            if let Edge::To(next, kind) = view.nth(before, nth)
                && kind != Kinds::NONE
            {
                edges.push((view.node(next), kind));
            }
            state = before;
        }
        edges.push((to, kind));
        let mut hops = Vec::new();
        let (mut at, mut reason) = (from, Kinds::NONE);
        for &(to, kind) in edges.iter().rev() {
            if reason == Kinds::NONE {
                reason = kind;
            }
            if self.graph.is_transaction(to) {
                hops.push(Hop {
                    from: at,
                    to,
                    kind: reason,
                });
                (at, reason) = (to, Kinds::NONE);
            }
        }
        let (kind, order) = classify(&hops, self.graph.deduced_from);
        Cycle { kind, order, hops }
    }
}

fn classify(hops: &[Hop], deduced_from: Kinds) -> (CycleKind, Kinds) {
    let has = |kind: Kinds| hops.iter().any(|hop| hop.kind.has(kind));
    let deduced = has(Kinds::TIMED);
    let order = if has(Kinds::REALTIME) || (deduced && deduced_from == Kinds::REALTIME) {
        Kinds::REALTIME
    } else if has(Kinds::PROCESS) || deduced {
        Kinds::PROCESS
    } else {
        Kinds::NONE
    };
    let is_rw = |at: usize| hops[at % hops.len()].kind.plain() == Kinds::RW;
    let missed = (0..hops.len()).filter(|&at| is_rw(at)).count();
    let adjacent = (0..hops.len()).any(|at| is_rw(at) && is_rw(at + 1));
    let kind = match missed {
        // What is deduced from time rests on reads that would have missed something.
        0 if deduced => CycleKind::GSingle,
        0 if has(Kinds::WR) => CycleKind::G1c,
        0 => CycleKind::G0,
        1 => CycleKind::GSingle,
        _ if adjacent => CycleKind::G2Item,
        _ => CycleKind::GNonadjacent,
    };
    (kind, order)
}
