//! What happened in a run, as data: operations and faults in one order.
//!
//! The words are Jepsen's: an operation is *invoked*, and completes as `ok`
//! (it took effect), `fail` (it certainly did not) or `info` (nobody knows).

use serde::{Deserialize, Serialize};

pub mod file;
pub mod pairs;
pub mod stream;
pub mod words;

/// A key, by number. How it is spelled on a store's wire is the client's business.
pub type Key = u64;

/// A written value. Workloads write each value at most once per key.
pub type Value = u64;

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// An invocation or completion by a client.
    Op(Op),
    /// A step of a fault, with its evidence.
    Fault(FaultEvent),
    /// The run entered another phase.
    Phase(PhaseEvent),
    /// A node ended that no fault had killed.
    Exit(ExitEvent),
    /// What came of an operator's step, beside what must. Since version 2 of the file.
    Outcome(OutcomeEvent),
    /// The cluster can't serve by design, or can again. Since version 2 of the file.
    Outage(OutageEvent),
}

/// An invocation or a completion of one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Op {
    /// Position in the history, strictly growing over all events.
    pub index: u64,
    /// Nanoseconds since the run began, on a monotonic clock.
    pub time_ns: u64,
    /// The logical process; it has at most one open operation, and none after an `info`.
    pub process: u32,
    /// Which of the four kinds of event this is.
    pub kind: Kind,
    /// What was asked (on `Invoke`) or what came back (on `Ok`).
    pub action: Action,
    /// The node asked, as its position in the cluster (0 is the first).
    pub node: Option<u16>,
    /// Why a `fail` or `info` is one: class and text of the error.
    pub error: Option<String>,
}

/// The four kinds of operation events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// The client is about to send the request.
    Invoke,
    /// It took effect, and `action` holds what came back.
    Ok,
    /// It certainly took no effect.
    Fail,
    /// Indeterminate: it may take effect at any later moment, or never.
    Info,
}

/// What an operation does. Results are `None` until an `Ok` fills them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Read a register. On `Ok`, `value` is what was read (`None`: no such key).
    Read {
        /// The register read.
        key: Key,
        /// What was read; `None` before an `Ok`, and for a key that is not there.
        value: Option<Value>,
    },
    /// Write a register blindly.
    Write {
        /// The register written.
        key: Key,
        /// What is written.
        value: Value,
    },
    /// Write and get the old value in one step (`SET … GET`). On `Ok`, `old` is
    /// what was there (`None`: no such key).
    Swap {
        /// The register written.
        key: Key,
        /// What is written.
        value: Value,
        /// What was there before; `None` before an `Ok`, and for no such key.
        old: Option<Value>,
    },
    /// Compare-and-set. On `Ok`, `swapped` says whether `expected` was there.
    Cas {
        /// The register compared and set.
        key: Key,
        /// What must be there for the write to happen.
        expected: Value,
        /// What is written if it is.
        value: Value,
        /// On `Ok`: whether `expected` was there and `value` was written.
        swapped: bool,
    },
    /// A list-append transaction: its steps take effect in one instant.
    Txn {
        /// What it does, in order.
        steps: Vec<Step>,
    },
}

/// One step of a list-append transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Add `value` at the end of the list under `key`.
    Append {
        /// The list appended to.
        key: Key,
        /// The new last element.
        value: Value,
    },
    /// Read the whole list.
    Read {
        /// The list read.
        key: Key,
        /// Its elements, oldest first; `None` where the result is not known.
        list: Option<Vec<Value>>,
    },
}

/// A step in the life of a fault: armed → effective → healed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// Position in the history, strictly growing over all events.
    pub index: u64,
    /// Nanoseconds since the run began, on a monotonic clock.
    pub time_ns: u64,
    /// Position of the fault in the plan, from 0.
    pub fault: u32,
    /// The fault's name in the plan (`kill`, `pause`, `partition-halves`, …).
    pub name: String,
    /// The nodes it was aimed at, by position.
    pub nodes: Vec<u16>,
    /// Which step this is.
    pub step: FaultStep,
    /// What was seen that shows the step took effect (or that it did not).
    pub evidence: String,
}

/// The steps of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FaultStep {
    /// About to be applied; its undo is in the heal journal.
    Armed,
    /// Seen to be in force.
    Effective,
    /// Applied, but nothing shows that it was in force.
    Ineffective,
    /// Undone, and seen to be undone.
    Healed,
    /// Undoing it did not work.
    HealFailed,
}

/// The run entered another phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseEvent {
    /// Position in the history, strictly growing over all events.
    pub index: u64,
    /// Nanoseconds since the run began, on a monotonic clock.
    pub time_ns: u64,
    /// Which phase begins here.
    pub phase: Phase,
}

/// A node ended that no fault had killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitEvent {
    /// Position in the history, strictly growing over all events.
    pub index: u64,
    /// Nanoseconds since the run began, on a monotonic clock: when it was noticed.
    pub time_ns: u64,
    /// The node, as its position in the cluster (0 is the first).
    pub node: u16,
    /// How it ended, in words (`exited with code 1`).
    pub ending: String,
}

/// What came of an operator's step, or of a node because of one, beside what must.
///
/// Outcomes are words of the rollout (`accepted`, `refused NAME`, `halts NAME`, `serves`, …).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeEvent {
    /// Position in the history, strictly growing over all events.
    pub index: u64,
    /// Nanoseconds since the run began, on a monotonic clock: when it was known.
    pub time_ns: u64,
    /// Position in the plan of the step it came of, from 0.
    pub fault: u32,
    /// The invariant that another outcome breaks (`ROL-GATE`).
    pub invariant: String,
    /// What it is about, in words: the step, or a node.
    pub subject: String,
    /// The node whose process it is about, by position; `None` for a call.
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

/// The cluster can't serve by design (a majority may not apply what is committed), or can again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageEvent {
    /// Position in the history, strictly growing over all events.
    pub index: u64,
    /// Nanoseconds since the run began, on a monotonic clock.
    pub time_ns: u64,
    /// Whether it begins here; else it ends.
    pub begins: bool,
    /// Why, in words.
    pub reason: String,
}

/// The phases of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Workloads and nemesis at work.
    Main,
    /// All faults healed, every node up: each key is read back.
    Final,
    /// The history is complete. Its absence means the run was cut short.
    End,
}

impl Event {
    /// Position of the event in its history.
    pub fn index(&self) -> u64 {
        match self {
            Event::Op(op) => op.index,
            Event::Fault(fault) => fault.index,
            Event::Phase(phase) => phase.index,
            Event::Exit(exit) => exit.index,
            Event::Outcome(outcome) => outcome.index,
            Event::Outage(outage) => outage.index,
        }
    }

    /// Nanoseconds since the run began.
    pub fn time_ns(&self) -> u64 {
        match self {
            Event::Op(op) => op.time_ns,
            Event::Fault(fault) => fault.time_ns,
            Event::Phase(phase) => phase.time_ns,
            Event::Exit(exit) => exit.time_ns,
            Event::Outcome(outcome) => outcome.time_ns,
            Event::Outage(outage) => outage.time_ns,
        }
    }
}
