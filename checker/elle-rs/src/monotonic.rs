//! Counters that only grow: of two values of a key the greater is the later, so the order of all
//! versions is known, and what a reader saw tells how far it had come. The rest is `rw_register`.

use crate::levels::Level;
use crate::rw_register;
use crate::txn::{Outcome, Store};

/// Decides whether transactions on counters satisfy a level. Writes are of the values that the
/// counters grow to, each once.
pub fn check_store(store: &Store, level: Level) -> Outcome {
    rw_register::check_values(store, level, true)
}
