//! How long it took until the evidence of a finding was there, on the history's clock.
//!
//! A finding of operations is there when the last of them is complete; one of an operator's step when
//! what came of it was recorded; one of a process when it ended. What only the disks show is found
//! by the audit at the end, and that nothing succeeds only once the bound has gone by: then it is the
//! whole run's time that counts. That something is lost shows once all is read back.

use std::collections::BTreeMap;

use elle_rs::Finding;
use elle_rs::history::pairs::pair;
use elle_rs::history::{Event, FaultStep, Phase};
use keyquake_judge::{InvariantVerdict, is_unmet};

const RESTART: &str = "ROL-RESTART";
const DURABLE: &str = "DUR";
/// A finding about what did not happen: its operations are not its evidence.
const ABSENCE: &str = "unavailable";

/// Seconds from the start of the workloads to the first evidence; `None` if the history has none.
pub fn seconds(events: &[Event], broken: &InvariantVerdict) -> Option<f64> {
    let began = phase(events, Phase::Main)?;
    if broken.id == DURABLE {
        let read_back = phase(events, Phase::End)?;
        return Some(read_back.saturating_sub(began) as f64 / 1e9);
    }
    let ends = ends(events);
    let present = broken.findings.iter().filter(|one| one.anomaly != ABSENCE);
    let of_operations = present.filter_map(|one| complete(one, &ends));
    let of_steps = events.iter().filter_map(|event| match event {
        Event::Outcome(outcome) if outcome.invariant == broken.id && is_unmet(outcome) => {
            Some(outcome.time_ns)
        }
        Event::Exit(exit) if broken.id == RESTART => Some(exit.time_ns),
        Event::Fault(fault) if broken.id == RESTART && fault.step == FaultStep::HealFailed => {
            Some(fault.time_ns)
        }
        _ => None,
    });
    let first = of_operations.chain(of_steps).min()?;
    Some(first.saturating_sub(began) as f64 / 1e9)
}

/// When a phase began.
fn phase(events: &[Event], wanted: Phase) -> Option<u64> {
    events.iter().find_map(|event| match event {
        Event::Phase(phase) if phase.phase == wanted => Some(phase.time_ns),
        _ => None,
    })
}

/// When the last of a finding's operations was complete.
fn complete(finding: &Finding, ends: &BTreeMap<u64, u64>) -> Option<u64> {
    finding
        .ops
        .iter()
        .filter_map(|op| ends.get(op).copied())
        .max()
}

/// When each operation was complete, or was begun if it never was, by the index of its invocation.
fn ends(events: &[Event]) -> BTreeMap<u64, u64> {
    let pairs = pair(events).unwrap_or_default();
    let at = |position: u32| events.get(position as usize);
    let ends = pairs.iter().filter_map(|pair| {
        let last = pair.complete.unwrap_or(pair.invoke);
        Some((at(pair.invoke)?.index(), at(last)?.time_ns()))
    });
    ends.collect()
}

#[cfg(test)]
mod tests {
    use elle_rs::history::{Action, Kind, Op, OutcomeEvent, PhaseEvent};
    use keyquake_judge::Verdict;

    use super::*;

    /// A history whose workloads begin at 1 s: an operation from 2 s to 3 s, a step that came to
    /// something else at 5 s, all read back at 9 s.
    fn events() -> Vec<Event> {
        let phase = |index, second: u64, phase| {
            let time_ns = second * 1_000_000_000;
            Event::Phase(PhaseEvent {
                index,
                time_ns,
                phase,
            })
        };
        let op = |index, second: u64, kind| {
            let action = Action::Read {
                key: 1,
                value: None,
            };
            Event::Op(Op {
                index,
                time_ns: second * 1_000_000_000,
                process: 1,
                kind,
                action,
                node: None,
                error: None,
            })
        };
        let outcome = Event::Outcome(OutcomeEvent {
            index: 4,
            time_ns: 5_000_000_000,
            fault: 0,
            invariant: "ROL-GATE".to_owned(),
            subject: String::new(),
            node: None,
            expected: vec!["refused".to_owned()],
            because: String::new(),
            observed: "accepted".to_owned(),
            evidence: String::new(),
        });
        vec![
            phase(0, 1, Phase::Main),
            op(1, 2, Kind::Invoke),
            op(3, 3, Kind::Ok),
            outcome,
            phase(5, 9, Phase::End),
        ]
    }

    fn found(id: &str, anomaly: &str, ops: &[u64]) -> Option<f64> {
        let finding = Finding {
            anomaly: anomaly.to_owned(),
            key: None,
            ops: ops.to_vec(),
            explanation: String::new(),
        };
        let broken = InvariantVerdict {
            id: id.to_owned(),
            verdict: Verdict::Violated,
            reason: String::new(),
            findings: vec![finding],
        };
        seconds(&events(), &broken)
    }

    #[test]
    fn a_finding_is_there_with_the_last_of_its_evidence() {
        assert_eq!(found("LIN", "stale-read", &[1]), Some(2.0));
        assert_eq!(found("ROL-GATE", "unexpected-outcome", &[]), Some(4.0));
        assert_eq!(found("DUR", "lost-append", &[1]), Some(8.0));
        // What only the disks show, and what did not happen, is not in the history.
        assert_eq!(found("ENC-OPEN", "moved", &[]), None);
        assert_eq!(found("AVAIL", "unavailable", &[1]), None);
        assert_eq!(found("ROL-HALT", "unexpected-outcome", &[]), None);
    }
}
