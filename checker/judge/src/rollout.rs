//! ROL-*: what came of the operator's steps, beside what must (`invariants.md`, "Rollout").
//!
//! The history says of each step what it may come to and what it came to. Whether the one meets
//! the other is decided here, again, from the words.

use elle_rs::Finding;
use elle_rs::history::{Event, OutcomeEvent, words};
use keyquake_rollout::Outcome;

use crate::judgement::InvariantVerdict;
use crate::run::{Run, count, inconclusive, valid, violated};

/// Judged with what else it is about, in [`crate::restart`].
pub(crate) const RESTART: &str = "ROL-RESTART";

/// One verdict per invariant that some step was about, in the order they came.
pub(crate) fn judge(run: &Run<'_>) -> Vec<InvariantVerdict> {
    let mut ids: Vec<&str> = Vec::new();
    for event in outcomes(run) {
        let id = event.invariant.as_str();
        if id != RESTART && !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids.into_iter().map(|id| one(run, id)).collect()
}

fn one(run: &Run<'_>, id: &str) -> InvariantVerdict {
    let tally = Tally::of(run, id);
    let outcomes = count(tally.met + tally.untold + tally.findings.len(), "outcome");
    match (tally.findings.len(), tally.untold) {
        (0, 0) => valid(
            id,
            format!("{outcomes}, each one that may be: {}", tally.words()),
        ),
        (0, untold) => inconclusive(
            id,
            format!("of {outcomes}, {untold} could not be told; see the faults"),
        ),
        (unmet, _) => {
            let reason = format!("{unmet} of {outcomes} other than they must be");
            violated(id, reason, tally.findings)
        }
    }
}

pub(crate) fn outcomes<'a>(run: &Run<'a>) -> impl Iterator<Item = &'a OutcomeEvent> + use<'a> {
    run.events.iter().filter_map(|event| match event {
        Event::Outcome(outcome) => Some(outcome),
        _ => None,
    })
}

/// The outcomes that one invariant is about.
#[derive(Default)]
pub(crate) struct Tally {
    /// As they must be.
    pub met: usize,
    /// Nobody can tell.
    pub untold: usize,
    /// Other than they must be.
    pub findings: Vec<Finding>,
    seen: Vec<(String, usize)>,
}

impl Tally {
    pub(crate) fn of(run: &Run<'_>, id: &str) -> Tally {
        let mut tally = Tally::default();
        for event in outcomes(run).filter(|event| event.invariant == id) {
            match meets(event) {
                Some(true) => {
                    tally.met += 1;
                    tally.count(&event.observed);
                }
                Some(false) => tally.findings.push(unexpected(event)),
                None => tally.untold += 1,
            }
        }
        tally
    }

    fn count(&mut self, observed: &str) {
        match self.seen.iter_mut().find(|(word, _)| word == observed) {
            Some((_, times)) => *times += 1,
            None => self.seen.push((observed.to_owned(), 1)),
        }
    }

    /// "3 serves, 1 refused ErrKEKMismatch".
    fn words(&self) -> String {
        let word = |(word, times): &(String, usize)| format!("{times} {word}");
        self.seen.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}

/// Whether what came of a step is other than it may be.
pub fn is_unmet(event: &OutcomeEvent) -> bool {
    meets(event) == Some(false)
}

/// Whether it came to what it may; `None` where what came of it is not known.
fn meets(event: &OutcomeEvent) -> Option<bool> {
    let expected: Result<Vec<Outcome>, _> =
        event.expected.iter().map(|word| word.parse()).collect();
    let (expected, observed) = (expected.ok()?, event.observed.parse::<Outcome>().ok()?);
    if observed != Outcome::Unknown && expected.iter().any(|word| word.allows(&observed)) {
        return Some(true);
    }
    match observed {
        Outcome::Unknown | Outcome::Indeterminate | Outcome::Failed | Outcome::Any => None,
        _ => Some(false),
    }
}

fn unexpected(event: &OutcomeEvent) -> Finding {
    Finding {
        anomaly: "unexpected-outcome".to_owned(),
        key: None,
        ops: Vec::new(),
        explanation: format!(
            "at {}, step {} of the plan, {}: {}, and must be {} ({}); {}",
            words::time(event.time_ns),
            event.fault,
            event.subject,
            event.observed,
            event.expected.join(" or "),
            event.because,
            event.evidence
        ),
    }
}
