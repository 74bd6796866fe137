//! The order of one register's versions that time tells (Gibbons and Korach 1997).
//!
//! A version was there at the latest when the first transaction that wrote or read it completed,
//! and still had to come or to last when the last that did so began. So of two versions, `a` is
//! the earlier if its earliest end lies before `b`'s latest begin. Who wrote or read `a` is put
//! before who wrote `b` by a chain of helpers, one per version, in the order of ends.

use rustc_hash::FxHashMap;

use super::versions::{Touch, UNKNOWN, Versions};
use crate::graph::Kinds;
use crate::txn::store::{Id, NONE, Store};

#[derive(Clone, Copy)]
struct Zone {
    /// Counted from the beginning of the row.
    version: u32,
    writer: Id,
    /// When the first of its transactions ended; [`NONE`]: none is known to have.
    end: u32,
    /// When the last of them began.
    begin: u32,
}

/// The zones of one register, by their ends.
#[derive(Default)]
pub(super) struct Zones {
    zones: Vec<Zone>,
    /// Per touch of the row: its zone.
    of: Vec<u32>,
    /// The zones by their begins.
    by_begin: Vec<u32>,
}

/// Where the helpers of a register go.
pub(super) struct Chain {
    pub first: u32,
    /// What missed writes and what is written behind may not share helpers.
    pub apart: bool,
}

impl Zones {
    /// Collects them. Where two contradict each other, time is taken from the writers alone: what
    /// then remains is enough to find who read something old.
    pub fn fill(&mut self, store: &Store, versions: &Versions, row: &[Touch], start: usize) {
        self.collect(store, versions, row);
        for touch in row.iter().filter(|touch| !touch.is_write) {
            if touch.version >= UNKNOWN {
                continue;
            }
            let zone = self.of[touch.version as usize - start];
            let Some(zone) = self.zones.get_mut(zone as usize) else {
                continue;
            };
            zone.end = zone.end.min(store.ended[touch.transaction as usize]);
            zone.begin = zone.begin.max(store.begun[touch.transaction as usize]);
        }
        self.sort();
        if self.contradict() {
            self.collect(store, versions, row);
            self.sort();
        }
    }

    fn sort(&mut self) {
        self.zones
            .sort_unstable_by_key(|zone| (zone.end, zone.version));
        self.by_begin.clear();
        for (at, zone) in (0..).zip(&self.zones) {
            self.of[zone.version as usize] = at;
            self.by_begin.push(at);
        }
        let zones = &self.zones;
        self.by_begin
            .sort_unstable_by_key(|&at| (zones[at as usize].begin, at));
    }

    fn collect(&mut self, store: &Store, versions: &Versions, row: &[Touch]) {
        self.zones.clear();
        self.of.clear();
        self.of.resize(row.len(), NONE);
        for (version, touch) in row.iter().enumerate() {
            let writer = touch.transaction;
            let counts = touch.is_write && touch.is_last;
            if !counts || !versions.took_effect[writer as usize] {
                continue;
            }
            self.of[version] = self.zones.len() as u32;
            self.zones.push(Zone {
                version: version as u32,
                writer,
                end: store.ended[writer as usize],
                begin: store.begun[writer as usize],
            });
        }
    }

    /// Whether each of some two comes before the other. Then one of them is forward (it ends
    /// before it begins), and the other's end lies within it, or they are both.
    fn contradict(&self) -> bool {
        self.zones.iter().enumerate().any(|(at, zone)| {
            let after = self.zones[at + 1..].iter();
            after
                .take_while(|other| other.end < zone.begin)
                .any(|other| zone.end < other.begin)
        })
    }

    /// Gives the edges; says how many helpers there are. `updates` are those who read a version
    /// and wrote another, by transaction: (transaction, version read, version written).
    pub fn edges<'r>(
        &self,
        chain: &Chain,
        updates: &[(Id, u32, u32)],
        readers: impl Fn(u32) -> &'r [Id],
        give: &mut impl FnMut(u32, u32, Kinds),
    ) -> u32 {
        let only_reads = |reader: &&Id| {
            let found = updates.binary_search_by_key(*reader, |&(id, ..)| id);
            found.is_err()
        };
        let latest = self.zones.iter().map(|zone| zone.begin).max().unwrap_or(0);
        let linked = self.zones.partition_point(|zone| zone.end < latest) as u32;
        let both = Kinds::WW.with(Kinds::TAIL).with(Kinds::TIMED);
        // The helpers of missed writes, and of writes, with the kinds of their edges.
        let lanes: &[(u32, Kinds)] = &[
            (chain.first, if chain.apart { MISSED } else { both }),
            (
                chain.first + if chain.apart { linked } else { 0 },
                if chain.apart { BEHIND } else { both },
            ),
        ];
        let [(missed, _), (behind, _)] = *lanes else {
            return 0;
        };
        let lanes = if chain.apart { lanes } else { &lanes[..1] };
        for (at, zone) in (0..linked).zip(&self.zones) {
            for &reader in readers(zone.version).iter().filter(only_reads) {
                give(reader, missed + at, MISSES);
            }
            give(zone.writer, behind + at, BEHIND);
            for &(first, kind) in lanes.iter().filter(|_| at > 0) {
                give(first + at - 1, first + at, kind);
            }
        }
        for (at, zone) in (0..).zip(&self.zones) {
            let before = self.zones.partition_point(|other| other.end < zone.begin) as u32;
            // The chain up to itself; beyond, there are only some that overlap with it.
            if let Some(last) = before.min(at).checked_sub(1) {
                for &(first, kind) in lanes {
                    give(first + last, zone.writer, kind);
                }
            }
            for other in (at + 1..before).filter_map(|other| self.zones.get(other as usize)) {
                give(other.writer, zone.writer, BEHIND);
                let missed = readers(other.version).iter();
                for &reader in missed.filter(|&&reader| reader != zone.writer) {
                    give(reader, zone.writer, MISSES);
                }
            }
        }
        for &update in updates {
            self.of_update(update, missed, linked, give);
        }
        linked * lanes.len() as u32
    }

    /// Who read a version and wrote another comes before who wrote a later one, but not before
    /// itself: it enters the chain only where that does not lead to its own version any more.
    /// What lies between overlaps with it, so it is little, unless updates were lost.
    fn of_update(
        &self,
        (id, read, written): (Id, u32, u32),
        missed: u32,
        linked: u32,
        give: &mut impl FnMut(u32, u32, Kinds),
    ) {
        const DIRECT_MAX: usize = 1_000;
        let [Some(from), Some(own)] = [read, written].map(|version| self.zone(version)) else {
            return;
        };
        let enters = self.zones.partition_point(|zone| zone.end < own.begin) as u32;
        let enters = enters.max(self.of[read as usize]);
        if enters < linked {
            give(id, missed + enters, MISSES);
        }
        let until = self
            .zones
            .get(enters as usize)
            .map_or(NONE, |zone| zone.end);
        let first = self
            .by_begin
            .partition_point(|&at| self.zones[at as usize].begin <= from.end);
        let between = self.by_begin[first..].iter();
        let between = between.map(|&at| self.zones[at as usize]);
        for zone in between
            .take_while(|zone| zone.begin <= until)
            .take(DIRECT_MAX)
        {
            if zone.version != written && zone.version != read {
                give(id, zone.writer, MISSES);
            }
        }
    }

    /// The zone of a version, counted from the beginning of the row.
    fn zone(&self, version: u32) -> Option<Zone> {
        let at = *self.of.get(version as usize)?;
        self.zones.get(at as usize).copied()
    }

    /// Whether time says that a version comes before another, both as places of their writes.
    pub fn before(&self, start: usize, version: u32, other: u32) -> bool {
        let zone = |version: u32| self.zone(version.checked_sub(start as u32)?);
        match (zone(version), zone(other)) {
            (Some(a), Some(b)) => a.end < b.begin,
            _ => false,
        }
    }
}

const MISSES: Kinds = Kinds::RW.with(Kinds::TIMED);
const MISSED: Kinds = Kinds::TAIL.with(Kinds::TIMED);
const BEHIND: Kinds = Kinds::WW.with(Kinds::TIMED);

/// Versions that one process met one after the other: (version, later version).
pub(super) fn of_processes(store: &Store, versions: &Versions, key: u32) -> Vec<(u32, u32)> {
    let mut pairs = Vec::new();
    let mut last: FxHashMap<u32, (Id, u32)> = FxHashMap::default();
    for touch in versions.touches.row(key) {
        let id = touch.transaction;
        let counts = versions.took_effect[id as usize] && touch.version < UNKNOWN;
        if !counts || (touch.is_write && !touch.is_last) {
            continue;
        }
        let process = store.process[id as usize];
        if let Some((before, version)) = last.insert(process, (id, touch.version))
            && before != id
            && version != touch.version
        {
            pairs.push((version, touch.version));
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}
