//! What versions say about which transaction comes before which.
//!
//! A version comes before another if it is the initial one; if who wrote the other had read it
//! (*writes follow reads*); if a transaction that read the other from elsewhere had also read
//! something from its writer (*atomic visibility*); or if time says so (`zones`).

use super::versions::{INITIAL, Touch, UNKNOWN, Versions};
use super::zones::{self, Zones};
use crate::graph::{Edges, Kinds, tail};
use crate::txn::store::{Id, NONE, Store, What};

/// What may be deduced at a level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deduce {
    pub writes_follow_reads: bool,
    pub atomic_visibility: bool,
    /// Of two values the greater is the later: what the model says of counters.
    pub growing: bool,
    /// From the order of processes, or of real time, or nothing.
    pub order: Kinds,
    /// Starts and commits apart, as in snapshot isolation.
    pub apart: bool,
}

pub(super) struct RegisterEdges<'a> {
    pub store: &'a Store,
    pub versions: &'a Versions,
    pub deduce: Deduce,
    /// (key, version, later version), by atomic visibility.
    pub visible: Vec<(u32, u32, u32)>,
}

impl<'a> RegisterEdges<'a> {
    pub fn new(store: &'a Store, versions: &'a Versions, deduce: Deduce) -> Self {
        let visible = if deduce.atomic_visibility {
            visible(store, versions)
        } else {
            Vec::new()
        };
        RegisterEdges {
            store,
            versions,
            deduce,
            visible,
        }
    }
}

/// Who reads X's write sees all of X: where it read another version of something that X wrote
/// too, that version is the later one, and so is what it writes there itself.
fn visible(store: &Store, versions: &Versions) -> Vec<(u32, u32, u32)> {
    let mut pairs = Vec::new();
    let mut cursors = versions.touches.starts();
    // Per key: the transaction that read it last, and what.
    let mut read: Vec<(Id, u32)> = vec![(NONE, 0); store.keys.len()];
    let mut wrote: Vec<(Id, u32)> = vec![(NONE, 0); store.keys.len()];
    let mut reads: Vec<(u32, Touch)> = Vec::new();
    for id in store.ids() {
        reads.clear();
        let steps = store.steps_of(id).iter();
        for step in steps.filter(|step| matches!(step.what(), What::Write | What::Read)) {
            let key = step.key();
            let at = &mut cursors[key as usize];
            let touch = versions.touches.items[*at as usize];
            *at += 1;
            if !touch.is_write && touch.version < UNKNOWN {
                read[key as usize] = (id, touch.version);
                reads.push((key, touch));
            }
            if touch.is_write && touch.is_last {
                wrote[key as usize] = (id, touch.version);
            }
        }
        for &(from, touch) in &reads {
            let writer = versions.touch(touch.version).transaction;
            for step in store.steps_of(writer) {
                let key = step.key();
                let (reader, version) = read[key as usize];
                let other = key != from && reader == id;
                let other = other && versions.touch(version).transaction != writer;
                let (overwriter, later) = wrote[key as usize];
                if !other && overwriter != id {
                    continue;
                }
                let own = versions.find(key, writer, |touch| touch.is_write && touch.is_last);
                let Some(own) = own else { continue };
                if other {
                    pairs.push((key, own.version, version));
                }
                if overwriter == id {
                    pairs.push((key, own.version, later));
                }
            }
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// What is used again for every key.
#[derive(Default)]
struct Scratch {
    /// Readers of each version, in rows.
    at: Vec<u32>,
    readers: Vec<Id>,
    initial: Vec<Id>,
    writers: Vec<Id>,
    pairs: Vec<(u32, u32)>,
    later: Vec<Id>,
    /// (transaction, version read, version written), as places in the row.
    updates: Vec<(Id, u32, u32)>,
    zones: Zones,
}

impl Scratch {
    /// Collects who read what of a key. Versions are counted from the beginning of its row.
    fn fill(&mut self, start: usize, row: &[Touch]) {
        self.at.clear();
        self.at.resize(row.len() + 2, 0);
        self.initial.clear();
        let seen = |touch: &&Touch| !touch.is_write && touch.version < UNKNOWN;
        for touch in row.iter().filter(seen) {
            self.at[touch.version as usize - start + 2] += 1;
        }
        for version in 2..self.at.len() {
            self.at[version] += self.at[version - 1];
        }
        self.readers.clear();
        let count = self.at.last().copied().unwrap_or(0);
        self.readers.resize(count as usize, NONE);
        for touch in row.iter().filter(seen) {
            let place = &mut self.at[touch.version as usize - start + 1];
            self.readers[*place as usize] = touch.transaction;
            *place += 1;
        }
        let initial = |touch: &&Touch| !touch.is_write && touch.version == INITIAL;
        let initial = row.iter().filter(initial).map(|touch| touch.transaction);
        self.initial.extend(initial);
    }

    fn readers(&self, version: usize) -> &[Id] {
        &self.readers[self.at[version] as usize..self.at[version + 1] as usize]
    }
}

impl Edges for RegisterEdges<'_> {
    fn each(&self, give: &mut impl FnMut(u32, u32, Kinds)) -> u32 {
        let mut scratch = Scratch::default();
        let mut helpers = 0;
        let mut visible = &self.visible[..];
        for key in self.versions.touches.keys() {
            let own = visible.partition_point(|&(of, ..)| of == key);
            let (mine, rest) = visible.split_at(own);
            visible = rest;
            self.of_key(key, mine, &mut scratch, &mut helpers, give);
        }
        helpers
    }
}

impl RegisterEdges<'_> {
    fn of_key(
        &self,
        key: u32,
        visible: &[(u32, u32, u32)],
        scratch: &mut Scratch,
        helpers: &mut u32,
        give: &mut impl FnMut(u32, u32, Kinds),
    ) {
        let start = self.versions.touches.range(key).start;
        let row = self.versions.touches.row(key);
        scratch.fill(start, row);
        let took_effect = |touch: &Touch| self.versions.took_effect[touch.transaction as usize];
        for touch in row.iter().filter(|touch| !touch.is_write) {
            if touch.version < UNKNOWN {
                let writer = self.versions.touch(touch.version).transaction;
                give(writer, touch.transaction, Kinds::WR);
            }
        }
        let last = |touch: &&Touch| touch.is_write && touch.is_last && took_effect(touch);
        scratch.writers.clear();
        let writers = row.iter().filter(last).map(|touch| touch.transaction);
        scratch.writers.extend(writers);
        self.missed(&scratch.initial, &scratch.writers, helpers, give);

        scratch.pairs.clear();
        if self.deduce.writes_follow_reads {
            let updates = self.versions.updates(key);
            let updates = updates.filter(|&(read, _)| read != INITIAL);
            scratch.pairs.extend(updates);
        }
        let visible = visible.iter().map(|&(_, before, after)| (before, after));
        scratch.pairs.extend(visible);
        if self.deduce.growing {
            let mut grown: Vec<(i64, u32)> = row
                .iter()
                .filter(last)
                .map(|touch| (self.store.numbers.value(touch.value), touch.version))
                .collect();
            grown.sort_unstable();
            let pairs = grown.windows(2).map(|pair| (pair[0].1, pair[1].1));
            scratch.pairs.extend(pairs);
        }
        scratch.pairs.sort_unstable();
        scratch.pairs.dedup();
        let pairs = std::mem::take(&mut scratch.pairs);
        for group in pairs.chunk_by(|a, b| a.0 == b.0) {
            let version = group[0].0;
            let writer = self.versions.touch(version).transaction;
            scratch.later.clear();
            let later = group
                .iter()
                .map(|&(_, after)| self.versions.touch(after).transaction);
            scratch.later.extend(later);
            for &after in &scratch.later {
                give(writer, after, Kinds::WW);
            }
            let readers = scratch.readers(version as usize - start);
            self.missed(readers, &scratch.later, helpers, give);
        }
        scratch.pairs = pairs;
        if self.deduce.order != Kinds::NONE {
            self.timed(key, row, start, scratch, helpers, give);
        }
    }

    /// Each of some readers missed what each of some writers wrote.
    fn missed(
        &self,
        readers: &[Id],
        writers: &[Id],
        helpers: &mut u32,
        give: &mut impl FnMut(u32, u32, Kinds),
    ) {
        let helper = if readers.len() > 1 && writers.len() > 1 {
            *helpers += 1;
            self.store.len() as u32 + *helpers - 1
        } else {
            NONE
        };
        tail(helper, readers, writers, give);
    }

    fn timed(
        &self,
        key: u32,
        row: &[Touch],
        start: usize,
        scratch: &mut Scratch,
        helpers: &mut u32,
        give: &mut impl FnMut(u32, u32, Kinds),
    ) {
        let mut zones = std::mem::take(&mut scratch.zones);
        if self.deduce.order == Kinds::REALTIME {
            zones.fill(self.store, self.versions, row, start);
            let chain = zones::Chain {
                first: self.store.len() as u32 + *helpers,
                apart: self.deduce.apart,
            };
            let local = |version: u32| (version as usize - start) as u32;
            scratch.updates.clear();
            let updates = self.versions.updates(key);
            let updates = updates.map(|(read, written)| {
                let id = self.versions.touch(written).transaction;
                let read = if read == INITIAL { NONE } else { local(read) };
                (id, read, local(written))
            });
            scratch.updates.extend(updates);
            let updates = &scratch.updates;
            let readers = |version: u32| scratch.readers(version as usize);
            *helpers += zones.edges(&chain, updates, readers, give);
        } else {
            for (before, after) in zones::of_processes(self.store, self.versions, key) {
                let readers = scratch.readers(before as usize - start);
                let writer = self.versions.touch(before).transaction;
                let after = self.versions.touch(after).transaction;
                give(writer, after, Kinds::WW.with(Kinds::TIMED));
                for &reader in readers.iter().filter(|&&reader| reader != after) {
                    give(reader, after, Kinds::RW.with(Kinds::TIMED));
                }
            }
        }
        scratch.zones = zones;
    }
}
