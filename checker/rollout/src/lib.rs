//! What an operator's step on a cluster must come to, worked out from the tables of the rollout
//! (`stage6.md`: stages, mixed versions, startup guards; `invariants.md`: ROL-*).
//!
//! Pure: no store, no cluster, no clock, and nothing shared with the reference store. The nemesis
//! asks [`Model::expect`] before a step and tells [`Model::observe`] what came of it. Where an
//! answer was lost the model keeps every world that is possible, and drops those that a later
//! observation rules out.
//!
//! What must become of members depends on what the step itself came to: [`Expectation::given`].
//! What no world allows is a finding, told by [`Expectation::disagreements`]; the nodes it came from are
//! then expected nothing of, so that one finding does not become many.
//!
//! Where the rules leave a store free, or are known to be met by none, is a table in
//! `docs/rollout.md`.

mod apply;
mod calls;
mod case;
mod draw;
mod expectation;
mod gate;
mod guards;
mod members;
mod model;
mod nodes;
mod observe;
mod outcome;
mod release;
mod setup;
mod starts;
mod step;
mod tamper;
mod view;
mod world;

pub use expectation::{Disagreement, Expectation, Given};
pub use model::Model;
pub use outcome::{Outcome, Seen, UnknownOutcome};
pub use release::{Release, UnknownRelease};
pub use setup::{FlagChange, KekFile, Setup, SidecarPath, Switch};
pub use step::{Call, MemberChange, Send, Step, Tamper, UnknownCall};
