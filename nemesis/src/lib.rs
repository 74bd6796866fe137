//! Faults, plans and their evidence: armed, effective, healed.
//!
//! A plan's schedule ([`PlannedFault`]) is explicit: either written by hand or
//! drawn from a seed ([`draw`]). [`run`] carries it out on a cluster. Each fault
//! must show that it took effect, and that it was undone; one that can't is
//! recorded as [`Step::Ineffective`] or [`Step::HealFailed`], never passed over.

mod active;
mod catalogue;
mod course;
mod draw;
mod faults;
mod group;
mod in_flight;
mod moment;
mod operator;
mod record;
mod rollout;
mod runner;
mod schedule;
mod target;
mod until;

pub use active::{ActiveFault, ActiveFaults};
pub use catalogue::{FaultInfo, FaultName, UnknownFault, catalogue};
pub use draw::{Beginning, draw, draw_night};
pub use group::is_struck;
pub use in_flight::InFlight;
pub use keyquake_rollout::{
    Call, FlagChange, KekFile, MemberChange, Outcome, Release, Send, Setup, SidecarPath, Switch,
    Tamper,
};
pub use moment::{Moment, Progress, Question, Watcher, When};
pub use operator::{Answer, CallRequest, KeyState, LastWords, Operator, Remembered, Roll};
pub use record::{FaultOutcome, FaultRecord, FaultSink, OutcomeRecord, Report, Step};
pub use rollout::{Expect, Rollout};
pub use runner::{Health, LeaderFinder, Surroundings, run};
pub use schedule::{
    Details, PlannedFault, ScheduleError, parse, to_toml, validate, validate_with_spares,
};
pub use target::Target;
pub use until::Until;
