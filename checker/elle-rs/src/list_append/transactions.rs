//! Transactions and, per key, their appends and reads.

use rustc_hash::FxHashMap;

use crate::history::pairs::{Malformed, Outcome, pair};
use crate::history::{Action, Event, Key, Step, Value};

/// A transaction by its place in the order of invocation.
pub(super) type Id = u32;
pub(super) const NONE: u32 = u32::MAX;

/// One transaction.
pub(super) struct Transaction<'a> {
    /// Positions of its events; `complete` is [`NONE`] unless it was acknowledged.
    pub invoke: u32,
    pub complete: u32,
    pub process: u32,
    pub outcome: Outcome,
    /// Acknowledged, or pending and seen by somebody.
    pub took_effect: bool,
    pub steps: &'a [Step],
}

/// One append to a key.
pub(super) struct Append {
    pub transaction: Id,
    pub value: Value,
    /// Where it stands in the list, [`NONE`] if nobody read it.
    pub position: u32,
}

/// What an acknowledged transaction saw of a key before its own appends.
pub(super) struct Read<'a> {
    pub transaction: Id,
    pub list: &'a [Value],
    /// The same with its own appends behind it, if it read that too.
    pub with_own: &'a [Value],
    /// A prefix of the key's order; the others are findings and give no edges.
    pub fits: bool,
}

/// All that was done to one list. Appends and reads are in the order of transactions.
pub(super) struct List<'a> {
    pub key: Key,
    pub appends: Vec<Append>,
    pub reads: Vec<Read<'a>>,
    /// The longest read, and who appended each of its elements ([`NONE`]: nobody that counts).
    pub order: &'a [Value],
    pub writers: Vec<Id>,
}

impl List<'_> {
    /// The appends of one transaction, in its order.
    pub fn appends_of(&self, transaction: Id) -> &[Append] {
        let from = self
            .appends
            .partition_point(|append| append.transaction < transaction);
        let to = self
            .appends
            .partition_point(|append| append.transaction <= transaction);
        &self.appends[from..to]
    }

    /// The usable read of one transaction.
    pub fn read_of(&self, transaction: Id) -> Option<&Read<'_>> {
        let at = self
            .reads
            .partition_point(|read| read.transaction < transaction);
        self.reads
            .get(at)
            .filter(|read| read.transaction == transaction && read.fits)
    }

    /// The first element from `position` on whose writer counts.
    pub fn writer_from(&self, position: usize) -> Option<(usize, Id)> {
        let writers = self.writers.get(position..)?;
        let skip = writers.iter().position(|&writer| writer != NONE)?;
        Some((position + skip, writers[skip]))
    }
}

/// A read within a transaction that does not follow from what the transaction did before it.
pub(super) struct Internal<'a> {
    pub transaction: Id,
    pub key: Key,
    pub list: &'a [Value],
    /// What it had seen of the key before, if it had.
    pub seen: Option<&'a [Value]>,
    /// What it had appended to the key before.
    pub own: Vec<Value>,
}

/// A history of list-append transactions.
pub(super) struct Transactions<'a> {
    pub events: &'a [Event],
    pub transactions: Vec<Transaction<'a>>,
    /// By key.
    pub lists: Vec<List<'a>>,
    pub internal: Vec<Internal<'a>>,
}

/// Reads the transactions of a history; other operations are passed over.
pub(super) fn transactions(events: &[Event]) -> Result<Transactions<'_>, Malformed> {
    let mut all = Transactions {
        events,
        transactions: Vec::new(),
        lists: Vec::new(),
        internal: Vec::new(),
    };
    let mut by_key: FxHashMap<Key, u32> = FxHashMap::default();
    let mut touched = Vec::new();
    for pair in pair(events)? {
        let (at, complete) = match (pair.outcome, pair.complete) {
            (Outcome::Ok, Some(complete)) => (complete, complete),
            _ => (pair.invoke, NONE),
        };
        let Event::Op(op) = &events[at as usize] else {
            continue;
        };
        let Action::Txn { steps } = &op.action else {
            continue;
        };
        let transaction = Transaction {
            invoke: pair.invoke,
            complete,
            process: op.process,
            outcome: pair.outcome,
            took_effect: pair.outcome == Outcome::Ok,
            steps,
        };
        all.add(transaction, &mut by_key, &mut touched);
    }
    all.lists.sort_unstable_by_key(|list| list.key);
    Ok(all)
}

/// What a transaction knows of one key while its steps are walked.
struct Touched<'a> {
    list: u32,
    key: Key,
    /// What it saw that is not its own, once it has read.
    seen: Option<&'a [Value]>,
    own: Vec<Value>,
}

impl<'a> Transactions<'a> {
    fn add(
        &mut self,
        transaction: Transaction<'a>,
        by_key: &mut FxHashMap<Key, u32>,
        touched: &mut Vec<Touched<'a>>,
    ) {
        let id = self.transactions.len() as Id;
        let known = transaction.outcome == Outcome::Ok;
        touched.clear();
        for step in transaction.steps {
            let (Step::Append { key, .. } | Step::Read { key, .. }) = *step;
            let at = touched.iter().position(|touched| touched.key == key);
            let at = at.unwrap_or_else(|| {
                let list = *by_key.entry(key).or_insert_with(|| {
                    self.lists.push(List::new(key));
                    self.lists.len() as u32 - 1
                });
                touched.push(Touched {
                    list,
                    key,
                    seen: None,
                    own: Vec::new(),
                });
                touched.len() - 1
            });
            let touched = &mut touched[at];
            match step {
                Step::Append { value, .. } => {
                    touched.own.push(*value);
                    self.lists[touched.list as usize].appends.push(Append {
                        transaction: id,
                        value: *value,
                        position: NONE,
                    });
                }
                Step::Read {
                    list: Some(list), ..
                } if known => self.read(id, touched, list),
                Step::Read { .. } => {}
            }
        }
        self.transactions.push(transaction);
    }

    /// A read must be what was there before, then what the transaction itself appended.
    fn read(&mut self, id: Id, touched: &mut Touched<'a>, list: &'a [Value]) {
        let own = &touched.own;
        let foreign = list
            .len()
            .checked_sub(own.len())
            .map(|at| list.split_at(at))
            .filter(|(_, end)| end == own)
            .map(|(foreign, _)| foreign);
        match (foreign, touched.seen) {
            (Some(foreign), None) => {
                touched.seen = Some(foreign);
                self.lists[touched.list as usize].reads.push(Read {
                    transaction: id,
                    list: foreign,
                    with_own: list,
                    fits: true,
                });
            }
            (Some(foreign), Some(seen)) if foreign == seen => {
                let reads = &mut self.lists[touched.list as usize].reads;
                // Its own entry stands last: transactions are walked one by one.
                if let Some(read) = reads.last_mut() {
                    read.with_own = list;
                }
            }
            _ => self.internal.push(Internal {
                transaction: id,
                key: touched.key,
                list,
                seen: touched.seen,
                own: own.clone(),
            }),
        }
    }
}

impl List<'_> {
    fn new(key: Key) -> Self {
        List {
            key,
            appends: Vec::new(),
            reads: Vec::new(),
            order: &[],
            writers: Vec::new(),
        }
    }
}
