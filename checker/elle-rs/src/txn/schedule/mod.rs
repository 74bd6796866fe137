//! A search for an order of transactions that explains every read, where the graph alone does
//! not: writes that are blind, or that nobody read.
//!
//! The states are taken as the graph permits, a write only when everybody who reads what it
//! overwrites has done so, and of several those first that were complete first. Where that ends
//! before all are taken, the latest write that the others wait for was taken too early: it is
//! taken back with all that came behind it, and put after who waits. Where that does not help
//! either, a stretch of the order is laid anew, in other ways and ever longer (`retry`).
//!
//! What comes out is an explanation; that nothing comes out proves nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use rustc_hash::{FxHashMap, FxHashSet};

mod retry;

use super::rows::Rows;
use super::store::{NONE, Store};
use crate::graph::{Edge, Kinds, View};
use retry::Trouble;

/// What a transaction reads or leaves in a key.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Use {
    pub key: u32,
    /// By number, below the count of versions, or [`INITIAL`].
    pub version: u32,
    pub is_write: bool,
}

/// The version before all writes.
pub(crate) const INITIAL: u32 = u32::MAX;

/// What may be taken back in all, so that the search ends: at least, and per state.
const UNDONE_MIN: usize = 20_000;
const UNDONE_PER_STATE: usize = 12;

/// Finds an order of a view's states. `uses` are by transaction; there are `versions` versions.
pub(crate) fn schedule(
    store: &Store,
    uses: Rows<Use>,
    versions: usize,
    view: View<'_>,
) -> Option<Vec<u32>> {
    let states = view.states();
    let mut scheduler = Scheduler {
        store,
        view,
        before: vec![0; states as usize],
        place: vec![NONE; states as usize],
        ready: BinaryHeap::new(),
        helpers: Vec::new(),
        current: vec![(INITIAL, NONE); store.keys.len()],
        overwritten: Vec::new(),
        unread: vec![0; versions],
        unread_initial: vec![0; store.keys.len()],
        locked_by: vec![NONE; if view.apart { store.keys.len() } else { 0 }],
        parked: BTreeMap::new(),
        put_after: FxHashMap::default(),
        guesses: Vec::new(),
        trouble: Trouble::default(),
        order: Vec::with_capacity(states as usize),
        uses,
    };
    for at in 0..scheduler.uses.items.len() {
        let Use {
            key,
            version,
            is_write,
        } = scheduler.uses.items[at];
        match version {
            _ if is_write => {}
            INITIAL => scheduler.unread_initial[key as usize] += 1,
            version => scheduler.unread[version as usize] += 1,
        }
    }
    for state in 0..states {
        view.each(state, |to, _| scheduler.before[to as usize] += 1);
    }
    for state in 0..states {
        scheduler.offer(state);
    }
    scheduler.search()
}

struct Scheduler<'a> {
    store: &'a Store,
    view: View<'a>,
    uses: Rows<Use>,
    /// How many states must still come before each.
    before: Vec<u32>,
    /// Where each state stands in the order.
    place: Vec<u32>,
    /// By how soon they should be taken.
    ready: BinaryHeap<Reverse<(bool, u32, u32)>>,
    helpers: Vec<u32>,
    /// What is in each key, and which state put it there.
    current: Vec<(u32, u32)>,
    /// What was, in the order of the states taken.
    overwritten: Vec<(u32, u32)>,
    /// Readers still to come, of each version and of what was there at first.
    unread: Vec<u32>,
    unread_initial: Vec<u32>,
    /// Who has started and will write to a key.
    locked_by: Vec<u32>,
    /// States that wait for something to happen to a key.
    parked: BTreeMap<u32, Vec<u32>>,
    /// Edges beside the view's.
    put_after: FxHashMap<u32, Vec<u32>>,
    /// Those of them that need not be, as (from, to) in the order they were put.
    guesses: Vec<(u32, u32)>,
    trouble: Trouble,
    order: Vec<u32>,
}

impl Scheduler<'_> {
    fn search(mut self) -> Option<Vec<u32>> {
        let states = self.view.states() as usize;
        let mut undone = UNDONE_MIN + UNDONE_PER_STATE * states;
        loop {
            self.run()?;
            if self.order.len() == states {
                return Some(self.order);
            }
            let length = self.order.len();
            let again = match self.too_early() {
                Some((is_sure, waits, early)) => {
                    self.take_back(self.place[early as usize] as usize);
                    self.put_after.entry(waits).or_default().push(early);
                    self.before[early as usize] += 1;
                    if !is_sure {
                        self.guesses.push((waits, early));
                    }
                    true
                }
                None => self.retry(),
            };
            // A step each, for those that take nothing back.
            let steps = 1 + length.saturating_sub(self.order.len());
            undone = undone.checked_sub(steps).filter(|_| again)?;
        }
    }

    fn run(&mut self) -> Option<()> {
        loop {
            let state = match self.helpers.pop() {
                Some(state) => state,
                None => match self.ready.pop() {
                    Some(Reverse((.., state))) => state,
                    None => return Some(()),
                },
            };
            let is_stale = self.before[state as usize] > 0 || self.place[state as usize] != NONE;
            if is_stale || (self.view.is_transaction(state) && !self.take(state)?) {
                continue;
            }
            self.place[state as usize] = self.order.len() as u32;
            self.order.push(state);
            self.each_behind(state, |scheduler, to| {
                let left = &mut scheduler.before[to as usize];
                *left -= 1;
                let left = *left;
                scheduler.offer(to);
                if scheduler.view.apart && left == 1 && scheduler.is_commit(to) {
                    scheduler.offer(to - 1);
                }
            });
        }
    }

    fn each_behind(&mut self, state: u32, give: impl Fn(&mut Self, u32)) {
        let mut nth = 0;
        loop {
            match self.view.nth(state, nth) {
                Edge::End => break,
                Edge::Skipped => {}
                Edge::To(to, _) => give(self, to),
            }
            nth += 1;
        }
        if let Some(after) = self.put_after.get(&state).cloned() {
            for to in after {
                give(self, to);
            }
        }
    }

    fn is_commit(&self, state: u32) -> bool {
        state % 2 == 1 && self.view.is_transaction(state)
    }

    fn starts(&self, state: u32) -> bool {
        !self.view.apart || state.is_multiple_of(2)
    }

    fn commits(&self, state: u32) -> bool {
        !self.view.apart || !state.is_multiple_of(2)
    }

    /// Makes a state ready if it is. What can start and commit at once goes before what can't.
    fn offer(&mut self, state: u32) {
        if self.before[state as usize] > 0 || self.place[state as usize] != NONE {
            return;
        }
        let node = self.view.node(state);
        // Who only reads is in nobody's way, and those who wait for it need not any longer.
        let only_reads = || self.uses.row(node).iter().all(|used| !used.is_write);
        if !self.view.is_transaction(state) || only_reads() {
            self.helpers.push(state);
            return;
        }
        let ended = self.trouble.moved(self.store.ended[node as usize], state);
        let lasts = self.view.apart && self.starts(state) && self.before[state as usize + 1] > 1;
        self.ready.push(Reverse((lasts, ended, state)));
    }

    /// Lets a transaction happen, or start, or commit; `false` if it has to wait, `None` if it
    /// can't read what it read.
    fn take(&mut self, state: u32) -> Option<bool> {
        let node = self.view.node(state);
        let (starts, commits) = (self.starts(state), self.commits(state));
        for at in self.uses.range(node) {
            let Use { key, is_write, .. } = self.uses.items[at];
            let is_locked = starts && self.view.apart && self.locked_by[key as usize] != NONE;
            if is_write && (is_locked || (commits && self.is_awaited(key, node, starts))) {
                self.parked.entry(key).or_default().push(state);
                return Some(false);
            }
        }
        for at in self.uses.range(node) {
            let reading = self.uses.items[at];
            if starts && !reading.is_write {
                if self.current[reading.key as usize].0 != reading.version {
                    return None;
                }
                let unread = self.unread(reading.key);
                *unread -= 1;
                if *unread <= 1 {
                    self.wake(reading.key);
                }
            }
        }
        for at in self.uses.range(node) {
            let writing = self.uses.items[at];
            let key = writing.key as usize;
            if !writing.is_write {
                continue;
            }
            if self.view.apart {
                self.locked_by[key] = if starts { state } else { NONE };
            }
            if commits {
                self.overwritten.push(self.current[key]);
                self.current[key] = (writing.version, state);
                self.wake(writing.key);
            }
        }
        Some(true)
    }

    fn unread(&mut self, key: u32) -> &mut u32 {
        match self.current[key as usize].0 {
            INITIAL => &mut self.unread_initial[key as usize],
            version => &mut self.unread[version as usize],
        }
    }

    /// Whether somebody else than `node` still has to read what is in a key.
    fn is_awaited(&mut self, key: u32, node: u32, reads_now: bool) -> bool {
        let mut own = self.uses.row(node).iter();
        let reads = reads_now && own.any(|reading| reading.key == key && !reading.is_write);
        *self.unread(key) > u32::from(reads)
    }

    fn wake(&mut self, key: u32) {
        if let Some(parked) = self.parked.remove(&key) {
            for state in parked {
                self.offer(state);
            }
        }
    }

    /// Nobody can be taken: who waits, and what was taken too early for it. Best is one of which
    /// it is sure, the waiting one coming before a reader of what is in its way; else the latest.
    fn too_early(&self) -> Option<(bool, u32, u32)> {
        /// So many of those who wait are looked at.
        const LOOKED_AT: usize = 8;
        let mut best: Option<(bool, u32, u32, u32)> = None;
        let mut looked_at = 0;
        for (&key, parked) in &self.parked {
            for &waiting in parked {
                if looked_at == LOOKED_AT {
                    break;
                }
                looked_at += 1;
                if self.place[waiting as usize] != NONE {
                    continue;
                }
                let (mut early, last) = self.in_the_way(key, waiting);
                let (version, by) = self.current[key as usize];
                let wanted = Use {
                    key,
                    version,
                    is_write: false,
                };
                let is_reader = |state: u32| {
                    let node = self.view.node(state);
                    let reads = self.view.is_transaction(state) && self.starts(state);
                    reads && self.uses.row(node).contains(&wanted)
                };
                let is_open = |state: u32| self.place[state as usize] == NONE;
                let is_sure = self.leads_to(last, None, is_open, is_reader);
                // Whoever holds the key meanwhile may do so rightly: too early is who put there
                // what is read.
                if is_sure && by != NONE {
                    early = by - u32::from(self.view.apart);
                }
                if early == NONE || is_open(early) {
                    continue;
                }
                let from = self.place[early as usize];
                // (What is open has the highest place there is.)
                let behind = |state: u32| self.place[state as usize] >= from;
                let until = Some(self.over_at(last));
                if !is_sure && self.leads_to(early, until, behind, |state| state == last) {
                    continue;
                }
                let candidate = (is_sure, self.place[early as usize], last, early);
                best = best.max(Some(candidate));
            }
        }
        best.map(|(is_sure, _, waits, early)| (is_sure, waits, early))
    }

    /// What a state that waits for a key waits for, and the state that this would have to come
    /// behind.
    fn in_the_way(&self, key: u32, waiting: u32) -> (u32, u32) {
        let by = self.current[key as usize].1;
        if self.view.apart && self.starts(waiting) {
            let locked_by = self.locked_by.get(key as usize).copied();
            (locked_by.unwrap_or(NONE), waiting + 1)
        } else if self.view.apart && by != NONE {
            (by - 1, waiting)
        } else {
            (by, waiting)
        }
    }

    /// When a state's transaction was over, or, where nobody knows, had begun.
    fn over_at(&self, state: u32) -> u32 {
        let node = self.view.node(state) as usize;
        match self.store.ended[node] {
            NONE => self.store.begun[node],
            ended => ended,
        }
    }

    /// Whether a state is put before one that is wanted, by way of such: by data alone, or by what
    /// was guessed and by time too, up to a tick; as far as that is found in a few steps.
    fn leads_to(
        &self,
        from: u32,
        until: Option<u32>,
        by_way_of: impl Fn(u32) -> bool,
        is_wanted: impl Fn(u32) -> bool,
    ) -> bool {
        const STATES_MAX: usize = 1_000;
        let mut met: FxHashSet<u32> = FxHashSet::default();
        let mut next = VecDeque::from([from]);
        while let Some(state) = next.pop_front() {
            if is_wanted(state) {
                return true;
            }
            let mut nth = 0;
            loop {
                match self.view.nth(state, nth) {
                    Edge::End => break,
                    Edge::To(to, kind)
                        if (!kind.has(Kinds::REALTIME) || self.is_within(to, until))
                            && by_way_of(to)
                            && met.len() < STATES_MAX
                            && met.insert(to) =>
                    {
                        next.push_back(to);
                    }
                    _ => {}
                }
                nth += 1;
            }
            let put = self.put_after.get(&state).filter(|_| until.is_some());
            let put = put.into_iter().flatten().copied();
            next.extend(put.filter(|&to| by_way_of(to) && met.insert(to)));
        }
        false
    }

    /// Whether what time leads to is no tick later than this one.
    fn is_within(&self, to: u32, until: Option<u32>) -> bool {
        let tick = self.view.graph.tick(self.view.node(to));
        until.is_some_and(|until| tick.is_none_or(|tick| tick <= until))
    }

    /// Takes the order back to this length.
    fn take_back(&mut self, length: usize) {
        let taken_back = self.order.split_off(length);
        for &state in taken_back.iter().rev() {
            self.place[state as usize] = NONE;
            self.each_behind(state, |scheduler, to| scheduler.before[to as usize] += 1);
            if self.view.is_transaction(state) {
                self.undo(state);
            }
        }
        let parked = std::mem::take(&mut self.parked);
        for state in parked.into_values().flatten().chain(taken_back) {
            self.offer(state);
        }
    }

    fn undo(&mut self, state: u32) {
        let node = self.view.node(state);
        let (starts, commits) = (self.starts(state), self.commits(state));
        for at in self.uses.range(node).rev() {
            let writing = self.uses.items[at];
            let key = writing.key as usize;
            if !writing.is_write {
                continue;
            }
            if self.view.apart {
                self.locked_by[key] = if starts { NONE } else { state - 1 };
            }
            if commits && let Some(before) = self.overwritten.pop() {
                self.current[key] = before;
            }
        }
        for at in self.uses.range(node) {
            let reading = self.uses.items[at];
            if starts && !reading.is_write {
                *self.unread(reading.key) += 1;
            }
        }
    }
}
