//! SELF-HISTORY: the history is one: every completion has its invocation, a process has one
//! operation open at a time and none after an `info`, indices and times only grow, phases come
//! in order, and the end is there. A history without its end can show that something is broken,
//! and never that all is well.

use elle_rs::Finding;
use elle_rs::history::{Event, Kind, Phase, words};
use rustc_hash::FxHashMap;

use crate::judgement::InvariantVerdict;
use crate::run::{Run, anomalies, inconclusive, valid, violated};

const ID: &str = "SELF-HISTORY";

/// Findings told; a recorder that errs once errs a thousand times.
const TOLD: usize = 10;

pub(crate) fn judge(run: &Run<'_>) -> InvariantVerdict {
    let mut checks = Checks::default();
    for event in run.events {
        checks.event(event);
    }
    // What pairing refuses beyond that: an answer to another question.
    if let Err(error) = &run.pairs
        && checks.findings.is_empty()
    {
        checks.add("malformed", Vec::new(), error.to_string());
    }
    let events = run.events.len();
    if !checks.findings.is_empty() {
        let reason = format!(
            "{} of {events} events are out of place ({})",
            checks.found,
            anomalies(&checks.findings)
        );
        return violated(ID, reason, checks.findings);
    }
    if let Some(torn) = run.stats.torn {
        let reason = format!(
            "the file was torn: {} bytes from byte {} on were cut, so {events} events are not all; \
             what they show is well-formed",
            torn.bytes, torn.offset
        );
        return inconclusive(ID, reason);
    }
    if !run.stats.complete {
        let last = words::time(run.stats.duration_ns);
        let reason = format!(
            "the run was cut short: {events} events up to {last}, and no end; what they show is \
             well-formed"
        );
        return inconclusive(ID, reason);
    }
    valid(
        ID,
        format!("{events} events are well-formed, from beginning to end"),
    )
}

#[derive(Default)]
struct Checks {
    findings: Vec<Finding>,
    found: usize,
    /// Index and time of the event before.
    last: Option<(u64, u64)>,
    phase: Option<Phase>,
    processes: FxHashMap<u32, Process>,
}

enum Process {
    Open(u64),
    Idle,
    /// It got an `info` at this index.
    Crashed(u64),
}

impl Checks {
    fn add(&mut self, anomaly: &str, ops: Vec<u64>, explanation: String) {
        self.found += 1;
        if self.findings.len() < TOLD {
            self.findings.push(Finding {
                anomaly: anomaly.to_owned(),
                key: None,
                ops,
                explanation,
            });
        }
    }

    fn event(&mut self, event: &Event) {
        let (index, time) = (event.index(), event.time_ns());
        if let Some((last_index, last_time)) = self.last {
            if index <= last_index {
                let explanation = format!("event {index} stands after event {last_index}");
                self.add("index-order", Vec::new(), explanation);
            }
            if time < last_time {
                let explanation = format!(
                    "event {index} at {} stands after one at {}",
                    words::time(time),
                    words::time(last_time)
                );
                self.add("time-order", Vec::new(), explanation);
            }
        }
        self.last = Some((index, time));
        match event {
            Event::Op(op) if op.kind == Kind::Invoke => self.invoke(op.process, index),
            Event::Op(op) => self.complete(op.process, index, op.kind),
            Event::Phase(phase) => self.phase(phase.phase, index),
            Event::Fault(_) | Event::Exit(_) | Event::Outcome(_) | Event::Outage(_) => {}
        }
    }

    fn invoke(&mut self, process: u32, index: u64) {
        match self.processes.insert(process, Process::Open(index)) {
            Some(Process::Open(open)) => {
                let explanation = format!(
                    "process {process} began operation {index} while its operation {open} was open"
                );
                self.add("two-open", vec![open, index], explanation);
            }
            Some(Process::Crashed(info)) => {
                let explanation = format!(
                    "process {process} began operation {index} after its `info` at event {info}"
                );
                self.add("process-after-info", vec![index], explanation);
            }
            Some(Process::Idle) | None => {}
        }
    }

    fn complete(&mut self, process: u32, index: u64, kind: Kind) {
        let next = if kind == Kind::Info {
            Process::Crashed(index)
        } else {
            Process::Idle
        };
        let before = self.processes.insert(process, next);
        if !matches!(before, Some(Process::Open(_))) {
            let explanation = format!(
                "event {index} completes an operation that process {process} has not begun"
            );
            self.add("unmatched-completion", Vec::new(), explanation);
        }
    }

    fn phase(&mut self, phase: Phase, index: u64) {
        let order = |phase: Phase| phase as u8;
        if self.phase.is_some_and(|last| order(phase) <= order(last)) {
            let explanation = format!(
                "event {index} begins phase {phase:?} after phase {:?}",
                self.phase.unwrap_or(phase)
            );
            self.add("phase-order", Vec::new(), explanation);
        }
        self.phase = Some(phase);
    }
}
