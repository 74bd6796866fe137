//! A history as the invariants look at it.

use elle_rs::Finding;
use elle_rs::history::pairs::{Malformed, Outcome, Pair, pair};
use elle_rs::history::{Action, Event, Op, Phase, words};

use crate::judgement::{InvariantVerdict, Stats, Verdict};

/// The two kinds of workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    Register,
    Append,
}

impl Workload {
    pub const ALL: [Workload; 2] = [Workload::Register, Workload::Append];

    pub fn of(action: &Action) -> Workload {
        match action {
            Action::Txn { .. } => Workload::Append,
            Action::Read { .. }
            | Action::Write { .. }
            | Action::Swap { .. }
            | Action::Cas { .. } => Workload::Register,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Workload::Register => "register",
            Workload::Append => "append",
        }
    }
}

/// What every invariant may need.
pub(crate) struct Run<'a> {
    pub events: &'a [Event],
    pub stats: &'a Stats,
    /// The operations, if the history can be read as such.
    pub pairs: Result<Vec<Pair>, Malformed>,
    /// Position of the event that began the final phase.
    pub final_phase: Option<u32>,
}

/// An operation with its events.
#[derive(Clone, Copy)]
pub(crate) struct Operation<'a> {
    pub pair: Pair,
    pub asked: &'a Op,
    /// Its completion, if it was acknowledged.
    pub answer: Option<&'a Op>,
}

impl<'a> Operation<'a> {
    /// What was asked, with what came back if it was acknowledged.
    pub fn action(&self) -> &'a Action {
        &self.answer.unwrap_or(self.asked).action
    }
}

impl<'a> Run<'a> {
    pub fn new(events: &'a [Event], stats: &'a Stats) -> Self {
        let final_phase = events
            .iter()
            .position(|event| matches!(event, Event::Phase(phase) if phase.phase == Phase::Final));
        Run {
            events,
            stats,
            pairs: pair(events),
            final_phase: final_phase.map(|position| position as u32),
        }
    }

    pub fn has(&self, workload: Workload) -> bool {
        self.stats.workloads.contains_key(workload.name())
    }

    /// The operations in the order of invocation; none if the history cannot be read as such.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'a>> + '_ {
        let op = |position: u32| match self.events.get(position as usize) {
            Some(Event::Op(op)) => Some(op),
            _ => None,
        };
        self.pairs.iter().flatten().filter_map(move |&pair| {
            let answer = match pair.outcome {
                Outcome::Ok => pair.complete.and_then(op),
                Outcome::Fail | Outcome::Pending => None,
            };
            Some(Operation {
                pair,
                asked: op(pair.invoke)?,
                answer,
            })
        })
    }

    /// "write of 17 by process 3 on n2".
    pub fn words(&self, pair: &Pair) -> String {
        words::operation(self.events, pair.invoke, pair.complete)
    }

    /// Nanoseconds since the run began.
    pub fn time_at(&self, position: u32) -> u64 {
        self.events.get(position as usize).map_or(0, Event::time_ns)
    }

    /// Inconclusive, where operations cannot be paired at all.
    pub fn malformed(&self, id: &str) -> Option<InvariantVerdict> {
        let error = self.pairs.as_ref().err()?;
        Some(inconclusive(
            id,
            format!("the history is malformed (see SELF-HISTORY): {error}"),
        ))
    }
}

pub(crate) fn valid(id: &str, reason: String) -> InvariantVerdict {
    verdict(id, Verdict::Valid, reason, Vec::new())
}

pub(crate) fn inconclusive(id: &str, reason: String) -> InvariantVerdict {
    verdict(id, Verdict::Inconclusive, reason, Vec::new())
}

pub(crate) fn violated(id: &str, reason: String, findings: Vec<Finding>) -> InvariantVerdict {
    verdict(id, Verdict::Violated, reason, findings)
}

fn verdict(id: &str, verdict: Verdict, reason: String, findings: Vec<Finding>) -> InvariantVerdict {
    InvariantVerdict {
        id: id.to_owned(),
        verdict,
        reason,
        findings,
    }
}

/// The different anomalies of some findings, in their order: for a reason in one line.
pub(crate) fn anomalies(findings: &[Finding]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for finding in findings {
        if !names.contains(&finding.anomaly.as_str()) {
            names.push(&finding.anomaly);
        }
    }
    names.join(", ")
}

/// "1 key", "2 keys".
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// The first few of many, with how many more there are.
pub(crate) fn few<T: ToString>(items: &[T]) -> String {
    const SHOWN: usize = 6;
    let mut words: Vec<String> = items.iter().take(SHOWN).map(T::to_string).collect();
    if items.len() > SHOWN {
        words.push(format!("and {} more", items.len() - SHOWN));
    }
    words.join(", ")
}
