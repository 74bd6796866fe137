//! ROL-RESTART: nodes stay up unless a fault ends them, and a killed node, started again with
//! the same flags, serves.

use elle_rs::Finding;
use elle_rs::history::{Event, FaultStep, words};

use crate::judgement::InvariantVerdict;
use crate::rollout::{RESTART as ID, Tally};
use crate::run::{Run, count, inconclusive, valid, violated};

/// The faults that end a node, or may, and start it again.
const ENDS: [&str; 3] = ["kill", "restart", "crash-loop"];

pub(crate) fn judge(run: &Run<'_>) -> Option<InvariantVerdict> {
    if run.events.is_empty() {
        return None;
    }
    let started = Tally::of(run, ID);
    let mut findings = started.findings;
    let mut restarts = started.met;
    for event in run.events {
        match event {
            Event::Exit(exit) => findings.push(finding(
                "exit",
                format!(
                    "{} {} at {}, and no fault had killed it; its log says why",
                    words::node(exit.node),
                    exit.ending,
                    words::time(exit.time_ns)
                ),
            )),
            Event::Fault(fault) if ENDS.contains(&fault.name.as_str()) => match fault.step {
                FaultStep::Healed => restarts += 1,
                FaultStep::HealFailed => findings.push(finding(
                    "failed-restart",
                    format!(
                        "after {} (fault {}) the node did not come back by {}: {}",
                        fault.name,
                        fault.fault,
                        words::time(fault.time_ns),
                        fault.evidence
                    ),
                )),
                FaultStep::Armed | FaultStep::Effective | FaultStep::Ineffective => {}
            },
            _ => {}
        }
    }
    Some(match findings.len() {
        0 if started.untold > 0 => inconclusive(
            ID,
            format!(
                "what became of {} could not be told",
                count(started.untold, "restart")
            ),
        ),
        0 => valid(
            ID,
            format!(
                "no node ended by itself; {} served",
                count(restarts, "restart")
            ),
        ),
        n => violated(
            ID,
            format!(
                "{}, beside {} that served",
                count(n, "failure"),
                count(restarts, "restart")
            ),
            findings,
        ),
    })
}

fn finding(anomaly: &str, explanation: String) -> Finding {
    Finding {
        anomaly: anomaly.to_owned(),
        key: None,
        ops: Vec::new(),
        explanation,
    }
}
