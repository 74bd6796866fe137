//! The verdict as data: what `verdict.json` holds, and what reports are made from.

use std::collections::BTreeMap;
use std::fmt;

use elle_rs::Finding;
use elle_rs::history::file::TornTail;
use serde::{Deserialize, Serialize};

/// What is known about an invariant, or about a whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// There was enough to look at, and it holds.
    Valid,
    /// It could not be decided, or too little happened.
    Inconclusive,
    /// It is broken; findings say where.
    Violated,
}

impl Verdict {
    /// The exit code of a program that ends with this verdict.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Valid => 0,
            Verdict::Violated => 1,
            Verdict::Inconclusive => 3,
        }
    }

    /// The word for it, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Valid => "valid",
            Verdict::Violated => "violated",
            Verdict::Inconclusive => "inconclusive",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The verdict on a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Violated if any invariant is, else inconclusive if any is, else valid.
    pub verdict: Verdict,
    /// One verdict per invariant that this run was about.
    pub invariants: Vec<InvariantVerdict>,
    /// What the run amounts to, in numbers.
    pub stats: Stats,
}

impl Judgement {
    /// The verdict on one invariant, if it was judged.
    pub fn invariant(&self, id: &str) -> Option<&InvariantVerdict> {
        self.invariants.iter().find(|invariant| invariant.id == id)
    }
}

/// One line per invariant, then the total.
impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for invariant in &self.invariants {
            writeln!(f, "{invariant}")?;
        }
        write!(f, "{}", self.verdict)
    }
}

/// The verdict on one invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvariantVerdict {
    /// The invariant: `LIN`, `SSER`, `DUR`, …
    pub id: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What the verdict rests on.
    pub reason: String,
    /// What breaks it; empty unless violated.
    pub findings: Vec<Finding>,
}

/// One line for a person.
impl fmt::Display for InvariantVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<13} {:<12} {}", self.id, self.verdict, self.reason)
    }
}

/// A run in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Events in the history.
    pub events: u64,
    /// From the beginning of the run to its last event, in nanoseconds.
    pub duration_ns: u64,
    /// Whether the history has its end (`Phase::End`) and was not torn.
    pub complete: bool,
    /// What was cut from the end of the file.
    pub torn: Option<TornTail>,
    /// By workload: `register`, `append`.
    pub workloads: BTreeMap<String, WorkloadStats>,
    /// What the nemesis did.
    pub faults: FaultStats,
}

/// One workload in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadStats {
    /// Operations begun.
    pub invoked: u64,
    /// Operations that took effect.
    pub ok: u64,
    /// Operations that certainly did not.
    pub fail: u64,
    /// Operations of which nobody knows.
    pub info: u64,
    /// Operations that the history leaves open.
    pub open: u64,
    /// Of the successful ones: those that observed something.
    pub ok_reads: u64,
    /// Of the successful ones: those that changed something.
    pub ok_writes: u64,
    /// Keys touched.
    pub keys: u64,
    /// The most operations that were open at once.
    pub concurrency: u64,
    /// Operations begun while another one on the same key was open.
    pub contended: u64,
}

/// What the nemesis did, in numbers of faults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultStats {
    /// How many the plan has, if it is known.
    pub planned: Option<u32>,
    /// How many were begun.
    pub armed: u32,
    /// How many were seen in force, and were to the end of their hold.
    pub effective: u32,
    /// How many had no sign of effect, or lost it while they were held.
    pub ineffective: u32,
    /// How many were undone.
    pub healed: u32,
    /// How many could not be undone.
    pub heal_failed: u32,
}
