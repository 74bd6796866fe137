//! One pass over a history: keeps what a report shows, and nothing that grows
//! with the number of operations (open ones apart, which are as many as clients).

mod bins;
mod errors;
mod faults;
mod kinds;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use elle_rs::history::{Event, Kind, Op, Phase};

pub use bins::{Bin, Timeline};
pub use errors::{ErrorGroup, Errors};
pub use faults::{FaultLife, Faults};
pub use kinds::{KindStats, OpKind, Workload};

/// Completions by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Took effect.
    pub ok: u64,
    /// Certainly did not.
    pub fail: u64,
    /// Nobody knows.
    pub info: u64,
}

impl Counts {
    fn add(&mut self, kind: Kind) {
        match kind {
            Kind::Invoke => {}
            Kind::Ok => self.ok += 1,
            Kind::Fail => self.fail += 1,
            Kind::Info => self.info += 1,
        }
    }

    /// All completions.
    pub fn total(&self) -> u64 {
        self.ok + self.fail + self.info
    }
}

/// An operation that a finding names.
#[derive(Clone, Debug)]
pub struct Involved {
    /// Its invocation.
    pub invoke: Op,
    /// Its completion, if it had one.
    pub completion: Option<Op>,
}

/// Everything a report shows of a history.
#[derive(Debug, Default)]
pub struct Collected {
    /// Time of the last event.
    pub end_ns: u64,
    /// Completions of all workloads.
    pub totals: Counts,
    /// Invocations of all workloads.
    pub invoked: u64,
    /// Rates and latencies over time.
    pub timelines: BTreeMap<Workload, Timeline>,
    /// Counts and latencies by kind of operation.
    pub kinds: BTreeMap<OpKind, KindStats>,
    /// Texts of errors, with counts.
    pub errors: Errors,
    /// The faults and their evidence.
    pub faults: Faults,
    /// When each phase began.
    pub phases: Vec<(Phase, u64)>,
    /// The operations that findings name, by invocation index.
    pub involved: BTreeMap<u64, Involved>,
}

/// An invocation without its completion so far.
struct Open {
    index: u64,
    time_ns: u64,
    kind: OpKind,
}

impl Collected {
    /// Reads the history once. `wanted` are the invocation indices to keep whole.
    pub fn from_events(
        events: impl Iterator<Item = Event>,
        wanted: impl Iterator<Item = u64>,
    ) -> Self {
        let wanted: BTreeSet<u64> = wanted.collect();
        let mut open: HashMap<u32, Open> = HashMap::new();
        let mut all = Collected::default();
        for event in events {
            all.end_ns = all.end_ns.max(event.time_ns());
            match event {
                Event::Op(op) if op.kind == Kind::Invoke => all.invoke(op, &wanted, &mut open),
                Event::Op(op) => {
                    let invocation = open.remove(&op.process);
                    all.complete(op, invocation);
                }
                Event::Fault(fault) => all.faults.add(fault),
                // An exit is a finding of ROL-RESTART, which the page shows as one.
                Event::Exit(_) | Event::Outage(_) => {}
                Event::Outcome(outcome) => all.faults.add_outcome(outcome),
                Event::Phase(phase) => all.phases.push((phase.phase, phase.time_ns)),
            }
        }
        all
    }

    /// Whether the history says that it is complete.
    pub fn has_end(&self) -> bool {
        self.phases.iter().any(|(phase, _)| *phase == Phase::End)
    }

    /// Invocations that never completed.
    pub fn unanswered(&self) -> u64 {
        self.invoked.saturating_sub(self.totals.total())
    }

    fn invoke(&mut self, op: Op, wanted: &BTreeSet<u64>, open: &mut HashMap<u32, Open>) {
        let kind = OpKind::of(&op.action);
        self.invoked += 1;
        self.kinds.entry(kind).or_default().invoked += 1;
        // A workload has its picture even when nothing ever came back.
        self.timelines.entry(kind.workload()).or_default();
        open.insert(
            op.process,
            Open {
                index: op.index,
                time_ns: op.time_ns,
                kind,
            },
        );
        if wanted.contains(&op.index) {
            self.involved.insert(
                op.index,
                Involved {
                    invoke: op,
                    completion: None,
                },
            );
        }
    }

    fn complete(&mut self, op: Op, open: Option<Open>) {
        // A completion without its invocation is SELF-HISTORY's to judge; here it still counts.
        let kind = open
            .as_ref()
            .map_or_else(|| OpKind::of(&op.action), |open| open.kind);
        self.totals.add(op.kind);
        let timeline = self.timelines.entry(kind.workload()).or_default();
        timeline.totals.add(op.kind);
        timeline.at(op.time_ns).counts.add(op.kind);
        let stats = self.kinds.entry(kind).or_default();
        stats.counts.add(op.kind);
        if let (Kind::Ok, Some(open)) = (op.kind, &open) {
            let us = op.time_ns.saturating_sub(open.time_ns).div_ceil(1000);
            stats.latency_us.saturating_record(us);
            // Drawn where it began: what is slow because of a fault began in the fault.
            timeline.at(open.time_ns).record_latency(us);
        }
        if op.kind != Kind::Ok {
            self.errors.add(kind.workload(), &op);
        }
        if let Some(involved) = open.and_then(|open| self.involved.get_mut(&open.index)) {
            involved.completion = Some(op);
        }
    }
}
