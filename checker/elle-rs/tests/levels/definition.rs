//! Levels by their definition (Adya 1999): whether some choice of pending transactions that took
//! effect, and some order of each key's versions, gives a graph without a forbidden cycle.

use elle_rs::history::Kind;

use crate::draw::{KEYS, Model, Order, Transaction};

/// Which edges may form no cycle, beside those of the order.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub enum Edges {
    /// G0.
    Ww,
    /// G1.
    WwWr,
    /// G2-item.
    All,
}

pub struct Definition<'a> {
    pub all: &'a [Transaction],
    pub model: Model,
    pub edges: Edges,
    pub order: Order,
}

impl Definition<'_> {
    pub fn holds(&self) -> bool {
        let pending: Vec<usize> = (0..self.all.len())
            .filter(|&at| self.all[at].kind == Kind::Info)
            .collect();
        (0..1u32 << pending.len()).any(|chosen| {
            let took_effect = |at: &usize| {
                let place = pending.iter().position(|p| p == at);
                self.all[*at].is_ok() || place.is_some_and(|p| chosen & 1 << p != 0)
            };
            let committed: Vec<usize> = (0..self.all.len()).filter(took_effect).collect();
            self.some_order(&committed, &mut Vec::new())
        })
    }

    /// `versions`: the writers of each key until now, in their order.
    fn some_order(&self, committed: &[usize], versions: &mut Vec<Vec<usize>>) -> bool {
        let key = versions.len();
        if key == KEYS {
            return self.is_allowed(committed, versions);
        }
        let mut writers: Vec<usize> = committed.to_vec();
        writers.retain(|&at| self.all[at].writes(key).next().is_some());
        permutations(&writers).into_iter().any(|order| {
            versions.push(order);
            let found = self.some_order(committed, versions);
            versions.pop();
            found
        })
    }

    fn is_allowed(&self, committed: &[usize], versions: &[Vec<usize>]) -> bool {
        let count = self.all.len();
        let mut leads = vec![vec![false; count]; count];
        for order in versions {
            for pair in order.windows(2) {
                leads[pair[0]][pair[1]] = true;
            }
        }
        for &a in committed {
            for &b in committed {
                leads[a][b] |= self.order.has(&self.all[a], &self.all[b]);
            }
        }
        for &reader in committed.iter().filter(|&&at| self.all[at].is_ok()) {
            let steps = self.all[reader].steps.iter();
            for step in steps.filter(|step| step.write.is_none()) {
                let order = &versions[step.key];
                let list: Vec<(u64, usize)> = order
                    .iter()
                    .flat_map(|&at| self.all[at].writes(step.key).map(move |value| (value, at)))
                    .collect();
                let Some(seen) = self.seen(&step.read, &list) else {
                    return false;
                };
                let next = list.get(seen).map(|&(_, at)| at);
                // What a transaction puts comes behind what it read there, at every level (Elle's
                // `cyclic-versions`, which Adya's lowest would permit).
                let own = list.iter().position(|&(_, at)| at == reader);
                if self.model == Model::Register && own.is_some_and(|own| own < seen) {
                    return false;
                }
                if self.edges >= Edges::WwWr && seen > 0 {
                    let writer = list[seen - 1].1;
                    // What it writes only later, or what its writer wrote over.
                    if writer == reader || next == Some(writer) {
                        return false;
                    }
                    leads[writer][reader] = true;
                }
                if let Some(next) = next.filter(|&next| next != reader)
                    && self.edges == Edges::All
                {
                    leads[reader][next] = true;
                }
            }
        }
        is_acyclic(leads)
    }

    /// How many elements of the list a read saw.
    fn seen(&self, read: &[u64], list: &[(u64, usize)]) -> Option<usize> {
        let Some(last) = read.last() else {
            return Some(0);
        };
        let seen = list.iter().position(|(value, _)| value == last)? + 1;
        let same = || read.iter().eq(list[..seen].iter().map(|(value, _)| value));
        (self.model == Model::Register || same()).then_some(seen)
    }
}

fn permutations(of: &[usize]) -> Vec<Vec<usize>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for at in 0..of.len() {
        let mut rest = of.to_vec();
        let first = rest.remove(at);
        for mut order in permutations(&rest) {
            order.insert(0, first);
            all.push(order);
        }
    }
    all
}

fn is_acyclic(mut leads: Vec<Vec<bool>>) -> bool {
    let count = leads.len();
    for via in 0..count {
        for from in 0..count {
            for to in 0..count {
                leads[from][to] |= leads[from][via] && leads[via][to];
            }
        }
    }
    (0..count).all(|at| !leads[at][at])
}
