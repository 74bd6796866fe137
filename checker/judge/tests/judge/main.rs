//! Each invariant on a history that holds it, one that breaks it, and one with nothing to look at.

mod availability;
mod build;
mod consequences;
mod consistency;
mod durability;
mod json;
mod own;
mod restart;
mod rollout;
