//! The layered sweep: all that the history can have come to, event by event.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::space::{NONE, Space};
use super::{Event, Found};
use crate::linear::model::{Model, Operation};

/// Operations that can be open at once and answered later: one bit each.
const SLOTS: usize = u128::BITS as usize;

/// Configurations that one is compared with before it is kept: it need not be all, and all is
/// quadratic.
const COMPARED: usize = 64;

/// What tells two situations apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct State {
    /// Which open operations have taken effect, a bit per slot.
    taken: u128,
    /// The state, by its number in the space.
    state: u32,
    /// Which pending operations have been used, by number in [`Used`].
    used: u32,
}

/// A situation and the way to it, as a position in the trail.
type Reached = (State, u32);

/// How many pending operations of each class have been used: each such list once, by number.
struct Used {
    /// (class, count), sorted by class; no count is 0.
    lists: Vec<Box<[(u32, u32)]>>,
    numbers: FxHashMap<Box<[(u32, u32)]>, u32>,
    plus: FxHashMap<(u32, u32), u32>,
}

impl Used {
    const NOTHING: u32 = 0;

    fn new() -> Self {
        let mut used = Used {
            lists: Vec::new(),
            numbers: FxHashMap::default(),
            plus: FxHashMap::default(),
        };
        used.number(Box::new([]));
        used
    }

    fn number(&mut self, list: Box<[(u32, u32)]>) -> u32 {
        if let Some(&number) = self.numbers.get(&list) {
            return number;
        }
        let number = self.lists.len() as u32;
        self.lists.push(list.clone());
        self.numbers.insert(list, number);
        number
    }

    fn count(&self, used: u32, class: u32) -> u32 {
        let list = &self.lists[used as usize];
        list.binary_search_by_key(&class, |&(class, _)| class)
            .map_or(0, |at| list[at].1)
    }

    /// One more of this class.
    fn plus(&mut self, used: u32, class: u32) -> u32 {
        if let Some(&more) = self.plus.get(&(used, class)) {
            return more;
        }
        let mut list = self.lists[used as usize].to_vec();
        match list.binary_search_by_key(&class, |&(class, _)| class) {
            Ok(at) => list[at].1 += 1,
            Err(at) => list.insert(at, (class, 1)),
        }
        let more = self.number(list.into());
        self.plus.insert((used, class), more);
        more
    }

    /// Whether `less` uses no more of anything.
    fn covers(&self, less: u32, more: u32) -> bool {
        less == more
            || self.lists[less as usize]
                .iter()
                .all(|&(class, count)| count <= self.count(more, class))
    }

    fn total(&self, used: u32) -> u32 {
        self.lists[used as usize]
            .iter()
            .map(|&(_, count)| count)
            .sum()
    }
}

/// Situations met, by all but the pending operations used.
#[derive(Default)]
struct Seen {
    used: FxHashMap<(u128, u32), Met>,
}

/// The pending operations used in one situation, by number; mostly there is one way to use them.
struct Met {
    first: u32,
    others: Vec<u32>,
}

impl Seen {
    /// Forgets all. To empty a table takes as long as it is wide, so a wide one is not kept.
    fn forget(&mut self) {
        const WIDE: usize = 4096;
        match self.used.capacity() {
            ..WIDE => self.used.clear(),
            _ => *self = Seen::default(),
        }
    }

    /// Whether none was met that used no more; then it is met now.
    fn is_new(&mut self, state: State, used: &Used) -> bool {
        let met = match self.used.entry((state.taken, state.state)) {
            Entry::Vacant(vacant) => {
                vacant.insert(Met {
                    first: state.used,
                    others: Vec::new(),
                });
                return true;
            }
            Entry::Occupied(occupied) => occupied.into_mut(),
        };
        let is_met = used.covers(met.first, state.used)
            || met
                .others
                .iter()
                .take(COMPARED)
                .any(|&less| used.covers(less, state.used))
            || met.others.contains(&state.used);
        if !is_met {
            met.others.push(state.used);
        }
        !is_met
    }
}

struct Sweep<'s, 'a, M: Model> {
    space: &'s mut Space<'a, M>,
    operations: &'s [Operation],
    /// The open operation in each slot.
    slots: [Option<u32>; SLOTS],
    /// Slots in use, the earliest to return first.
    open: Vec<usize>,
    layer: Vec<Reached>,
    used: Used,
    /// Of each class: its pending operations by invocation, and how many are invoked.
    pending: Vec<Vec<u32>>,
    invoked: Vec<u32>,
    active: Vec<u32>,
    /// What was met on the way to a return, and there.
    seen: Seen,
    there: Seen,
    /// (what was done before, what was done): the ways of all configurations, as a tree. Of a
    /// pending operation: `PENDING` and its class.
    trail: Vec<(u32, u32)>,
}

const PENDING: u32 = 1 << 31;
const NO_WAY: u32 = u32::MAX;

enum Stop {
    Budget,
    Nothing,
}

/// Decides within `steps`.
pub(super) fn sweep<M: Model>(
    space: &mut Space<'_, M>,
    operations: &[Operation],
    events: &[Event],
    steps: &mut u64,
) -> Found {
    let classes = space.only_looks.len();
    let mut pending = vec![Vec::new(); classes];
    for (id, operation) in (0..).zip(operations) {
        if operation.is_pending() {
            pending[operation.class as usize].push(id);
        }
    }
    let first = State {
        taken: 0,
        state: Space::<M>::INITIAL,
        used: Used::NOTHING,
    };
    let mut sweep = Sweep {
        space,
        operations,
        slots: [None; SLOTS],
        open: Vec::new(),
        layer: vec![(first, NO_WAY)],
        used: Used::new(),
        pending,
        invoked: vec![0; classes],
        active: Vec::new(),
        seen: Seen::default(),
        there: Seen::default(),
        trail: Vec::new(),
    };
    for &event in events {
        let went_on = match event {
            Event::Invoke(id) => sweep.invoke(id),
            Event::Return(id) => sweep.complete(id, steps),
        };
        match (went_on, event) {
            (Ok(()), _) => {}
            (Err(Stop::Nothing), Event::Return(culprit)) => return Found::Impossible { culprit },
            (Err(_), Event::Return(id) | Event::Invoke(id)) => return sweep.exhausted(id),
        }
    }
    // Every operation that was answered has returned, so any configuration will do.
    match sweep.layer.first() {
        Some(&(_, way)) => Found::Order(sweep.way(way)),
        None => Found::Order(Vec::new()),
    }
}

impl<M: Model> Sweep<'_, '_, M> {
    fn operation(&self, id: u32) -> Operation {
        self.operations[id as usize]
    }

    fn invoke(&mut self, id: u32) -> Result<(), Stop> {
        let operation = self.operation(id);
        let class = operation.class as usize;
        if operation.is_pending() {
            if !self.active.contains(&operation.class) {
                self.active.push(operation.class);
            }
            self.invoked[class] += 1;
            return Ok(());
        }
        let slot = self
            .slots
            .iter()
            .position(Option::is_none)
            .ok_or(Stop::Budget)?;
        self.slots[slot] = Some(id);
        let finish = |&slot: &usize| self.slots[slot].map_or(0, |id| self.operation(id).finish);
        let at = self
            .open
            .partition_point(|slot| finish(slot) < operation.finish);
        self.open.insert(at, slot);
        if !self.space.only_looks[class] {
            return Ok(());
        }
        for at in 0..self.layer.len() {
            let (mut state, way) = self.layer[at];
            if self.space.step(state.state, operation.class, 0) != NONE {
                state.taken |= 1 << slot;
                let way = self.go(way, id)?;
                self.layer[at] = (state, way);
            }
        }
        Ok(())
    }

    fn complete(&mut self, id: u32, steps: &mut u64) -> Result<(), Stop> {
        // Always open: events come sorted.
        let Some(slot) = self.slots.iter().position(|&open| open == Some(id)) else {
            return Ok(());
        };
        let bit = 1u128 << slot;
        let mut layer = std::mem::take(&mut self.layer);
        if layer.iter().all(|(state, _)| state.taken & bit != 0) {
            layer.iter_mut().for_each(|(state, _)| state.taken &= !bit);
        } else {
            layer = self.close(layer, bit, steps)?;
        }
        self.slots[slot] = None;
        self.open.retain(|&open| open != slot);
        self.layer = layer;
        if self.layer.is_empty() {
            return Err(Stop::Nothing);
        }
        self.prune();
        Ok(())
    }

    /// All that can come of these until the operation behind `bit` has taken effect. What used
    /// fewer pending operations is looked at first, so that what used more for nothing is seen to
    /// be worse at once.
    fn close(
        &mut self,
        from: Vec<Reached>,
        bit: u128,
        steps: &mut u64,
    ) -> Result<Vec<Reached>, Stop> {
        let mut kept = Vec::new();
        // Their tables are used again: most layers are small, and there is one for each return.
        let mut seen = std::mem::take(&mut self.seen);
        let mut there = std::mem::take(&mut self.there);
        seen.forget();
        there.forget();
        // By how many pending operations they used.
        let mut levels: Vec<Vec<Reached>> = Vec::new();
        for reached in from {
            seen.is_new(reached.0, &self.used);
            let level = self.used.total(reached.0.used) as usize;
            if levels.len() <= level {
                levels.resize(level + 1, Vec::new());
            }
            levels[level].push(reached);
        }
        let mut level = 0;
        while level < levels.len() {
            let Some((mut state, way)) = levels[level].pop() else {
                level += 1;
                continue;
            };
            if state.taken & bit != 0 {
                state.taken &= !bit;
                if there.is_new(state, &self.used) {
                    kept.push((state, way));
                }
                continue;
            }
            for place in 0..self.open.len() {
                let open = self.open[place];
                let Some(next) = self.slots[open] else {
                    continue;
                };
                let class = self.operation(next).class;
                if state.taken & (1 << open) != 0
                    || self.space.only_looks[class as usize]
                    || self.has_earlier_twin(state.taken, place, class)
                {
                    continue;
                }
                *steps = steps.checked_sub(1).ok_or(Stop::Budget)?;
                for nth in 0.. {
                    let reached = self.space.step(state.state, class, nth);
                    if reached == NONE {
                        break;
                    }
                    let after = State {
                        taken: state.taken | 1 << open,
                        state: reached,
                        ..state
                    };
                    let after = self.look(after);
                    if seen.is_new(after, &self.used) {
                        levels[level].push((
                            after,
                            self.way_of(way, next, state.taken | 1 << open, after.taken)?,
                        ));
                    }
                }
            }
            for at in 0..self.active.len() {
                let class = self.active[at];
                if self.used.count(state.used, class) >= self.invoked[class as usize] {
                    continue;
                }
                *steps = steps.checked_sub(1).ok_or(Stop::Budget)?;
                for nth in 0.. {
                    let reached = self.space.step(state.state, class, nth);
                    if reached == NONE {
                        break;
                    }
                    // One that changes nothing need not happen.
                    if reached == state.state {
                        continue;
                    }
                    let after = State {
                        state: reached,
                        used: self.used.plus(state.used, class),
                        ..state
                    };
                    let after = self.look(after);
                    if seen.is_new(after, &self.used) {
                        if levels.len() <= level + 1 {
                            levels.push(Vec::new());
                        }
                        levels[level + 1].push((
                            after,
                            self.way_of(way, PENDING + class, state.taken, after.taken)?,
                        ));
                    }
                }
            }
        }
        (self.seen, self.there) = (seen, there);
        Ok(kept)
    }

    /// The way that goes on with an operation, and then with those that looked: all that are taken
    /// in `after` and were not in `before`.
    fn way_of(&mut self, way: u32, what: u32, before: u128, after: u128) -> Result<u32, Stop> {
        let mut way = self.go(way, what)?;
        let mut looked = after & !before;
        while looked != 0 {
            let slot = looked.trailing_zeros() as usize;
            looked &= looked - 1;
            if let Some(id) = self.slots[slot] {
                way = self.go(way, id)?;
            }
        }
        Ok(way)
    }

    /// Whether an operation that is alike and open returns earlier: then it goes first.
    fn has_earlier_twin(&self, taken: u128, place: usize, class: u32) -> bool {
        self.open[..place].iter().any(|&other| {
            taken & (1 << other) == 0
                && self.slots[other].is_some_and(|id| self.operation(id).class == class)
        })
    }

    /// Of two configurations that differ only in the pending operations used, the one that used
    /// fewer can do all that the other can.
    fn prune(&mut self) {
        if self
            .layer
            .iter()
            .all(|(state, _)| state.used == Used::NOTHING)
        {
            return;
        }
        let used = &self.used;
        let group = |(state, _): &Reached| (state.state, state.taken);
        self.layer.sort_unstable_by_key(|reached| {
            (group(reached), used.total(reached.0.used), reached.0.used)
        });
        let mut kept: Vec<Reached> = Vec::with_capacity(self.layer.len());
        let mut first_of_group = 0;
        for reached in self.layer.drain(..) {
            if kept
                .last()
                .is_some_and(|last| group(last) != group(&reached))
            {
                first_of_group = kept.len();
            }
            let mut compared = kept[first_of_group..].iter().take(COMPARED);
            if !compared.any(|less| used.covers(less.0.used, reached.0.used)) {
                kept.push(reached);
            }
        }
        self.layer = kept;
        self.settle();
    }

    /// What all configurations have used is used: it need not be remembered.
    fn settle(&mut self) {
        const LONG: usize = 8;
        let lists = &self.used.lists;
        if self
            .layer
            .iter()
            .all(|(state, _)| lists[state.used as usize].len() < LONG)
        {
            return;
        }
        let mut common = lists[self.layer[0].0.used as usize].to_vec();
        for (state, _) in &self.layer {
            for (class, count) in &mut common {
                *count = (*count).min(self.used.count(state.used, *class));
            }
        }
        common.retain(|&(_, count)| count > 0);
        if common.is_empty() {
            return;
        }
        for &(class, count) in &common {
            self.invoked[class as usize] -= count;
        }
        let of_common = |class: u32| {
            let at = common.binary_search_by_key(&class, |&(class, _)| class);
            at.map_or(0, |at| common[at].1)
        };
        for at in 0..self.layer.len() {
            let list = self.used.lists[self.layer[at].0.used as usize].iter();
            let left: Box<[(u32, u32)]> = list
                .map(|&(class, count)| (class, count - of_common(class)))
                .filter(|&(_, left)| left > 0)
                .collect();
            self.layer[at].0.used = self.used.number(left);
        }
    }

    /// Everything open that only looks, and can, takes effect.
    fn look(&mut self, mut state: State) -> State {
        for place in 0..self.open.len() {
            let open = self.open[place];
            let Some(id) = self.slots[open] else { continue };
            let class = self.operation(id).class;
            if self.space.only_looks[class as usize]
                && state.taken & (1 << open) == 0
                && self.space.step(state.state, class, 0) != NONE
            {
                state.taken |= 1 << open;
            }
        }
        state
    }

    fn go(&mut self, way: u32, what: u32) -> Result<u32, Stop> {
        let at = u32::try_from(self.trail.len()).map_err(|_| Stop::Budget)?;
        self.trail.push((way, what));
        Ok(at)
    }

    /// What was done on a way; each pending operation is the earliest of its class not used yet.
    fn way(&self, mut at: u32) -> Vec<u32> {
        let mut way = Vec::new();
        while let Some(&(before, what)) = self.trail.get(at as usize) {
            way.push(what);
            at = before;
        }
        way.reverse();
        let mut used = vec![0; self.pending.len()];
        for what in &mut way {
            if let Some(class) = what.checked_sub(PENDING) {
                *what = self.pending[class as usize][used[class as usize]];
                used[class as usize] += 1;
            }
        }
        way
    }

    fn exhausted(&self, id: u32) -> Found {
        let to = self.operation(id);
        let open = || self.open.iter().filter_map(|&slot| self.slots[slot]);
        let from = open().map(|id| self.operation(id).start).min();
        let pending: u32 = self.invoked.iter().sum();
        Found::Exhausted {
            from: from.unwrap_or(to.start),
            to: if to.is_pending() { to.start } else { to.finish },
            open: open().count() + pending as usize,
        }
    }
}
