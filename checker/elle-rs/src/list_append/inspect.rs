//! Anomalies visible in the lists themselves, without any graph.

use rustc_hash::FxHashSet;

use super::lists::{Append, Length, Lists};
use crate::history::pairs::Outcome;
use crate::txn::store::{Id, NONE, Odd, Store, What};
use crate::txn::words::{self, Findings};

/// Looks at each list, then at each transaction's reads. The findings are the first of each
/// anomaly per key.
pub(super) fn inspect(store: &Store, lists: &Lists, findings: &mut Findings) {
    let mut inspector = Inspector {
        store,
        lists,
        findings,
    };
    for key in lists.keys() {
        inspector.aborted(key);
        inspector.own_order(key);
    }
    inspector.reads();
}

/// Reads that contradict what their own transaction did before; one is enough, for a store that
/// gets this wrong does so all the time.
pub(super) fn internal(store: &Store, findings: &mut Findings) {
    for odd in &store.odd {
        let Odd::Internal {
            transaction,
            read,
            seen,
            own,
        } = odd
        else {
            continue;
        };
        let steps = store.steps_of(*transaction).iter();
        let key = steps
            .filter(|step| step.what() == What::Odd)
            .find(|step| std::ptr::eq(&store.odd[step.argument as usize], odd))
            .map_or(0, |step| step.key());
        let before = seen.map_or_else(
            || "whatever was there".to_owned(),
            |(branch, length)| {
                words::list(&store.values(&store.branch(key, branch)[..length as usize]))
            },
        );
        findings.add(store, "internal", key, &[*transaction], || {
            format!(
                "within {}, key {} was read as {}, where {before} and then its own {:?} should \
                 have been",
                store.told(*transaction),
                store.key_told(key),
                words::list(&store.values(read)),
                store.values(own),
            )
        });
        return;
    }
}

struct Inspector<'a> {
    store: &'a Store,
    lists: &'a Lists,
    findings: &'a mut Findings,
}

impl Inspector<'_> {
    fn failed(&self, append: &Append) -> bool {
        self.store.outcome[append.transaction as usize] == Outcome::Fail
    }

    fn aborted(&mut self, key: u32) {
        let (store, lists) = (self.store, self.lists);
        let read = |append: &&Append| append.position != NONE;
        let mut read = lists.appends(key).iter().filter(read);
        let Some(&failed) = read.find(|append| self.failed(append)) else {
            return;
        };
        let reader = lists.reader_of(store, key, failed.position);
        let writer = failed.transaction;
        self.findings.add(store, "G1a", key, &[writer, reader], || {
            format!(
                "{} has {} in it, appended by {}, which was answered as failed",
                store.first_read_told(reader, key),
                store.value_told(failed.value),
                store.told(writer)
            )
        });
        let Some((position, next)) = lists.writer_from(key, failed.position + 1) else {
            return;
        };
        self.findings
            .add(store, "dirty-update", key, &[writer, next], || {
                format!(
                    "{} appended {} to key {} behind {}, which {} had appended and which was \
                     answered as failed",
                    store.told(next),
                    store.value_told(lists.order(key)[position as usize]),
                    store.key_told(key),
                    store.value_told(failed.value),
                    store.told(writer)
                )
            });
    }

    /// A transaction's appends must stand in the list in its own order, none left out before
    /// another.
    fn own_order(&mut self, key: u32) {
        let (store, lists) = (self.store, self.lists);
        for pair in lists.appends(key).windows(2) {
            let [a, b] = pair else { continue };
            let in_order = a.position != NONE && a.position < b.position;
            // Of one that failed, that anything was read is what is wrong.
            let same = a.transaction == b.transaction && !self.failed(a);
            if !same || b.position == NONE || in_order {
                continue;
            }
            let (name, missing) = if a.position == NONE {
                ("lost-append", b.position)
            } else {
                ("incompatible-order", a.position)
            };
            let reader = lists.reader_of(store, key, missing);
            self.findings
                .add(store, name, key, &[a.transaction, reader], || {
                    let what = store.told(a.transaction);
                    let read = store.first_read_told(reader, key);
                    let (first, second) = (store.value_told(a.value), store.value_told(b.value));
                    let key = store.key_told(key);
                    if a.position == NONE {
                        format!(
                            "{what} appended {first} and then {second} to key {key}, but {read} \
                             has only the second"
                        )
                    } else {
                        format!("{what} appended {first} before {second} to key {key}, but {read}")
                    }
                });
        }
    }

    /// Whether each element is the last that its transaction appended.
    fn last_of_transaction(&self) -> Vec<Vec<bool>> {
        let lists = self.lists;
        let of_key = |key| {
            let mut last = vec![false; lists.order(key).len()];
            let appends = lists.appends(key);
            for (at, append) in appends.iter().enumerate() {
                let next = appends.get(at + 1);
                let ends = next.is_none_or(|next| next.transaction != append.transaction);
                if ends && append.position != NONE {
                    last[append.position as usize] = true;
                }
            }
            last
        };
        lists.keys().map(of_key).collect()
    }

    fn reads(&mut self) {
        let (store, lists) = (self.store, self.lists);
        let last = self.last_of_transaction();
        let mut next_append = lists.first_append();
        // Per key: who read or appended last, and the length read.
        let mut read: Vec<(Id, u32)> = vec![(NONE, 0); store.keys.len()];
        let mut appended: Vec<Id> = vec![NONE; store.keys.len()];
        let mut updaters = Updaters::new(lists);
        for id in store.ids() {
            for &step in store.steps_of(id) {
                let key = step.key();
                if step.what() == What::Write {
                    let at = next_append[key as usize];
                    next_append[key as usize] += 1;
                    appended[key as usize] = id;
                    let (reader, length) = read[key as usize];
                    if reader == id {
                        let append = lists.append(at);
                        if append.position < length {
                            self.future(key, id, append.value);
                        }
                        if let Some(first) = updaters.other(key, length, id) {
                            self.lost_update(key, first, id);
                        }
                    }
                    continue;
                }
                match lists.first_read(store, step) {
                    None => {}
                    Some(Length::Misfit) => self.incompatible(key, id),
                    Some(Length::Fits(length)) => {
                        read[key as usize] = (id, length);
                        if appended[key as usize] == id {
                            self.own_before(key, id, length);
                        }
                        self.intermediate(key, id, length, &last[key as usize]);
                    }
                }
            }
        }
    }

    fn intermediate(&mut self, key: u32, id: Id, length: u32, last: &[bool]) {
        let Some(end) = length.checked_sub(1) else {
            return;
        };
        let (store, lists) = (self.store, self.lists);
        let writer = lists.writers(key)[end as usize];
        if last[end as usize] || writer == NONE || writer == id {
            return;
        }
        self.findings.add(store, "G1b", key, &[writer, id], || {
            format!(
                "{} ends with {}, which is not the last that {} appended to it: an intermediate \
                 state",
                store.first_read_told(id, key),
                store.value_told(lists.order(key)[end as usize]),
                store.told(writer)
            )
        });
    }

    /// An append of the reader's own, done before, within what it saw as others'.
    fn own_before(&mut self, key: u32, id: Id, length: u32) {
        let own = self.lists.appends_of(key, id);
        if let Some(append) = own.iter().find(|append| append.position < length) {
            self.twice(key, id, &self.whole(key, id));
            self.future(key, id, append.value);
        }
    }

    /// All that a transaction first read of a key, its own appends too.
    fn whole(&self, key: u32, id: Id) -> Vec<i64> {
        let steps = self.store.steps_of(id);
        let nth = steps.iter().position(|step| {
            step.key() == key && !matches!(step.what(), What::Write | What::Asked)
        });
        let read = nth.and_then(|nth| self.store.list_read(id, nth));
        read.unwrap_or_default()
    }

    fn twice(&mut self, key: u32, id: Id, read: &[i64]) {
        let store = self.store;
        let mut met = FxHashSet::default();
        if let Some(value) = read.iter().copied().find(|&value| !met.insert(value)) {
            self.findings
                .add(store, "duplicate-elements", key, &[id], || {
                    let read = store.first_read_told(id, key);
                    format!("{read} has {value} in it twice")
                });
        }
    }

    fn future(&mut self, key: u32, id: Id, value: u32) {
        let store = self.store;
        self.findings.add(store, "future-read", key, &[id], || {
            format!(
                "{} has {} in it, which that transaction appended only later",
                store.first_read_told(id, key),
                store.value_told(value)
            )
        });
    }

    /// Two transactions that took effect, saw the same list, and both appended to it.
    fn lost_update(&mut self, key: u32, first: Id, second: Id) {
        let store = self.store;
        self.findings
            .add(store, "lost-update", key, &[first, second], || {
                format!(
                    "{} and {} both read key {} alike and both appended to it: one of them did \
                     not see the other",
                    store.told(first),
                    store.told(second),
                    store.key_told(key),
                )
            });
    }

    fn incompatible(&mut self, key: u32, id: Id) {
        let (store, lists) = (self.store, self.lists);
        let read = self.whole(key, id);
        self.twice(key, id, &read);
        let end = lists.order(key).len() as u32 - 1;
        let longest = lists.reader_of(store, key, end);
        self.findings
            .add(store, "incompatible-order", key, &[longest, id], || {
                format!(
                    "{}, but {}: neither begins with the other",
                    store.first_read_told(id, key),
                    store.first_read_told(longest, key)
                )
            });
        let failed = lists.appends(key).iter().find(|append| {
            self.failed(append) && read.contains(&store.numbers.value(append.value))
        });
        if let Some(&failed) = failed {
            let writer = failed.transaction;
            self.findings.add(store, "G1a", key, &[writer, id], || {
                format!(
                    "{} has {} in it, appended by {}, which was answered as failed",
                    store.first_read_told(id, key),
                    store.value_told(failed.value),
                    store.told(writer)
                )
            });
        }
    }
}

/// Per key and length read: the first transaction that read this and appended.
struct Updaters {
    at: Vec<u32>,
    first: Vec<Id>,
}

impl Updaters {
    fn new(lists: &Lists) -> Self {
        let mut at = Vec::with_capacity(lists.keys().len());
        let mut end = 0;
        for key in lists.keys() {
            at.push(end);
            end += lists.order(key).len() as u32 + 1;
        }
        Updaters {
            at,
            first: vec![NONE; end as usize],
        }
    }

    /// Another one than `id`, which is one now.
    fn other(&mut self, key: u32, length: u32, id: Id) -> Option<Id> {
        let first = &mut self.first[(self.at[key as usize] + length) as usize];
        if *first == NONE {
            *first = id;
        }
        (*first != id).then_some(*first)
    }
}
