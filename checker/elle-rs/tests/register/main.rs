//! The register check against exhaustive search, against broken simulations, and by hand.

mod by_hand;
#[path = "../common/mod.rs"]
mod common;
mod exhaustive;
mod mutation;
mod random;
mod simulated;
