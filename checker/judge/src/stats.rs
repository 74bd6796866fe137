//! A run in numbers, in one pass over its history.

use std::collections::BTreeMap;

use elle_rs::history::file::TornTail;
use elle_rs::history::{Action, Event, FaultEvent, FaultStep, Key, Kind, Op, Phase, Step};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::expectations::Expectations;
use crate::judgement::{FaultStats, Stats, WorkloadStats};
use crate::run::Workload;

pub(crate) fn stats(
    events: &[Event],
    torn: Option<&TornTail>,
    expectations: &Expectations,
) -> Stats {
    let mut counting = [Counting::default(), Counting::default()];
    let mut faults: BTreeMap<u32, Vec<FaultStep>> = BTreeMap::new();
    let mut ended = false;
    for event in events {
        match event {
            Event::Op(op) => counting[Workload::of(&op.action) as usize].op(op),
            Event::Fault(FaultEvent { fault, step, .. }) => {
                faults.entry(*fault).or_default().push(*step);
            }
            Event::Phase(phase) => ended |= phase.phase == Phase::End,
            Event::Exit(_) | Event::Outcome(_) | Event::Outage(_) => {}
        }
    }
    let with = |step: FaultStep| {
        let faults = faults.values().filter(|steps| steps.contains(&step));
        u32::try_from(faults.count()).unwrap_or(u32::MAX)
    };
    let to_the_end = |steps: &&Vec<FaultStep>| {
        steps.contains(&FaultStep::Effective) && !steps.contains(&FaultStep::Ineffective)
    };
    let effective = faults.values().filter(to_the_end).count();
    let workloads = Workload::ALL
        .into_iter()
        .zip(counting)
        .filter(|(_, counting)| counting.met)
        .map(|(workload, counting)| (workload.name().to_owned(), counting.finish()))
        .collect();
    Stats {
        events: events.len() as u64,
        duration_ns: events.last().map_or(0, Event::time_ns),
        complete: ended && torn.is_none(),
        torn: torn.copied(),
        workloads,
        faults: FaultStats {
            planned: expectations.planned_faults,
            armed: with(FaultStep::Armed),
            effective: u32::try_from(effective).unwrap_or(u32::MAX),
            ineffective: with(FaultStep::Ineffective),
            healed: with(FaultStep::Healed),
            heal_failed: with(FaultStep::HealFailed),
        },
    }
}

#[derive(Default)]
struct Counting {
    stats: WorkloadStats,
    /// Whether there was any event of this workload.
    met: bool,
    /// Open operations by process, with their keys; and how many are open on each key.
    open: FxHashMap<u32, Vec<Key>>,
    open_on: FxHashMap<Key, u64>,
}

impl Counting {
    fn op(&mut self, op: &Op) {
        self.met = true;
        match op.kind {
            Kind::Invoke => return self.invoke(op),
            Kind::Ok => {
                self.stats.ok += 1;
                let (reads, writes) = reads_and_writes(&op.action);
                self.stats.ok_reads += u64::from(reads);
                self.stats.ok_writes += u64::from(writes);
            }
            Kind::Fail => self.stats.fail += 1,
            Kind::Info => self.stats.info += 1,
        }
        for key in self.open.remove(&op.process).unwrap_or_default() {
            if let Some(open) = self.open_on.get_mut(&key) {
                *open -= 1;
            }
        }
    }

    fn invoke(&mut self, op: &Op) {
        self.stats.invoked += 1;
        let keys = keys(&op.action);
        let mut contended = false;
        for &key in &keys {
            let open = self.open_on.entry(key).or_default();
            contended |= *open > 0;
            *open += 1;
        }
        self.stats.contended += u64::from(contended);
        self.open.insert(op.process, keys);
        self.stats.concurrency = self.stats.concurrency.max(self.open.len() as u64);
    }

    fn finish(mut self) -> WorkloadStats {
        self.stats.open = self.open.len() as u64;
        self.stats.keys = self.open_on.len() as u64;
        self.stats
    }
}

/// The keys an action touches, each once.
fn keys(action: &Action) -> Vec<Key> {
    match action {
        Action::Read { key, .. }
        | Action::Write { key, .. }
        | Action::Swap { key, .. }
        | Action::Cas { key, .. } => vec![*key],
        Action::Txn { steps } => {
            let keys = steps.iter().map(|step| match step {
                Step::Append { key, .. } | Step::Read { key, .. } => *key,
            });
            let mut seen = FxHashSet::default();
            keys.filter(|&key| seen.insert(key)).collect()
        }
    }
}

/// Whether a successful action observed something, and whether it changed something.
fn reads_and_writes(action: &Action) -> (bool, bool) {
    match action {
        Action::Read { .. } => (true, false),
        Action::Write { .. } => (false, true),
        Action::Swap { .. } => (true, true),
        Action::Cas { swapped, .. } => (!swapped, *swapped),
        Action::Txn { steps } => (
            steps.iter().any(|step| matches!(step, Step::Read { .. })),
            steps.iter().any(|step| matches!(step, Step::Append { .. })),
        ),
    }
}
