//! What a run has to amount to for its verdict to mean anything.

use serde::{Deserialize, Serialize};

/// The bounds a run is judged by. The default is sane for runs of half a minute and more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expectations {
    /// Successful operations below which a workload says nothing. Of them a tenth have to
    /// observe, and a tenth to change something.
    pub min_ok_per_workload: u64,
    /// Operations begun while another one on their key was open, below which a workload says
    /// nothing: without contention every order is as good as another.
    pub min_contended_per_workload: u64,
    /// How long after a fault was healed, or after the run began, operations may take to succeed
    /// again, in nanoseconds.
    pub recovery_bound_ns: u64,
    /// How many faults the plan has; `None` if it is not known (a history without its plan).
    pub planned_faults: Option<u32>,
}

impl Default for Expectations {
    fn default() -> Self {
        Expectations {
            min_ok_per_workload: 100,
            min_contended_per_workload: 1,
            recovery_bound_ns: 10_000_000_000,
            planned_faults: None,
        }
    }
}
