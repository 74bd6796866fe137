//! The stages of the encryption roll-out, rule by rule, against real processes.

#[path = "../node/cluster/mod.rs"]
mod cluster;
mod kit;

mod always;
mod guards;
mod life;
mod membership;
mod mixed;
mod poison;
mod rotate_on_startup;
mod snapshots;
mod stages;
