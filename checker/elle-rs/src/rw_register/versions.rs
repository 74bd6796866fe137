//! What was done to each register: its versions, who wrote them and who read them.

use rustc_hash::FxHashMap;

use crate::history::pairs::Outcome;
use crate::txn::numbers::NIL;
use crate::txn::rows::Rows;
use crate::txn::schedule::Use;
use crate::txn::store::{Id, NONE, Odd, Store, What};
use crate::txn::table::Table;
use crate::txn::words::Findings;

/// No usable version: of a transaction that failed, or of nobody.
pub(super) const UNKNOWN: u32 = u32::MAX - 1;
pub(super) use crate::txn::schedule::INITIAL;

/// A write of a register, or the first read of one, by a transaction.
#[derive(Clone, Copy)]
pub(crate) struct Touch {
    pub transaction: Id,
    /// The value written or read.
    pub value: u32,
    /// The place of the write that this is, or that wrote what was read.
    pub version: u32,
    pub is_write: bool,
    /// The last write of its transaction to the key: what others may see.
    pub is_last: bool,
}

/// All registers.
pub(crate) struct Versions {
    /// By key, in the order of transactions.
    pub touches: Rows<Touch>,
    /// Per transaction: acknowledged, or pending and seen by somebody.
    pub took_effect: Vec<bool>,
    /// Why the values cannot be told apart, if so.
    pub ambiguous: Option<String>,
    /// Writes that took effect, and those of them that nobody read.
    pub writes: u64,
    pub unread: u64,
}

impl Versions {
    pub fn new(store: &Store, findings: &mut Findings) -> Self {
        let touches = store.ids().flat_map(|id| {
            let steps = store.steps_of(id).iter();
            steps.filter_map(move |step| {
                let is_write = match step.what() {
                    What::Write => true,
                    What::Read => false,
                    What::Again | What::Odd | What::Asked => return None,
                };
                let touch = Touch {
                    transaction: id,
                    value: step.argument,
                    version: UNKNOWN,
                    is_write,
                    is_last: false,
                };
                Some((step.key(), touch))
            })
        });
        let filler = Touch {
            transaction: NONE,
            value: 0,
            version: UNKNOWN,
            is_write: false,
            is_last: false,
        };
        let mut versions = Versions {
            touches: Rows::new(store.keys.len(), touches, filler),
            took_effect: store.ids().map(|id| store.is_ok(id)).collect(),
            ambiguous: None,
            writes: 0,
            unread: 0,
        };
        let mut table = Table::default();
        let mut read = Vec::new();
        for key in versions.touches.keys() {
            versions.writers(store, key, &mut table);
            versions.readers(store, key, &table, findings);
            versions.lost_updates(store, key, findings);
            versions.cyclic(store, key, findings);
            versions.count(key, &mut read);
        }
        versions
    }

    pub fn touch(&self, version: u32) -> Touch {
        self.touches.items[version as usize]
    }

    /// Fills the table with the writes of a key. Of two of one value, one that failed does not
    /// count.
    fn writers(&mut self, store: &Store, key: u32, table: &mut Table) {
        let range = self.touches.range(key);
        table.clear(range.len());
        let failed = |touch: &Touch| store.outcome[touch.transaction as usize] == Outcome::Fail;
        let mut later: Option<Id> = None;
        for at in range.clone().rev() {
            let touch = &mut self.touches.items[at];
            if touch.is_write {
                touch.is_last = later != Some(touch.transaction);
                later = Some(touch.transaction);
            }
        }
        for at in range {
            let touch = self.touches.items[at];
            if !touch.is_write {
                continue;
            }
            self.touches.items[at].version = at as u32;
            let before = table.insert(touch.value, at as u32);
            if before == NONE {
                continue;
            }
            if failed(&touch) {
                table.insert(touch.value, before);
            } else if !failed(&self.touch(before)) {
                self.ambiguous.get_or_insert_with(|| {
                    format!(
                        "value {} was written to key {} more than once, so nobody can say whose \
                         it is",
                        store.value_told(touch.value),
                        store.key_told(key)
                    )
                });
            }
        }
    }

    /// Whose write each read saw.
    fn readers(&mut self, store: &Store, key: u32, table: &Table, findings: &mut Findings) {
        for at in self.touches.range(key) {
            let read = self.touches.items[at];
            if read.is_write {
                continue;
            }
            let reader = read.transaction;
            if read.value == NIL {
                self.touches.items[at].version = INITIAL;
                continue;
            }
            let found = table.find(read.value);
            if found == NONE {
                findings.add(store, "thin-air", key, &[reader], || {
                    format!(
                        "{} is of a value that no transaction ever wrote to key {}",
                        store.first_read_told(reader, key),
                        store.key_told(key)
                    )
                });
                continue;
            }
            let write = self.touch(found);
            let writer = write.transaction;
            if store.outcome[writer as usize] == Outcome::Fail {
                findings.add(store, "G1a", key, &[writer, reader], || {
                    format!(
                        "{} is of a value written by {}, which was answered as failed",
                        store.first_read_told(reader, key),
                        store.told(writer)
                    )
                });
                continue;
            }
            self.took_effect[writer as usize] = true;
            if writer == reader {
                findings.add(store, "future-read", key, &[reader], || {
                    format!(
                        "{} is of a value that the same transaction wrote only later",
                        store.first_read_told(reader, key)
                    )
                });
                continue;
            }
            self.touches.items[at].version = found;
            if !write.is_last {
                findings.add(store, "G1b", key, &[writer, reader], || {
                    format!(
                        "{} is of a value that is not the last that {} wrote there: an \
                         intermediate state",
                        store.first_read_told(reader, key),
                        store.told(writer)
                    )
                });
            }
        }
    }

    /// Two acknowledged transactions that read the same version of a key and both wrote to it.
    fn lost_updates(&self, store: &Store, key: u32, findings: &mut Findings) {
        let mut updates: Vec<(u32, Id)> = self
            .updates(key)
            .map(|(read, write)| (read, self.touch(write).transaction))
            .collect();
        updates.sort_unstable();
        let pair = updates.windows(2).find(|pair| pair[0].0 == pair[1].0);
        let Some(&[(_, first), (_, second)]) = pair else {
            return;
        };
        findings.add(store, "lost-update", key, &[first, second], || {
            format!(
                "{} and {} both read key {} alike and both wrote to it: one of them did not see \
                 the other",
                store.told(first),
                store.told(second),
                store.key_told(key),
            )
        });
    }

    /// Versions each of which was written by who had read the one before, all the way round.
    fn cyclic(&self, store: &Store, key: u32, findings: &mut Findings) {
        // Once round, somebody has read what was written by one that is numbered later.
        let mut updates = self.updates(key);
        let is_later = |(read, write): (u32, u32)| {
            read != INITIAL && self.touch(read).transaction > self.touch(write).transaction
        };
        if !updates.any(is_later) {
            return;
        }
        let before: FxHashMap<Id, Id> = self
            .updates(key)
            .filter(|&(read, _)| read != INITIAL)
            .map(|(read, write)| (self.touch(write).transaction, self.touch(read).transaction))
            .collect();
        let mut done: FxHashMap<Id, Id> = FxHashMap::default();
        for (_, write) in self.updates(key) {
            let from = self.touch(write).transaction;
            let mut at = from;
            while let Some(&next) = before.get(&at)
                && !done.contains_key(&at)
            {
                done.insert(at, from);
                at = next;
            }
            if done.get(&at) != Some(&from) || !before.contains_key(&at) {
                continue;
            }
            let mut round = vec![at];
            let mut next = before[&at];
            while next != at {
                round.push(next);
                next = before[&next];
            }
            findings.add(store, "cyclic-versions", key, &round, || {
                let told: Vec<String> = round.iter().take(8).map(|&id| store.told(id)).collect();
                format!(
                    "each of {} transactions overwrote in key {} what another of them had \
                     written there, all the way round: {}",
                    round.len(),
                    store.key_told(key),
                    told.join(", ")
                )
            });
            return;
        }
    }

    /// Of each transaction that read a key and then wrote to it: the version read, and its own.
    pub fn updates(&self, key: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let row = self.touches.row(key);
        let mut read: Option<Touch> = None;
        row.iter().filter_map(move |touch| {
            if !touch.is_write {
                read = Some(*touch);
                return None;
            }
            let read = read.filter(|read| read.transaction == touch.transaction)?;
            (touch.is_last && read.version != UNKNOWN).then_some((read.version, touch.version))
        })
    }

    fn count(&mut self, key: u32, read: &mut Vec<bool>) {
        let range = self.touches.range(key);
        read.clear();
        read.resize(range.len(), false);
        let row = self.touches.row(key);
        for touch in row.iter().filter(|touch| !touch.is_write) {
            if touch.version < UNKNOWN {
                read[touch.version as usize - range.start] = true;
            }
        }
        let counts = |touch: &Touch| touch.is_write && self.took_effect[touch.transaction as usize];
        let mut writes = row.iter().zip(read).filter(|(touch, _)| counts(touch));
        let (mut all, mut unread) = (0, 0);
        for (_, read) in &mut writes {
            all += 1;
            unread += u64::from(!*read);
        }
        self.writes += all;
        self.unread += unread;
    }

    /// What each transaction reads and leaves, for a search for an order.
    pub fn uses(&self, store: &Store) -> Rows<Use> {
        let filler = Use {
            key: 0,
            version: INITIAL,
            is_write: false,
        };
        let all = self.touches.keys().flat_map(|key| {
            let row = self.touches.row(key).iter();
            row.filter_map(move |touch| {
                let counts = self.took_effect[touch.transaction as usize]
                    && touch.version != UNKNOWN
                    && (touch.is_last || !touch.is_write);
                let used = Use {
                    key,
                    version: touch.version,
                    is_write: touch.is_write,
                };
                counts.then_some((touch.transaction, used))
            })
        });
        Rows::new(store.len(), all, filler)
    }

    /// The touch of a key by a transaction for which this holds.
    pub fn find(&self, key: u32, id: Id, holds: impl Fn(&Touch) -> bool) -> Option<Touch> {
        let row = self.touches.row(key);
        let from = row.partition_point(|touch| touch.transaction < id);
        let mut own = row[from..]
            .iter()
            .take_while(|touch| touch.transaction == id);
        own.find(|touch| holds(touch)).copied()
    }
}

/// A read that contradicts what its own transaction did before; one is enough, for a store that
/// gets this wrong does so all the time.
pub(super) fn internal(store: &Store, findings: &mut Findings) {
    let steps = store.ids().flat_map(|id| store.steps_of(id));
    let Some(step) = (!store.odd.is_empty())
        .then(|| steps.into_iter().find(|step| step.what() == What::Odd))
        .flatten()
    else {
        return;
    };
    let Odd::Internal {
        transaction,
        read,
        seen,
        own,
    } = &store.odd[step.argument as usize]
    else {
        return;
    };
    let expected = own.last().copied().or(seen.map(|(value, _)| value));
    findings.add(store, "internal", step.key(), &[*transaction], || {
        format!(
            "within {}, key {} was read as {}, where {} should have been",
            store.told(*transaction),
            store.key_told(step.key()),
            store.value_told(read.first().copied().unwrap_or(NIL)),
            store.value_told(expected.unwrap_or(NIL)),
        )
    });
}
