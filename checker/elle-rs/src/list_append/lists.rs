//! The order of each list, as its longest read shows it, and who appended each element.

use rustc_hash::FxHashMap;

use crate::history::pairs::Outcome;
use crate::txn::store::{Id, NONE, Odd, Step, Store, What};
use crate::txn::table::Table;
use crate::txn::words::Findings;

/// All lists, key after key in rows.
pub(super) struct Lists {
    /// Where each key's row begins in `order` and `writers`, and where the last one ends.
    at: Vec<u32>,
    order: Vec<u32>,
    /// Who appended each element; [`NONE`] for nobody that counts.
    writers: Vec<Id>,
    /// How much of each key's first branch lies on its order.
    fits: Vec<u32>,
    /// The same of other branches.
    others_fit: FxHashMap<(u32, u32), u32>,
    /// Where each key's row begins in `appends`, in the order of transactions.
    appends_at: Vec<u32>,
    appends: Vec<Append>,
    /// Per transaction: acknowledged, or pending and seen by somebody.
    pub took_effect: Vec<bool>,
    /// Why the lists cannot be read without doubt, if so.
    pub ambiguous: Option<String>,
}

/// One append to a key.
#[derive(Clone, Copy)]
pub(super) struct Append {
    pub transaction: Id,
    pub value: u32,
    /// Where it stands in the list, [`NONE`] if nobody read it.
    pub position: u32,
}

/// The first read of a key by a transaction, where it is usable: as a length on the key's order.
pub(super) enum Length {
    Fits(u32),
    /// It contradicts the order.
    Misfit,
}

impl Lists {
    pub fn keys(&self) -> std::ops::Range<u32> {
        0..self.fits.len() as u32
    }

    fn row(&self, key: u32) -> std::ops::Range<usize> {
        self.at[key as usize] as usize..self.at[key as usize + 1] as usize
    }

    pub fn order(&self, key: u32) -> &[u32] {
        &self.order[self.row(key)]
    }

    pub fn writers(&self, key: u32) -> &[Id] {
        &self.writers[self.row(key)]
    }

    pub fn appends(&self, key: u32) -> &[Append] {
        let (from, to) = (
            self.appends_at[key as usize],
            self.appends_at[key as usize + 1],
        );
        &self.appends[from as usize..to as usize]
    }

    /// Where a key's appends begin, for cursors that walk transactions in order.
    pub fn first_append(&self) -> Vec<u32> {
        self.appends_at.clone()
    }

    pub fn append(&self, at: u32) -> Append {
        self.appends[at as usize]
    }

    /// The appends of one transaction, in its order.
    pub fn appends_of(&self, key: u32, transaction: Id) -> &[Append] {
        let appends = self.appends(key);
        let from = appends.partition_point(|append| append.transaction < transaction);
        let to = appends.partition_point(|append| append.transaction <= transaction);
        &appends[from..to]
    }

    /// The first element from `position` on whose writer counts.
    #[inline]
    pub fn writer_from(&self, key: u32, position: u32) -> Option<(u32, Id)> {
        let writers = self.writers(key).get(position as usize..)?;
        let skip = writers.iter().position(|&writer| writer != NONE)?;
        Some((position + skip as u32, writers[skip]))
    }

    /// The last element whose writer counts.
    pub fn last_writer(&self, key: u32) -> Option<Id> {
        let mut writers = self.writers(key).iter().rev().copied();
        writers.find(|&writer| writer != NONE)
    }

    /// What a step says of its key, if it is a first read of one.
    #[inline]
    pub fn first_read(&self, store: &Store, step: Step) -> Option<Length> {
        let key = step.key();
        match step.what() {
            What::Read if step.argument <= self.fits[key as usize] => {
                Some(Length::Fits(step.argument))
            }
            What::Read => Some(Length::Misfit),
            What::Odd => match store.odd[step.argument as usize] {
                Odd::Branch {
                    branch,
                    length,
                    first: true,
                } => match self.others_fit.get(&(key, branch)) {
                    Some(&fits) if length <= fits => Some(Length::Fits(length)),
                    _ => Some(Length::Misfit),
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// The usable read of a key by a transaction.
    pub fn read_of(&self, store: &Store, key: u32, id: Id) -> Option<u32> {
        let mut steps = store.steps_of(id).iter().filter(|step| step.key() == key);
        steps.find_map(|&step| match self.first_read(store, step) {
            Some(Length::Fits(length)) => Some(length),
            _ => None,
        })
    }

    /// Somebody who read the list beyond this position, the first after the first append if
    /// possible; [`NONE`] if nobody did.
    pub fn reader_of(&self, store: &Store, key: u32, position: u32) -> Id {
        let from = self.appends(key).first().map_or(0, |a| a.transaction);
        let beyond = |&id: &Id| {
            store.is_ok(id) && {
                let steps = store.steps_of(id);
                let mut own = 0;
                steps.iter().filter(|step| step.key() == key).any(|&step| {
                    own += u32::from(step.what() == What::Write);
                    let length = match step.what() {
                        What::Again if step.argument <= self.fits[key as usize] => step.argument,
                        _ => match self.first_read(store, step) {
                            Some(Length::Fits(length)) => length,
                            _ => return false,
                        },
                    };
                    length + own > position
                })
            }
        };
        let after = (from..store.len() as Id).find(beyond);
        after.or_else(|| (0..from).find(beyond)).unwrap_or(NONE)
    }
}

/// Orders every list and finds out who appended what. With `own_in_place`, what a transaction
/// read of its own appends is where they stand in the end (below snapshot isolation, others'
/// appends may still have come between).
pub(super) fn order(store: &Store, own_in_place: bool, findings: &mut Findings) -> Lists {
    let mut lists = longest(store);
    let extensions = if own_in_place {
        extensions(store, &lists)
    } else {
        FxHashMap::default()
    };
    lists.lay_out(store, &extensions);
    lists.collect_appends(store);
    lists.find_writers(store, findings);
    lists
}

/// The longest branch of each key, and how much of the others lies on it. `at` holds, for now,
/// the branch taken.
fn longest(store: &Store) -> Lists {
    let mut lists = Lists {
        at: vec![0; store.keys.len() + 1],
        order: Vec::new(),
        writers: Vec::new(),
        fits: vec![u32::MAX - 1; store.keys.len()],
        others_fit: FxHashMap::default(),
        appends_at: Vec::new(),
        appends: Vec::new(),
        took_effect: store.ids().map(|id| store.is_ok(id)).collect(),
        ambiguous: None,
    };
    for (&key, others) in &store.branches {
        let branches = 0..=others.len() as u32;
        let longest = branches
            .clone()
            .rev()
            .max_by_key(|&branch| store.branch(key, branch).len());
        let longest = longest.unwrap_or(0);
        lists.at[key as usize] = longest;
        let order = store.branch(key, longest);
        for branch in branches {
            let same = order.iter().zip(store.branch(key, branch));
            let common = same.take_while(|(a, b)| a == b).count() as u32;
            if branch == 0 {
                lists.fits[key as usize] = common;
            } else {
                lists.others_fit.insert((key, branch), common);
            }
        }
    }
    lists
}

/// Elements that only those who appended them read, behind all that others read: per key, what
/// the longest such read adds.
fn extensions(store: &Store, lists: &Lists) -> FxHashMap<u32, Vec<u32>> {
    let mut best: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    // Per key: the transaction that appended to it last, and how often.
    let mut own: Vec<(Id, u32)> = vec![(NONE, 0); store.keys.len()];
    for id in store.ids().filter(|&id| store.is_ok(id)) {
        let steps = store.steps_of(id);
        for (nth, step) in steps.iter().enumerate() {
            let key = step.key();
            let count = &mut own[key as usize];
            if step.what() == What::Write {
                *count = (id, if count.0 == id { count.1 + 1 } else { 1 });
                continue;
            }
            if !matches!(step.what(), What::Read | What::Again) || count.0 != id {
                continue;
            }
            let foreign = step.argument;
            let order = store.branch(key, lists.at[key as usize]);
            let known = order.len() + best.get(&key).map_or(0, Vec::len);
            if foreign > lists.fits[key as usize]
                || (foreign + count.1) as usize <= known
                || foreign as usize > order.len()
            {
                continue;
            }
            let written = steps[..nth]
                .iter()
                .filter(|step| step.what() == What::Write && step.key() == key);
            let written: Vec<u32> = written.map(|step| step.argument).collect();
            let behind = &order[foreign as usize..];
            if written.starts_with(behind) {
                best.insert(key, written[behind.len()..].to_vec());
            }
        }
    }
    best
}

impl Lists {
    fn lay_out(&mut self, store: &Store, extensions: &FxHashMap<u32, Vec<u32>>) {
        for key in self.keys() {
            let branch = std::mem::replace(&mut self.at[key as usize], self.order.len() as u32);
            self.order.extend_from_slice(store.branch(key, branch));
            if let Some(more) = extensions.get(&key) {
                self.order.extend_from_slice(more);
            }
        }
        if let Some(end) = self.at.last_mut() {
            *end = self.order.len() as u32;
        }
        self.writers = vec![NONE; self.order.len()];
    }

    fn collect_appends(&mut self, store: &Store) {
        let mut at = vec![0u32; store.keys.len() + 2];
        let writes = || store.steps.iter().filter(|step| step.what() == What::Write);
        for step in writes() {
            at[step.key() as usize + 2] += 1;
        }
        for key in 2..at.len() {
            at[key] += at[key - 1];
        }
        let none = Append {
            transaction: NONE,
            value: 0,
            position: NONE,
        };
        let mut appends = vec![none; at.last().copied().unwrap_or(0) as usize];
        for id in store.ids() {
            for step in store.steps_of(id) {
                if step.what() == What::Write {
                    let place = &mut at[step.key() as usize + 1];
                    appends[*place as usize] = Append {
                        transaction: id,
                        value: step.argument,
                        position: NONE,
                    };
                    *place += 1;
                }
            }
        }
        at.pop();
        self.appends_at = at;
        self.appends = appends;
    }

    fn find_writers(&mut self, store: &Store, findings: &mut Findings) {
        let mut table = Table::default();
        for key in self.keys() {
            let appends = self.appends_at[key as usize]..self.appends_at[key as usize + 1];
            table.clear(appends.len());
            for at in appends {
                self.enter(store, key, at, &mut table);
            }
            for place in self.row(key) {
                let position = place as u32 - self.at[key as usize];
                let value = self.order[place];
                let found = table.find(value);
                if found == NONE {
                    let reader = self.reader_of(store, key, position);
                    findings.add(store, "thin-air", key, &[reader], || {
                        format!(
                            "{} has {} in it, which no transaction ever appended to key {}",
                            store.first_read_told(reader, key),
                            store.value_told(value),
                            store.key_told(key)
                        )
                    });
                    continue;
                }
                let append = &mut self.appends[found as usize];
                if append.position != NONE {
                    let reader = self.reader_of(store, key, position);
                    findings.add(store, "duplicate-elements", key, &[reader], || {
                        format!(
                            "{} has {} in it twice",
                            store.first_read_told(reader, key),
                            store.value_told(value)
                        )
                    });
                    continue;
                }
                append.position = position;
                let writer = append.transaction;
                if store.outcome[writer as usize] != Outcome::Fail {
                    self.took_effect[writer as usize] = true;
                    self.writers[place] = writer;
                }
            }
        }
    }

    /// Which append put a value. Of two, one that failed does not count.
    fn enter(&mut self, store: &Store, key: u32, at: u32, table: &mut Table) {
        let append = self.appends[at as usize];
        let before = table.insert(append.value, at);
        if before == NONE {
            return;
        }
        let failed = |at: u32| {
            let transaction = self.appends[at as usize].transaction;
            store.outcome[transaction as usize] == Outcome::Fail
        };
        if failed(at) {
            table.insert(append.value, before);
        } else if !failed(before) {
            self.ambiguous.get_or_insert_with(|| {
                format!(
                    "value {} was appended to key {} more than once, so nobody can say whose it is",
                    store.value_told(append.value),
                    store.key_told(key)
                )
            });
        }
    }
}
