//! The checks of registers against exhaustive search and broken simulations, and levels by name.

mod by_hand;
mod exhaustive;
mod levels;
mod planted;
#[path = "../common/planted.rs"]
mod planted_common;
mod random;
mod store;
