//! The list-append check against exhaustive search, by hand, and against broken simulations.

#[path = "../common/mod.rs"]
mod common;
mod exhaustive;
mod mutation;
mod planted;
#[path = "../common/planted.rs"]
mod planted_common;
mod random;
mod store;
