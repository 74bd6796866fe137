//! ROL-RESTART: nodes stay up unless a fault ends them, and a killed node, started again with
//! the same flags, serves.

use elle_rs::Finding;
use elle_rs::history::{Event, FaultStep, words};

use crate::judgement::InvariantVerdict;
use crate::rollout::{RESTART as ID, Tally};
use crate::run::{Run, count, inconclusive, valid, violated};

/// The faults that end a node and start it again.
const ENDS: [&str; 3] = ["kill", "restart", "crash-loop"];
/// The faults that may; their nodes have to serve again, too.
const MAY_END: [&str; 1] = ["memory-limit"];

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
            Event::Fault(fault) => match fault.step {
                FaultStep::Healed if ENDS.contains(&fault.name.as_str()) => restarts += 1,
                FaultStep::HealFailed
                    if ENDS.iter().chain(&MAY_END).any(|name| *name == fault.name) =>
                {
                    findings.push(finding(
                        "failed-restart",
                        format!(
                            "after {} (fault {}) the node did not come back by {}: {}",
                            fault.name,
                            fault.fault,
                            words::time(fault.time_ns),
                            fault.evidence
                        ),
                    ))
                }
                _ => {}
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
