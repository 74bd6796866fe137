//! Who asks for a collection, and why.

use keyquake_nemesis::{FaultRecord, FaultSink, Outcome, OutcomeRecord, Step};
use tokio::sync::mpsc::UnboundedSender;

use crate::wiring::HistorySink;

/// Why the files of nodes are to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A fault, by its number and name, is over.
    AfterFault(u32, String),
    /// A node went down, whoever did it.
    Down(u16),
    /// Something is not as it must be.
    Finding(String),
    /// The run is over.
    End,
}

/// Where collections are asked for. Asking never blocks, and never fails: who collects no more
/// has said so.
#[derive(Clone)]
pub struct Requests(pub(super) UnboundedSender<Why>);

impl Requests {
    /// Something is not as it must be.
    pub fn finding(&self, what: String) {
        self.ask(Why::Finding(what));
    }

    pub(super) fn end(&self) {
        self.ask(Why::End);
    }

    pub(super) fn ask(&self, why: Why) {
        let _ = self.0.send(why);
    }
}

/// Puts the steps of faults into the history, and asks for a collection after each fault and at
/// each outcome that must not be.
pub struct Collecting {
    pub history: HistorySink,
    /// `None` where no evidence is collected.
    pub requests: Option<Requests>,
}

impl FaultSink for Collecting {
    fn record(&self, record: FaultRecord) {
        let over = matches!(record.step, Step::Healed | Step::HealFailed);
        let (fault, name) = (record.fault, record.name.clone());
        self.history.record(record);
        if let Some(requests) = self.requests.as_ref().filter(|_| over) {
            requests.ask(Why::AfterFault(fault, name));
        }
    }

    fn outcome(&self, record: OutcomeRecord) {
        let (met, subject) = (is_met(&record), record.subject.clone());
        self.history.outcome(record);
        if let Some(requests) = self.requests.as_ref().filter(|_| !met) {
            requests.finding(subject);
        }
    }

    fn outage(&self, begins: bool, reason: String) {
        self.history.outage(begins, reason);
    }
}

fn is_met(record: &OutcomeRecord) -> bool {
    let Ok(observed) = record.observed.parse::<Outcome>() else {
        return true;
    };
    let expected = record.expected.iter().map(|word| word.parse::<Outcome>());
    expected.flatten().any(|may| may.allows(&observed))
}
