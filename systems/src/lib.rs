//! One module per store: launch, readiness, clients, error classes.
//!
//! The rest of the suite sees a [`System`]: how the store is started, when it is ready, who
//! leads it, and how clients reach it. The reference store and elastickv share one module, as
//! they speak the same wire.

pub mod elastickv;
mod leader_watch;
mod programs;
mod system;

pub use elastickv::{Elastickv, Reference};
pub use keyquake_formats::canary::Canary;
pub use leader_watch::LeaderWatch;
pub use programs::Programs;
pub use system::{NodeChange, System, SystemError, SystemName, SystemOptions, system, system_of};
