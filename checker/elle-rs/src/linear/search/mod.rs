//! The search for an order, for any [`Model`]: complete, and exponential at worst in the number
//! of operations open at once, so under a budget of steps.
//!
//! Both searches walk the history event by event and let operations take effect *just in time*:
//! only when an operation returns that has not yet taken effect. (So what tells two situations
//! apart is which of the *open* operations took effect, and the state; not the whole past.)
//! Operations that only look take effect the moment they can, which takes no choice away. Of
//! operations that are alike, the one that returns first goes first.
//!
//! - [`depth_first`](depth) follows one order at a time and is quick where there is one. Its
//!   memory of where it has been holds hashes only, so that it proves nothing by failing.
//! - [`sweep`] follows all orders at once, one layer in memory, and proves that there is none.

mod depth;
mod space;
mod sweep;

use super::model::{Model, Operation, Question, Time};
use space::Space;

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An order that explains all: positions of operations.
    Order(Vec<u32>),
    /// There is none: whatever took effect before, `culprit` cannot return what it did.
    Impossible {
        /// The operation, by position.
        culprit: u32,
    },
    /// The steps were not enough.
    Exhausted {
        /// Where the sweep gave up: from the oldest open operation to this return.
        from: Time,
        /// The return it could not pass.
        to: Time,
        /// How many operations were open there, pending ones included.
        open: usize,
    },
}

/// An invocation or a return, in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Invoke(u32),
    Return(u32),
}

fn events(operations: &[Operation]) -> Vec<Event> {
    let mut events: Vec<(Time, Event)> = Vec::with_capacity(operations.len() * 2);
    for (id, operation) in (0..).zip(operations) {
        events.push((operation.start, Event::Invoke(id)));
        if !operation.is_pending() {
            events.push((operation.finish, Event::Return(id)));
        }
    }
    events.sort_unstable_by_key(|&(time, _)| time);
    events.into_iter().map(|(_, event)| event).collect()
}

/// Steps of the first descent: an order that is easy to find is found within.
fn first_descent(operations: usize) -> u64 {
    2_000 + 8 * operations as u64
}

/// Decides within `budget` steps. The same question gets the same answer everywhere.
pub fn search<M: Model>(model: &M, question: &Question<M::Op>, budget: u64) -> Found {
    let events = events(&question.operations);
    let mut space = Space::new(model, &question.classes);
    let first = budget.min(first_descent(question.operations.len()));
    let mut steps = first;
    match depth::search(&mut space, &question.operations, &events, &mut steps) {
        depth::Outcome::Order(order) => return Found::Order(order),
        depth::Outcome::Nothing | depth::Outcome::Exhausted => {}
    }
    let left = budget - (first - steps);
    // Half for a proof that there is no order, half to look for a hidden one.
    let mut steps = left / 2 + left % 2;
    let swept = sweep::sweep(&mut space, &question.operations, &events, &mut steps);
    let Found::Exhausted { .. } = swept else {
        return swept;
    };
    let mut steps = left / 2 + steps;
    match depth::search(&mut space, &question.operations, &events, &mut steps) {
        depth::Outcome::Order(order) => Found::Order(order),
        depth::Outcome::Nothing | depth::Outcome::Exhausted => swept,
    }
}
