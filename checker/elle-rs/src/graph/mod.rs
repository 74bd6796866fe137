//! Which transaction must come before which, and why: compressed rows, one byte of reason per edge.
//!
//! The orders of processes and of real time take no rows. A transaction leads to the next of its
//! process, and to the *tick* it completed at; a tick leads to the next one and to the
//! transactions that begin at it (which stand together, being numbered as they begin). So real
//! time takes a node and two edges a transaction, where all pairs would be quadratic.
//!
//! Other helpers stand between the many and the many where every one of the first comes before
//! every one of the second.

mod components;
mod cycles;
mod sort;
mod tail;
mod view;

pub(crate) use cycles::{Cycle, CycleKind, Hop, forbidden, view_of};
pub(crate) use sort::sort;
pub(crate) use tail::tail;
pub(crate) use view::{Edge, View};

use crate::txn::store::{Id, NONE, Store};

/// A set of reasons for an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub const NONE: Kinds = Kinds(0);
    /// The second wrote behind the first.
    pub const WW: Kinds = Kinds(1);
    /// The second read what the first wrote.
    pub const WR: Kinds = Kinds(2);
    /// The first did not see what the second wrote.
    pub const RW: Kinds = Kinds(4);
    /// One process did both, one after the other.
    pub const PROCESS: Kinds = Kinds(8);
    /// The first had completed when the second began.
    pub const REALTIME: Kinds = Kinds(16);
    /// From a helper: the second half of a `RW`.
    pub const TAIL: Kinds = Kinds(32);
    /// Not seen in the data, but deduced from an order of time: counts only where that does.
    pub const TIMED: Kinds = Kinds(64);

    pub const fn with(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    /// The reason, however it is known.
    #[inline]
    pub const fn plain(self) -> Kinds {
        Kinds(self.0 & !Self::TIMED.0)
    }

    /// Whether an edge of this kind counts among these.
    #[inline]
    pub const fn counts(self, edge: Kinds) -> bool {
        self.has(edge.plain()) && (!edge.has(Self::TIMED) || self.has(Self::TIMED))
    }

    #[inline]
    pub const fn has(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }
}

/// Nodes below `transactions` are transactions, then helpers, then ticks.
pub(crate) struct Graph<'a> {
    pub transactions: u32,
    /// The order that edges were deduced from, the strongest that counts.
    pub deduced_from: Kinds,
    /// Where the ticks begin.
    ticks_at: u32,
    ticks: u32,
    offsets: Vec<u32>,
    targets: Vec<u32>,
    kinds: Vec<Kinds>,
    /// Per transaction: the next of its process that took effect.
    next_of_process: Vec<u32>,
    ended: &'a [u32],
    /// Per tick of the clock: the first transaction that began at it or later.
    first_begun: Vec<u32>,
}

/// Says its edges twice: once to be counted, once to be kept.
pub(crate) trait Edges {
    /// Gives each edge, the same ones each time, and says how many helpers there are. These are
    /// numbered behind the transactions.
    fn each(&self, give: &mut impl FnMut(u32, u32, Kinds)) -> u32;
}

impl<'a> Graph<'a> {
    /// Builds the rows; `orders` says what else than data counts, `took_effect` for whom.
    pub fn new(
        store: &'a Store,
        edges: &impl Edges,
        orders: Kinds,
        took_effect: &[bool],
    ) -> Graph<'a> {
        let transactions = store.len() as u32;
        let mut offsets = vec![0u32; transactions as usize + 2];
        let helpers = edges.each(&mut |from, to, _| {
            if from != to {
                let at = from as usize + 2;
                if at >= offsets.len() {
                    offsets.resize(at + 1, 0);
                }
                offsets[at] += 1;
            }
        });
        let ticks_at = transactions + helpers;
        offsets.resize(ticks_at as usize + 2, 0);
        for node in 2..offsets.len() {
            offsets[node] += offsets[node - 1];
        }
        let size = offsets.last().copied().unwrap_or(0) as usize;
        let mut targets = vec![0; size];
        let mut kinds = vec![Kinds::NONE; size];
        // The row of a node is filled from where it begins, which so moves to where it ends.
        edges.each(&mut |from, to, kind| {
            if from != to {
                let at = &mut offsets[from as usize + 1];
                targets[*at as usize] = to;
                kinds[*at as usize] = kind;
                *at += 1;
            }
        });
        let real_time = orders.has(Kinds::REALTIME);
        Graph {
            transactions,
            deduced_from: [Kinds::REALTIME, Kinds::PROCESS]
                .into_iter()
                .find(|&order| orders.has(order))
                .unwrap_or(Kinds::NONE),
            ticks_at,
            ticks: if real_time { store.clock } else { 0 },
            offsets,
            targets,
            kinds,
            next_of_process: if orders.has(Kinds::PROCESS) {
                next_of_process(store, took_effect)
            } else {
                Vec::new()
            },
            ended: if real_time { &store.ended } else { &[] },
            first_begun: if real_time {
                first_begun(store)
            } else {
                Vec::new()
            },
        }
    }

    pub fn nodes(&self) -> u32 {
        self.ticks_at + self.ticks
    }

    /// How many edges there are.
    pub fn size(&self) -> u64 {
        let in_process = self.next_of_process.iter().filter(|&&next| next != NONE);
        let to_ticks = self.ended.iter().filter(|&&tick| tick != NONE).count() as u64;
        let from_ticks = 2 * u64::from(self.ticks);
        self.targets.len() as u64 + in_process.count() as u64 + to_ticks + from_ticks
    }

    /// The edge of a node by its number among the node's, `None` behind the last.
    #[inline]
    pub fn nth(&self, node: u32, nth: u32) -> Option<(u32, Kinds)> {
        if node >= self.ticks_at {
            return self.after_tick(node, nth);
        }
        let (from, to) = (self.offsets[node as usize], self.offsets[node as usize + 1]);
        if nth < to - from {
            let at = (from + nth) as usize;
            return Some((self.targets[at], self.kinds[at]));
        }
        if node >= self.transactions {
            return None;
        }
        let mut left = nth - (to - from);
        let next = self.next_of_process.get(node as usize);
        if let Some(&next) = next.filter(|&&next| next != NONE) {
            if left == 0 {
                return Some((next, Kinds::PROCESS));
            }
            left -= 1;
        }
        let ended = self.ended.get(node as usize);
        let ended = ended.filter(|&&tick| left == 0 && tick < self.ticks);
        ended.map(|&tick| (self.ticks_at + tick, Kinds::REALTIME))
    }

    fn after_tick(&self, node: u32, nth: u32) -> Option<(u32, Kinds)> {
        let tick = (node - self.ticks_at) as usize;
        if nth == 0 && tick + 1 < self.ticks as usize {
            return Some((node + 1, Kinds::REALTIME));
        }
        let skipped = u32::from(tick + 1 < self.ticks as usize);
        let begun = self.first_begun[tick + 1] + (nth - skipped);
        (begun < self.first_begun[tick + 2]).then_some((begun, Kinds::REALTIME))
    }

    /// Which tick a node is, if it is one.
    pub fn tick(&self, node: u32) -> Option<u32> {
        node.checked_sub(self.ticks_at)
    }

    /// Whether a node is a transaction.
    pub fn is_transaction(&self, node: u32) -> bool {
        node < self.transactions
    }
}

fn next_of_process(store: &Store, took_effect: &[bool]) -> Vec<u32> {
    let mut last: Vec<Id> = vec![NONE; store.processes.len()];
    let mut next = vec![NONE; store.len()];
    for id in store.ids().filter(|&id| took_effect[id as usize]) {
        let process = store.process[id as usize] as usize;
        let before = std::mem::replace(&mut last[process], id);
        if before != NONE {
            next[before as usize] = id;
        }
    }
    next
}

/// The clock has `clock` ticks that something completed at; behind the last, nothing begins.
fn first_begun(store: &Store) -> Vec<u32> {
    let mut first = vec![0u32; store.clock as usize + 2];
    let mut id = 0;
    for (tick, first) in first.iter_mut().enumerate() {
        while id < store.len() && (store.begun[id] as usize) < tick {
            id += 1;
        }
        *first = id as u32;
    }
    first
}
