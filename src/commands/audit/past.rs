//! From what a run collected, and what its history says of calls and tampering, to the past that
//! the auditor judges.

use std::collections::BTreeMap;

use elle_rs::history::{Event, FaultStep, OutcomeEvent};
use keyquake_audit::{
    AnswerSeen, CallKind, CallMade, DiskCopy, Load, NodeDisks, Past, SidecarSeen,
};
use keyquake_nemesis::{Call, Details, MemberChange, Outcome, Release, Send, Tamper};
use keyquake_results::{EvidenceIndex, RunFolder, RunInfo};

use crate::plan::Plan;

/// What was collected of a run. `name` gives a node's id in its Raft group by its own.
pub fn of_run(
    run: &RunFolder,
    index: &EvidenceIndex,
    plan: &Plan,
    events: &[Event],
    name: impl Fn(&str) -> String,
) -> Past {
    let path = |below: &String| run.path().join(below);
    let mut past = Past {
        lost: index.lost.clone(),
        tampered: tampered(plan, events, &name),
        calls: calls(plan, events),
        ..Past::default()
    };
    if !index.complete {
        past.lost
            .push("the run was cut off while it collected".to_owned());
    }
    if let Ok(info) = run.read_run() {
        past.calls.splice(0..0, before_the_workloads(&info));
    }
    for collection in &index.collections {
        for copy in &collection.nodes {
            let folder = path(&copy.folder);
            past.copies.push(DiskCopy {
                time_ns: copy.time_ns,
                disks: NodeDisks {
                    name: copy.raft_id.clone(),
                    data_dir: folder.join("data").join(&copy.raft_id),
                    sidecar: Some(folder.join("keys/sidecar.json")),
                    logs: Vec::new(),
                },
                deleted: Some(folder.join("deleted")).filter(|deleted| deleted.is_dir()),
                down: copy.stood == "down",
            });
        }
        past.answers
            .extend(collection.answers.iter().map(|answer| AnswerSeen {
                node: name(&answer.node),
                file: path(&answer.file),
            }));
    }
    past.sidecars = index
        .sidecars
        .iter()
        .map(|state| SidecarSeen {
            node: name(&state.node),
            time_ns: state.time_ns,
            not_yet_ns: state.not_yet_ns,
            file: state.file.as_ref().map(path),
        })
        .collect();
    past.loads = index
        .loads
        .iter()
        .map(|load| {
            let release = load.release.parse::<Release>();
            let early = release.is_ok_and(|release| release <= Release::R6A);
            Load {
                node: name(&load.node),
                early,
                inert: early || !load.capable,
                rotates_on_startup: load.rotates_on_startup,
                begun_ns: load.begun_ns,
            }
        })
        .collect();
    past
}

/// The nodes that a plan tampers with, and since when.
fn tampered(
    plan: &Plan,
    events: &[Event],
    name: &impl Fn(&str) -> String,
) -> BTreeMap<String, u64> {
    let mut since = BTreeMap::new();
    for event in events {
        let Event::Fault(fault) = event else { continue };
        let planned = plan.faults.get(fault.fault as usize);
        let tampers = planned.is_some_and(|planned| match &planned.details {
            // Its disk is wiped.
            Details::Member(MemberChange::Replace, _) => true,
            Details::Roll(roll) | Details::Member(_, roll) => {
                roll.tampers.iter().any(|one| *one != Tamper::Undone)
            }
            _ => false,
        });
        if tampers && fault.step == FaultStep::Armed {
            for node in &fault.nodes {
                let node = name(&keyquake_cluster::node_name(*node));
                since.entry(node).or_insert(fault.time_ns);
            }
        }
    }
    since
}

/// The changes of keys that a run made before its workloads.
fn before_the_workloads(info: &RunInfo) -> Vec<CallMade> {
    let steps = info.encryption.iter().flat_map(|about| &about.steps);
    let made = steps.filter_map(|step| {
        Some(CallMade {
            kind: kind(step.change.parse().ok()?)?,
            time_ns: 0,
            accepted: true,
            must_change: true,
            entries_max: 1,
            index: Some(step.applied_index),
        })
    });
    made.collect()
}

/// The calls that the history tells of.
fn calls(plan: &Plan, events: &[Event]) -> Vec<CallMade> {
    let mut calls = Vec::new();
    for (number, planned) in plan.faults.iter().enumerate() {
        let Details::Admin(request) = &planned.details else {
            continue;
        };
        let Some(kind) = kind(request.call) else {
            continue;
        };
        let sends = match request.send.to_string().as_str() {
            "twice" | "concurrent" => 2,
            _ => 1,
        };
        let number = number as u32;
        let is_armed = events.iter().any(|event| {
            matches!(event, Event::Fault(fault) if fault.fault == number && fault.step == FaultStep::Armed)
        });
        if !is_armed {
            continue;
        }
        let answer = answer(events, number);
        let observed = answer.and_then(|answer| answer.observed.parse::<Outcome>().ok());
        let accepted = observed == Some(Outcome::Accepted);
        calls.push(CallMade {
            kind,
            time_ns: answer.map_or(0, |answer| answer.time_ns),
            accepted,
            must_change: matches!(kind, CallKind::RotateStorage | CallKind::RotateRaft)
                && request.send != Send::Late,
            entries_max: match observed {
                Some(Outcome::Refused(_)) if sends == 1 => 0,
                _ => sends,
            },
            index: answer
                .filter(|_| accepted)
                .and_then(|answer| index_in(&answer.evidence)),
        });
    }
    calls
}

/// What the call of a step came to, where it was set beside what it must.
fn answer(events: &[Event], number: u32) -> Option<&OutcomeEvent> {
    events.iter().find_map(|event| match event {
        Event::Outcome(outcome) if is_answer(outcome, number) => Some(outcome),
        _ => None,
    })
}

/// Whether a call that took its course was accepted: to be refused may be its course too.
pub fn was_accepted(events: &[Event], number: u32) -> bool {
    let observed = answer(events, number).map(|answer| answer.observed.parse::<Outcome>());
    observed.is_none_or(|observed| observed == Ok(Outcome::Accepted))
}

/// Whether this is what a call itself came to, rather than a node because of it.
fn is_answer(outcome: &OutcomeEvent, number: u32) -> bool {
    outcome.fault == number && outcome.node.is_none() && !outcome.subject.starts_with("keys, ")
}

/// The log index that an answer names.
fn index_in(said: &str) -> Option<u64> {
    let (_, behind) = said.split_once(" index ")?;
    let digits = behind.split(|letter: char| !letter.is_ascii_digit()).next();
    digits?.parse().ok()
}

fn kind(call: Call) -> Option<CallKind> {
    Some(match call {
        Call::Bootstrap => CallKind::Bootstrap,
        Call::EnableStorageEnvelope => CallKind::EnableStorage,
        Call::EnableRaftEnvelope => CallKind::EnableRaft,
        Call::RotateStorage => CallKind::RotateStorage,
        Call::RotateRaft => CallKind::RotateRaft,
        Call::RegisterWriter | Call::Resync => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_of_an_answer_is_read() {
        assert_eq!(
            index_in("rotate-storage accepted at index 812 on n2"),
            Some(812)
        );
        assert_eq!(index_in("accepted without one"), None);
    }
}
