//! The small pieces that join rooms which don't know each other.

mod operator;
mod programs;
mod rehearsal;
mod watcher;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use elle_rs::history::{FaultStep, OutcomeEvent};
use keyquake_cluster::NodeSpec;
use keyquake_judge::Expectations;
use keyquake_nemesis::{FaultRecord, FaultSink, Health, LeaderFinder, OutcomeRecord, Step};
use keyquake_systems::System;
use keyquake_workloads::{FaultRecord as Recorded, Recorder};

pub use self::operator::{Changes, Hands};
pub use self::programs::{Expected, Given};
pub use self::rehearsal::rehearse;
pub use self::watcher::Watch;
pub use self::words::check_words;

use crate::plan::Plan;

/// A cluster that has not begun to serve within this time is a failed start.
pub const START_WITHIN: Duration = Duration::from_secs(20);

/// Where the heal journals of runs under this results root are.
pub fn journal_dir(results: &Path) -> PathBuf {
    results.join(".journal")
}

/// What the plan's runs have to amount to.
pub fn expectations(plan: &Plan) -> Expectations {
    let bound = keyquake_systems::system(plan.cluster.system).recovery_bound();
    Expectations {
        recovery_bound_ns: bound.as_nanos() as u64,
        planned_faults: Some(plan.faults.len() as u32),
        ..Expectations::default()
    }
}

/// Puts the steps of faults into the history.
pub struct HistorySink(pub Recorder);

impl FaultSink for HistorySink {
    fn record(&self, record: FaultRecord) {
        // A recorder that can't write has stopped the run already.
        let _ = self.0.record_fault(Recorded {
            fault: record.fault,
            name: record.name,
            nodes: record.nodes,
            step: match record.step {
                Step::Armed => FaultStep::Armed,
                Step::Effective => FaultStep::Effective,
                Step::Ineffective => FaultStep::Ineffective,
                Step::Healed => FaultStep::Healed,
                Step::HealFailed => FaultStep::HealFailed,
            },
            evidence: record.evidence,
        });
    }

    fn outcome(&self, record: OutcomeRecord) {
        // Index and time are the recorder's to give.
        let _ = self.0.record_outcome(OutcomeEvent {
            index: 0,
            time_ns: 0,
            fault: record.fault,
            invariant: record.invariant,
            subject: record.subject,
            node: record.node,
            expected: record.expected,
            because: record.because,
            observed: record.observed,
            evidence: record.evidence,
        });
    }

    fn outage(&self, begins: bool, reason: String) {
        let _ = self.0.record_outage(begins, reason);
    }
}

/// The store under test, as the nemesis asks for it.
pub struct Asked {
    pub system: Arc<dyn System>,
    pub specs: Vec<NodeSpec>,
}

#[async_trait]
impl LeaderFinder for Asked {
    async fn leader(&self) -> Option<u16> {
        self.system.leader(&self.specs).await
    }
}

#[async_trait]
impl Health for Asked {
    async fn wait_ready(&self, node: u16, deadline: Instant) -> Result<(), String> {
        let Some(spec) = self.specs.get(usize::from(node)) else {
            return Err(format!("there is no node at position {node}"));
        };
        self.system
            .ready(spec, deadline.into())
            .await
            .map_err(|error| error.to_string())
    }
}
