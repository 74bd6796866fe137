//! What is told about one fault, to the history and to those who watch.

use std::time::Instant;

use crate::active::ActiveFault;
use crate::catalogue::FaultName;
use crate::record::{FaultOutcome, FaultRecord, FaultSink, Step};

/// What is told about one fault.
pub(super) struct Story<'a> {
    pub(super) sink: &'a dyn FaultSink,
    pub(super) fault: u32,
    pub(super) name: FaultName,
    pub(super) title: String,
    pub(super) nodes: Vec<u16>,
    /// The node it is aimed at before all.
    pub(super) first: Option<u16>,
}

impl Story<'_> {
    pub(super) fn say(&self, step: Step, evidence: String) {
        let (fault, name, nodes) = (self.fault, self.title.clone(), self.nodes.clone());
        self.sink.record(FaultRecord {
            fault,
            name,
            nodes,
            step,
            evidence,
        });
    }

    pub(super) fn as_active(&self) -> ActiveFault {
        ActiveFault {
            fault: self.fault,
            name: self.name,
            title: self.title.clone(),
            nodes: self.nodes.clone(),
            since: Instant::now(),
        }
    }

    pub(super) fn outcome(&self, effective: bool, healed: bool) -> FaultOutcome {
        FaultOutcome {
            fault: self.fault,
            name: self.name,
            effective,
            healed,
        }
    }
}
