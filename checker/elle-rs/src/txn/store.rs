//! All transactions of a history, in rows of numbers.
//!
//! A read list is not kept: per key there is the longest list read, and each read is a length on
//! it. What contradicts it is kept beside it, as another *branch* or whole, and is rare.

use rustc_hash::FxHashMap;

use super::numbers::Numbers;
use crate::history::pairs::Outcome;

/// A transaction by its place in the order of invocation.
pub(crate) type Id = u32;
pub(crate) const NONE: u32 = u32::MAX;

/// What a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// An append or a write; of this value.
    Write,
    /// The first read of a key in its transaction. Of a list: how many elements of the key's
    /// first branch it saw that are not its own. Of a register: what it saw.
    Read,
    /// A later read that says the same, or a read of what the transaction itself wrote.
    Again,
    /// A read that is a place in `odd`.
    Odd,
    /// A read whose answer is not known.
    Asked,
}

/// One step, in eight bytes.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    what_and_key: u32,
    pub argument: u32,
}

/// Keys that can be numbered.
pub(crate) const KEYS_MAX: usize = 1 << 29;

impl Step {
    pub fn new(what: What, key: u32, argument: u32) -> Self {
        Step {
            what_and_key: key << 3 | what as u32,
            argument,
        }
    }

    #[inline]
    pub fn what(self) -> What {
        match self.what_and_key & 7 {
            0 => What::Write,
            1 => What::Read,
            2 => What::Again,
            3 => What::Odd,
            _ => What::Asked,
        }
    }

    #[inline]
    pub fn key(self) -> u32 {
        self.what_and_key >> 3
    }
}

/// A read that does not fit into one number.
pub(crate) enum Odd {
    /// A read of a list on another branch than the first.
    Branch {
        branch: u32,
        length: u32,
        /// The first read of the key in its transaction.
        first: bool,
    },
    /// It contradicts what its own transaction did before: the list or value whole.
    Internal {
        transaction: Id,
        read: Vec<u32>,
        /// What the transaction had seen of the key that is not its own, if it had:
        /// a branch and a length, or a register's value and nothing.
        seen: Option<(u32, u32)>,
        /// What it had written to the key.
        own: Vec<u32>,
    },
}

/// The transactions of a history.
#[derive(Default)]
pub struct Store {
    // Per transaction.
    /// Indices of its events; `complete` is [`NONE`] unless it was acknowledged.
    pub(crate) invoke: Vec<u32>,
    pub(crate) complete: Vec<u32>,
    /// Real time as a clock that moves on at each invocation after a completion: `a` was complete
    /// when `b` began iff `ended[a] < begun[b]`. `ended` is [`NONE`] unless it was acknowledged.
    pub(crate) begun: Vec<u32>,
    pub(crate) ended: Vec<u32>,
    pub(crate) process: Vec<u32>,
    pub(crate) outcome: Vec<Outcome>,
    pub(crate) node: Vec<u16>,
    pub(crate) times: Vec<[u64; 2]>,
    pub(crate) steps_at: Vec<(u32, u32)>,
    // Per step.
    pub(crate) steps: Vec<Step>,
    pub(crate) odd: Vec<Odd>,
    // Per key.
    pub(crate) keys: Vec<i64>,
    pub(crate) lists: Vec<Vec<u32>>,
    /// Lists that contradict the first branch of their key.
    pub(crate) branches: FxHashMap<u32, Vec<Vec<u32>>>,
    /// Whether the keys are lists; else they are registers.
    pub(crate) are_lists: bool,
    pub(crate) processes: Vec<i64>,
    pub(crate) numbers: Numbers,
    /// Where the clock of `begun` and `ended` stands in the end.
    pub(crate) clock: u32,
}

impl Store {
    /// How many transactions there are.
    pub fn len(&self) -> usize {
        self.invoke.len()
    }

    /// Whether some transaction read what contradicts its own reads or writes before.
    pub(crate) fn contradicts(&self) -> bool {
        let contradicts = |odd: &Odd| matches!(odd, Odd::Internal { .. });
        self.odd.iter().any(contradicts)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.invoke.is_empty()
    }

    pub(crate) fn steps_of(&self, id: Id) -> &[Step] {
        let (from, to) = self.steps_at[id as usize];
        &self.steps[from as usize..to as usize]
    }

    pub(crate) fn ids(&self) -> std::ops::Range<Id> {
        0..self.invoke.len() as Id
    }

    /// A branch of a key's list.
    pub(crate) fn branch(&self, key: u32, branch: u32) -> &[u32] {
        match branch.checked_sub(1) {
            None => &self.lists[key as usize],
            Some(other) => &self.branches[&key][other as usize],
        }
    }

    pub(crate) fn is_ok(&self, id: Id) -> bool {
        self.outcome[id as usize] == Outcome::Ok
    }
}
