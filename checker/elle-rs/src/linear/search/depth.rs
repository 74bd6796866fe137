//! Depth first: one order at a time, with a memory of the situations that led nowhere.

use rustc_hash::FxHashSet;

use super::Event;
use super::space::{NONE, Space};
use crate::linear::model::{Model, Operation};

pub(super) enum Outcome {
    Order(Vec<u32>),
    /// All was tried. No proof, since the memory holds hashes.
    Nothing,
    Exhausted,
}

const END: u32 = u32::MAX;

/// What was done, to be undone.
#[derive(Clone, Copy)]
enum Done {
    Invoked(u32),
    InvokedPending(u32),
    Returned,
    /// The operation took effect; the state before.
    Took(u32, u32),
    TookPending(u32, u32),
}

/// A choice at a return: an operation, or (from `PENDING` on) a class of pending ones.
#[derive(Clone, Copy)]
struct Choice(u32);
const PENDING: u32 = 1 << 31;

/// What came of a choice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Went {
    On,
    InCircles,
    Nowhere,
}

struct Frame {
    /// How long the trail and the choices were.
    mark: usize,
    choices: usize,
    next: usize,
    /// Which of the states that the choice may lead to is next.
    nth: usize,
}

struct Search<'s, 'a, M: Model> {
    space: &'s mut Space<'a, M>,
    operations: &'s [Operation],
    events: &'s [Event],
    at: usize,
    state: u32,
    hash: u64,
    /// The open operations that have not taken effect, as a ring through `END`'s place.
    next: Vec<u32>,
    previous: Vec<u32>,
    taken: Vec<bool>,
    /// Of each class: its pending operations by invocation, how many are invoked, how many used.
    pending: Vec<Vec<u32>>,
    invoked: Vec<u32>,
    used: Vec<u32>,
    /// Classes of pending operations that have been invoked.
    active: Vec<u32>,
    trail: Vec<Done>,
    order: Vec<u32>,
    frames: Vec<Frame>,
    choices: Vec<Choice>,
    met: FxHashSet<u64>,
}

/// A number that looks random (splitmix64).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn hash_of_taken(id: u32) -> u64 {
    mixed(u64::from(id) << 2)
}

fn hash_of_used(class: u32, count: u32) -> u64 {
    mixed((u64::from(class) << 34) ^ (u64::from(count) << 2) ^ 1)
}

fn hash_of_state(state: u32) -> u64 {
    mixed(u64::from(state) << 2 ^ 2)
}

pub(super) fn search<M: Model>(
    space: &mut Space<'_, M>,
    operations: &[Operation],
    events: &[Event],
    steps: &mut u64,
) -> Outcome {
    let classes = space.only_looks.len();
    let ring = operations.len();
    let mut next = vec![END; ring + 1];
    let mut previous = vec![END; ring + 1];
    (next[ring], previous[ring]) = (ring as u32, ring as u32);
    let mut pending = vec![Vec::new(); classes];
    for (id, operation) in (0..).zip(operations) {
        if operation.is_pending() {
            pending[operation.class as usize].push(id);
        }
    }
    let mut search = Search {
        space,
        operations,
        events,
        at: 0,
        state: Space::<M>::INITIAL,
        hash: 0,
        next,
        previous,
        taken: vec![false; ring],
        pending,
        invoked: vec![0; classes],
        used: vec![0; classes],
        active: Vec::new(),
        trail: Vec::new(),
        order: Vec::new(),
        frames: Vec::new(),
        choices: Vec::new(),
        met: FxHashSet::default(),
    };
    search.run(steps)
}

impl<M: Model> Search<'_, '_, M> {
    fn run(&mut self, steps: &mut u64) -> Outcome {
        loop {
            if self.forward() {
                return Outcome::Order(std::mem::take(&mut self.order));
            }
            let here = self.hash ^ hash_of_state(self.state) ^ mixed(self.at as u64 * 4 + 3);
            if self.met.insert(here) {
                self.choose();
            }
            loop {
                let Some(frame) = self.frames.last() else {
                    return Outcome::Nothing;
                };
                let (mark, choices, next, nth) = (frame.mark, frame.choices, frame.next, frame.nth);
                self.undo(mark);
                let Some(&choice) = self.choices.get(next) else {
                    self.choices.truncate(choices);
                    self.frames.pop();
                    continue;
                };
                let Some(left) = steps.checked_sub(1) else {
                    return Outcome::Exhausted;
                };
                *steps = left;
                let went = self.take(choice, nth);
                if let Some(frame) = self.frames.last_mut() {
                    (frame.next, frame.nth) = match went {
                        Went::Nowhere => (next + 1, 0),
                        Went::On | Went::InCircles => (next, nth + 1),
                    };
                }
                if went == Went::On {
                    break;
                }
            }
        }
    }

    /// Passes over events up to a return of what has not taken effect; `true` at the end.
    fn forward(&mut self) -> bool {
        while let Some(&event) = self.events.get(self.at) {
            match event {
                Event::Invoke(id) if self.operations[id as usize].is_pending() => {
                    let class = self.operations[id as usize].class;
                    if self.invoked[class as usize] == 0 {
                        self.active.push(class);
                    }
                    self.invoked[class as usize] += 1;
                    self.trail.push(Done::InvokedPending(class));
                }
                Event::Invoke(id) => {
                    self.link(id);
                    self.trail.push(Done::Invoked(id));
                    self.look(id);
                }
                Event::Return(id) if self.taken[id as usize] => {
                    self.hash ^= hash_of_taken(id);
                    self.trail.push(Done::Returned);
                }
                Event::Return(_) => return false,
            }
            self.at += 1;
        }
        true
    }

    /// Opens a frame with all that may take effect next, the earliest to return first.
    fn choose(&mut self) {
        let start = self.choices.len();
        let ring = self.operations.len() as u32;
        let mut id = self.next[ring as usize];
        while id != ring {
            if !self.space.only_looks[self.operations[id as usize].class as usize] {
                self.choices.push(Choice(id));
            }
            id = self.next[id as usize];
        }
        let operations = self.operations;
        let operation = |choice: &Choice| &operations[choice.0 as usize];
        self.choices[start..].sort_unstable_by_key(|choice| operation(choice).finish);
        // Of those that are alike, only the first.
        let mut kept = start;
        for at in start..self.choices.len() {
            let choice = self.choices[at];
            let class = operation(&choice).class;
            let is_twin = |earlier: &Choice| operation(earlier).class == class;
            if !self.choices[start..kept].iter().any(is_twin) {
                self.choices[kept] = choice;
                kept += 1;
            }
        }
        self.choices.truncate(kept);
        for &class in &self.active {
            if self.used[class as usize] < self.invoked[class as usize] {
                self.choices.push(Choice(PENDING + class));
            }
        }
        self.frames.push(Frame {
            mark: self.trail.len(),
            choices: start,
            next: start,
            nth: 0,
        });
    }

    /// Lets a choice take effect, and after it all that only look and can.
    fn take(&mut self, choice: Choice, nth: usize) -> Went {
        let before = self.state;
        if choice.0 >= PENDING {
            let class = choice.0 - PENDING;
            let state = self.space.step(before, class, nth);
            if state == NONE {
                return Went::Nowhere;
            }
            // A pending operation that changes nothing need not happen.
            if state == before {
                return Went::InCircles;
            }
            let used = self.used[class as usize];
            self.order.push(self.pending[class as usize][used as usize]);
            self.used[class as usize] = used + 1;
            self.hash ^= hash_of_used(class, used + 1);
            self.trail.push(Done::TookPending(class, before));
            self.state = state;
        } else {
            let class = self.operations[choice.0 as usize].class;
            let state = self.space.step(before, class, nth);
            if state == NONE {
                return Went::Nowhere;
            }
            self.effect(choice.0, state);
        }
        if self.state != before {
            let ring = self.operations.len() as u32;
            let mut id = self.next[ring as usize];
            while id != ring {
                let next = self.next[id as usize];
                self.look(id);
                id = next;
            }
        }
        Went::On
    }

    fn effect(&mut self, id: u32, state: u32) {
        self.unlink(id);
        self.taken[id as usize] = true;
        self.order.push(id);
        self.hash ^= hash_of_taken(id);
        self.trail.push(Done::Took(id, self.state));
        self.state = state;
    }

    /// An operation that only looks takes effect if it can.
    fn look(&mut self, id: u32) {
        let class = self.operations[id as usize].class;
        if self.space.only_looks[class as usize] && self.space.step(self.state, class, 0) != NONE {
            self.effect(id, self.state);
        }
    }

    fn link(&mut self, id: u32) {
        let ring = self.operations.len() as u32;
        let last = self.previous[ring as usize];
        self.next[last as usize] = id;
        self.previous[id as usize] = last;
        self.next[id as usize] = ring;
        self.previous[ring as usize] = id;
    }

    fn unlink(&mut self, id: u32) {
        let (before, after) = (self.previous[id as usize], self.next[id as usize]);
        self.next[before as usize] = after;
        self.previous[after as usize] = before;
    }

    fn undo(&mut self, mark: usize) {
        while self.trail.len() > mark {
            let Some(done) = self.trail.pop() else { return };
            match done {
                Done::Invoked(id) => {
                    self.unlink(id);
                    self.at -= 1;
                }
                Done::InvokedPending(class) => {
                    self.invoked[class as usize] -= 1;
                    if self.invoked[class as usize] == 0 {
                        self.active.pop();
                    }
                    self.at -= 1;
                }
                Done::Returned => {
                    self.at -= 1;
                    if let Event::Return(id) = self.events[self.at] {
                        self.hash ^= hash_of_taken(id);
                    }
                }
                Done::Took(id, before) => {
                    self.state = before;
                    self.hash ^= hash_of_taken(id);
                    self.order.pop();
                    self.taken[id as usize] = false;
                    let (previous, next) = (self.previous[id as usize], self.next[id as usize]);
                    self.next[previous as usize] = id;
                    self.previous[next as usize] = id;
                }
                Done::TookPending(class, before) => {
                    self.state = before;
                    self.hash ^= hash_of_used(class, self.used[class as usize]);
                    self.used[class as usize] -= 1;
                    self.order.pop();
                }
            }
        }
    }
}
