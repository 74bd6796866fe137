//! What is said about a fault while it lives.

use crate::catalogue::FaultName;

/// A step in the life of a fault.
///
/// `Armed` comes first. Then `Effective`, or `Ineffective`; an effective fault
/// whose effect vanishes while it is held becomes `Ineffective` too. `Healed` or
/// `HealFailed` comes last, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// About to be applied; its undo is in the heal journal.
    Armed,
    /// Seen to be in force.
    Effective,
    /// Nothing shows that it was in force all the time.
    Ineffective,
    /// Undone, and seen to be undone.
    Healed,
    /// Undoing it did not work.
    HealFailed,
}

/// One step of one fault, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRecord {
    /// Position of the fault in the schedule, from 0.
    pub fault: u32,
    /// Its name, as in the schedule; for a step with what it does (`roll to 6b`).
    pub name: String,
    /// The nodes it is aimed at, by position.
    pub nodes: Vec<u16>,
    /// Which step this is.
    pub step: Step,
    /// What was seen.
    pub evidence: String,
}

/// What came of an operator's step, or of a node because of one, beside what must. Outcomes are
/// spelled as [`keyquake_rollout::Outcome`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeRecord {
    /// Position of the step in the schedule, from 0.
    pub fault: u32,
    /// The invariant that another outcome breaks.
    pub invariant: String,
    /// What it is about, in words.
    pub subject: String,
    /// The node whose process it is about.
    pub node: Option<u16>,
    /// What it may come to: one of these.
    pub expected: Vec<String>,
    /// The rule that says so.
    pub because: String,
    /// What it came to.
    pub observed: String,
    /// What was seen that shows it.
    pub evidence: String,
}

/// Where records go, in the order they happen. None of it may block.
pub trait FaultSink: Send + Sync {
    /// Takes a step in the life of a fault.
    fn record(&self, record: FaultRecord);
    /// Takes what came of an operator's step.
    fn outcome(&self, record: OutcomeRecord);
    /// Takes that the cluster can't serve by design (`begins`), or can again.
    fn outage(&self, begins: bool, reason: String);
}

/// How one fault went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultOutcome {
    /// Position of the fault in the schedule, from 0.
    pub fault: u32,
    /// Its name.
    pub name: FaultName,
    /// Whether it was in force from its application to its healing.
    pub effective: bool,
    /// Whether it was undone.
    pub healed: bool,
}

/// How a schedule went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Every fault that was begun, in order.
    pub faults: Vec<FaultOutcome>,
    /// How many were never begun, because the run was stopped.
    pub not_reached: u32,
}
