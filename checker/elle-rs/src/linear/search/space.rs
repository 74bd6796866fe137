//! States and steps by number: each is worked out once.

use rustc_hash::FxHashMap;

use crate::linear::model::Model;

/// No step: the operation is impossible in this state.
pub(super) const NONE: u32 = u32::MAX;
const UNKNOWN: u32 = u32::MAX - 1;
/// From here on: a place in `Space::branches`.
const BRANCHES: u32 = 1 << 31;

/// Steps kept in a plain table; beyond, in a hash table.
const TABLE_MAX: usize = 1 << 22;

pub(super) struct Space<'a, M: Model> {
    model: &'a M,
    classes: &'a [M::Op],
    pub only_looks: Vec<bool>,
    states: Vec<M::State>,
    ids: FxHashMap<M::State, u32>,
    /// A row of steps per state, one per class.
    table: Vec<u32>,
    more: FxHashMap<(u32, u32), u32>,
    /// Where a step may lead, if to more states than one.
    branches: Vec<Vec<u32>>,
}

impl<'a, M: Model> Space<'a, M> {
    pub fn new(model: &'a M, classes: &'a [M::Op]) -> Self {
        let mut space = Space {
            model,
            classes,
            only_looks: classes.iter().map(|op| model.only_looks(op)).collect(),
            states: Vec::new(),
            ids: FxHashMap::default(),
            table: Vec::new(),
            more: FxHashMap::default(),
            branches: Vec::new(),
        };
        space.id(model.initial());
        space
    }

    /// The state before everything.
    pub const INITIAL: u32 = 0;

    fn id(&mut self, state: M::State) -> u32 {
        if let Some(&id) = self.ids.get(&state) {
            return id;
        }
        let id = self.states.len() as u32;
        self.states.push(state.clone());
        self.ids.insert(state, id);
        let is_row_next = self.table.len() == id as usize * self.classes.len();
        if is_row_next && self.table.len() + self.classes.len() <= TABLE_MAX {
            self.table
                .resize(self.table.len() + self.classes.len(), UNKNOWN);
        }
        id
    }

    /// Where the operation leads from here: the `nth` of the states it may leave behind.
    #[inline]
    pub fn step(&mut self, state: u32, class: u32, nth: usize) -> u32 {
        let at = state as usize * self.classes.len() + class as usize;
        let next = match self.table.get(at) {
            Some(&UNKNOWN) => self.first(state, class, at),
            Some(&next) => next,
            None => match self.more.get(&(state, class)) {
                Some(&next) => next,
                None => self.first(state, class, at),
            },
        };
        if next < BRANCHES {
            return if nth == 0 { next } else { NONE };
        }
        if next == NONE {
            return NONE;
        }
        let branches = &self.branches[(next - BRANCHES) as usize];
        branches.get(nth).copied().unwrap_or(NONE)
    }

    /// Works the step out.
    #[cold]
    fn first(&mut self, state: u32, class: u32, at: usize) -> u32 {
        let mut next = Vec::new();
        let from = self.states[state as usize].clone();
        self.model
            .step(&from, &self.classes[class as usize], &mut |state| {
                next.push(state)
            });
        let ids: Vec<u32> = next.into_iter().map(|state| self.id(state)).collect();
        let step = match ids[..] {
            [] => NONE,
            [one] => one,
            _ => {
                self.branches.push(ids);
                BRANCHES + (self.branches.len() - 1) as u32
            }
        };
        // New states may have made the table longer; this row stands where it stood.
        match self.table.get_mut(at) {
            Some(entry) => *entry = step,
            None => {
                self.more.insert((state, class), step);
            }
        }
        step
    }
}
