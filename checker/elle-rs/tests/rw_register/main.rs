//! The checks of registers against exhaustive search and broken simulations, and levels by name.

mod by_hand;
mod exhaustive;
mod levels;
mod random;
mod store;
