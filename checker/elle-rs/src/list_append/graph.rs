//! Which transaction must come before which, and why: a graph with one byte of reason per edge.
//!
//! Real time is a chain of *time nodes*, one per completion: a transaction leads to the node of
//! its completion, each node to the next, and the last node before an invocation to the
//! transaction invoked. Three edges a transaction, where all pairs would be quadratic. Appends
//! that nobody read come after everything that was read; where many transactions read a whole
//! list, a *tail node* stands between them and those appends, for the same reason.

use rustc_hash::FxHashMap;

use super::transactions::{Id, List, NONE, Transactions};

/// A set of reasons for an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub const NONE: Kinds = Kinds(0);
    /// The second appended behind the first.
    pub const WW: Kinds = Kinds(1);
    /// The second read what the first appended.
    pub const WR: Kinds = Kinds(2);
    /// The first did not see what the second appended.
    pub const RW: Kinds = Kinds(4);
    /// One process did both, one after the other.
    pub const PROCESS: Kinds = Kinds(8);
    /// The first had completed when the second began.
    pub const REALTIME: Kinds = Kinds(16);
    /// From a tail node: the second half of a `RW`.
    pub const TAIL: Kinds = Kinds(32);

    pub const fn with(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    pub const fn has(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }
}

/// The graph, in compressed rows. Nodes below `transactions` are transactions.
pub(super) struct Graph {
    pub transactions: u32,
    offsets: Vec<u32>,
    targets: Vec<u32>,
    kinds: Vec<Kinds>,
}

impl Graph {
    pub fn nodes(&self) -> u32 {
        self.offsets.len() as u32 - 1
    }

    /// The edges that leave a node, by number.
    pub fn edges(&self, node: u32) -> std::ops::Range<u32> {
        self.offsets[node as usize]..self.offsets[node as usize + 1]
    }

    pub fn target(&self, edge: u32) -> u32 {
        self.targets[edge as usize]
    }

    pub fn kind(&self, edge: u32) -> Kinds {
        self.kinds[edge as usize]
    }

    /// How many edges there are.
    pub fn size(&self) -> usize {
        self.targets.len()
    }

    fn new(transactions: u32, nodes: u32, edges: &[(u32, u32, Kinds)]) -> Self {
        let mut offsets = vec![0u32; nodes as usize + 1];
        for &(from, _, _) in edges {
            offsets[from as usize + 1] += 1;
        }
        for node in 0..nodes as usize {
            offsets[node + 1] += offsets[node];
        }
        let mut next = offsets.clone();
        let mut targets = vec![0; edges.len()];
        let mut kinds = vec![Kinds::NONE; edges.len()];
        for &(from, to, kind) in edges {
            let at = next[from as usize] as usize;
            next[from as usize] += 1;
            targets[at] = to;
            kinds[at] = kind;
        }
        Graph {
            transactions,
            offsets,
            targets,
            kinds,
        }
    }
}

/// Builds the graph; `orders` says what else than data counts.
pub(super) fn build(all: &Transactions<'_>, orders: Kinds) -> Graph {
    let transactions = all.transactions.len() as u32;
    let mut builder = Builder {
        all,
        edges: Vec::new(),
        nodes: transactions,
    };
    for list in &all.lists {
        builder.data(list);
        builder.unread(list);
    }
    if orders.has(Kinds::PROCESS) {
        builder.processes();
    }
    if orders.has(Kinds::REALTIME) {
        builder.real_time();
    }
    Graph::new(transactions, builder.nodes, &builder.edges)
}

struct Builder<'a> {
    all: &'a Transactions<'a>,
    edges: Vec<(u32, u32, Kinds)>,
    nodes: u32,
}

impl Builder<'_> {
    fn add(&mut self, from: u32, to: u32, kind: Kinds) {
        if from != to {
            self.edges.push((from, to, kind));
        }
    }

    fn node(&mut self) -> u32 {
        self.nodes += 1;
        self.nodes - 1
    }

    /// What the lists that were read say.
    fn data(&mut self, list: &List<'_>) {
        let mut before = NONE;
        for &writer in list.writers.iter().filter(|&&writer| writer != NONE) {
            if before != NONE {
                self.add(before, writer, Kinds::WW);
            }
            before = writer;
        }
        for read in list.reads.iter().filter(|read| read.fits) {
            let length = read.list.len();
            if let Some(&writer) = length.checked_sub(1).and_then(|at| list.writers.get(at))
                && writer != NONE
            {
                self.add(writer, read.transaction, Kinds::WR);
            }
            if let Some((_, writer)) = list.writer_from(length) {
                self.add(read.transaction, writer, Kinds::RW);
            }
        }
    }

    /// Appends that took effect and that nobody read come after all that was read.
    fn unread(&mut self, list: &List<'_>) {
        let mut unread: Vec<Id> = list
            .appends
            .iter()
            .filter(|append| append.position == NONE)
            .map(|append| append.transaction)
            .filter(|&id| self.all.transactions[id as usize].took_effect)
            .collect();
        unread.dedup();
        if unread.is_empty() {
            return;
        }
        let last = list.writers.iter().rev().find(|&&writer| writer != NONE);
        for &writer in &unread {
            if let Some(&last) = last {
                self.add(last, writer, Kinds::WW);
            }
        }
        let whole: Vec<Id> = list
            .reads
            .iter()
            .filter(|read| read.fits && list.writer_from(read.list.len()).is_none())
            .map(|read| read.transaction)
            .collect();
        self.tail(&whole, &unread);
    }

    /// Each of `whole` read the list without what each of `unread` appended.
    fn tail(&mut self, whole: &[Id], unread: &[Id]) {
        if whole.len() <= 1 || unread.len() <= 1 {
            for &reader in whole {
                for &writer in unread {
                    self.add(reader, writer, Kinds::RW);
                }
            }
            return;
        }
        // Through the tail node one that did both would lead to itself: these get edges of
        // their own. Two of them are a lost update; then a circle among them says all there is.
        let is_unread = |id: &Id| unread.binary_search(id).is_ok();
        let both: Vec<Id> = whole.iter().copied().filter(is_unread).collect();
        let tail = self.node();
        for &reader in whole.iter().filter(|id| !is_unread(id)) {
            self.add(reader, tail, Kinds::RW);
        }
        for &writer in unread {
            self.add(tail, writer, Kinds::TAIL);
        }
        if let Some(&first) = both.first() {
            for &writer in unread.iter().filter(|id| !both[1..].contains(id)) {
                self.add(first, writer, Kinds::RW);
            }
        }
        for pair in both.windows(2) {
            self.add(pair[0], pair[1], Kinds::RW);
            self.add(pair[1], pair[0], Kinds::RW);
        }
    }

    fn processes(&mut self) {
        let mut last: FxHashMap<u32, Id> = FxHashMap::default();
        for (id, transaction) in (0..).zip(&self.all.transactions) {
            if transaction.took_effect
                && let Some(before) = last.insert(transaction.process, id)
            {
                self.add(before, id, Kinds::PROCESS);
            }
        }
    }

    fn real_time(&mut self) {
        let mut completions: Vec<(u32, Id)> = (0..)
            .zip(&self.all.transactions)
            .filter(|(_, transaction)| transaction.complete != NONE)
            .map(|(id, transaction)| (transaction.complete, id))
            .collect();
        completions.sort_unstable();
        let first = self.nodes;
        for (at, &(_, id)) in completions.iter().enumerate() {
            let node = self.node();
            self.add(id, node, Kinds::REALTIME);
            if at > 0 {
                self.add(node - 1, node, Kinds::REALTIME);
            }
        }
        let mut completed = 0;
        for (id, transaction) in (0..).zip(&self.all.transactions) {
            while completions
                .get(completed)
                .is_some_and(|&(complete, _)| complete < transaction.invoke)
            {
                completed += 1;
            }
            if transaction.took_effect && completed > 0 {
                self.add(first + completed as u32 - 1, id, Kinds::REALTIME);
            }
        }
    }
}
