//! What an operator's step on a cluster must come to, worked out from the tables of the rollout
//! (`stage6.md`: stages, mixed versions, startup guards; `invariants.md`: ROL-*).
//!
//! Pure: no store, no cluster, no clock, and nothing shared with the reference store. The nemesis
//! asks [`Model::expect`] before a step and tells [`Model::observe`] what came of it. Where an
//! answer was lost the model keeps every world that is possible, and drops those that a later
//! observation rules out.

mod outcome;
mod release;
mod setup;
mod step;

pub use outcome::{Expectation, Outcome, Seen, UnknownOutcome};
pub use release::{Release, UnknownRelease};
pub use setup::{FlagChange, KekFile, Setup, SidecarPath, Switch};
pub use step::{Call, MemberChange, Send, Step, Tamper, UnknownCall};
