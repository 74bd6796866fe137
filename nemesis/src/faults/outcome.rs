//! What steps have in common: what came of them is seen, set beside what must, and recorded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use keyquake_cluster::NodeSpec;
use keyquake_rollout::{Outcome, Seen, Step};

use super::Stage;
use crate::operator::LastWords;
use crate::record::OutcomeRecord;
use crate::rollout::{Members, Must, Turn, must_end};

/// The invariant of members that can't apply what is committed.
pub(super) const HALT: &str = "ROL-HALT";
/// How long a member that must halt may take to end.
const HALT_WITHIN: Duration = Duration::from_secs(15);
/// How long a member that may halt is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// How often a log is read meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How long a process that has halted may take to end.
const ZOMBIE_AFTER: Duration = Duration::from_secs(3);
/// How long the last words of a process may take to reach its log.
const WORDS_WITHIN: Duration = Duration::from_millis(700);

impl Stage<'_> {
    /// Puts into the history what came of something.
    pub(super) fn outcome(&self, must: &Must, about: About, observed: &Outcome, evidence: &str) {
        self.sink.outcome(OutcomeRecord {
            fault: self.fault,
            invariant: must.invariant.clone(),
            subject: about.subject,
            node: about.node,
            expected: about.expected.iter().map(Outcome::to_string).collect(),
            because: must.because.clone(),
            observed: observed.to_string(),
            evidence: evidence.to_owned(),
        });
    }

    /// Tells the model what came of a step, and the history if the cluster can't serve any more.
    pub(super) fn observe(&self, step: &Step, outcome: Outcome, members: BTreeMap<u16, Outcome>) {
        let seen = Seen { outcome, members };
        match self.rollout.observe(step, &seen) {
            Some(Turn::Begins) => self.sink.outage(
                true,
                "no majority can apply what is committed, by the tables of the rollout".to_owned(),
            ),
            Some(Turn::Ends) => self
                .sink
                .outage(false, "a majority can apply again".to_owned()),
            None => {}
        }
    }

    /// Tells the model that a node was ended by a fault.
    pub(super) fn went_down(&self, node: u16) {
        self.observe(&Step::Down { node }, Outcome::Accepted, BTreeMap::new());
    }

    /// Waits for what becomes of members because of a step, and records it. `from` is where their
    /// logs ended before it.
    pub(super) async fn members(
        &self,
        must: &Must,
        given: &Members,
        from: &BTreeMap<u16, u64>,
    ) -> (BTreeMap<u16, Outcome>, Vec<String>) {
        let mut seen = BTreeMap::new();
        let mut told = Vec::new();
        let begun = Instant::now();
        for (&node, may) in given {
            // What is down already can't end, and what must come of it is its next start's matter.
            if !from.contains_key(&node) {
                continue;
            }
            let (name, has_to) = (self.cluster.id(node), must_end(may));
            let until = begun + if has_to { HALT_WITHIN } else { LOOK };
            let log = from.get(&node).copied().unwrap_or(0);
            let mut last = None;
            let (observed, evidence) = match self.ends(node, log, until).await {
                Ok(Some((how, words))) => {
                    let said = words
                        .as_ref()
                        .map_or("it said nothing of why", |words| &words.line);
                    let observed = ended_as(words.as_ref(), true);
                    let evidence = format!("{name} {how}: {said}");
                    last = words;
                    (observed, evidence)
                }
                Err(error) => (Outcome::Unknown, error),
                Ok(None) if !has_to => continue,
                Ok(None) => (
                    Outcome::Serves,
                    format!("{name} was still up {} s later", HALT_WITHIN.as_secs()),
                ),
            };
            if matches!(observed, Outcome::Halts(_)) {
                self.rollout.ended(node);
            }
            let about = About {
                subject: format!("{name}, because of it"),
                node: Some(node),
                expected: may,
            };
            // Whatever the step was about, what becomes of a member is that invariant's matter.
            let halting = Must {
                invariant: HALT.to_owned(),
                ..must.clone()
            };
            self.outcome(&halting, about, &observed, &evidence);
            told.push(evidence);
            if matches!(observed, Outcome::Halts(_)) {
                told.extend(self.halted(node, last.as_ref()).await);
            }
            seen.insert(node, observed);
        }
        (seen, told)
    }

    /// Waits until a node ends, or says that it has halted: builds there were stay up as they halt,
    /// and apply nothing more. `None` if it did neither.
    pub(super) async fn ends(
        &self,
        node: u16,
        log: u64,
        until: Instant,
    ) -> Result<Option<(String, Option<LastWords>)>, String> {
        let mut exit = std::pin::pin!(self.cluster.wait_exit(node));
        loop {
            let look = until.min(Instant::now() + LOOK_AGAIN);
            match tokio::time::timeout_at(look.into(), &mut exit).await {
                Ok(Ok(ending)) => {
                    let words = self.last_words(node, Some(log)).await;
                    return Ok(Some((ending.to_string(), words)));
                }
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) => {}
            }
            let spec = self.cluster.spec(node).await;
            let spec = spec.map_err(|error| error.to_string())?;
            let words = self.operator.last_words(&spec, log);
            // What halts and is about to end gets the time to.
            if let Some(words) = words.filter(|words| words.halted) {
                let grace = Instant::now() + ZOMBIE_AFTER;
                return Ok(Some(
                    match tokio::time::timeout_at(grace.into(), &mut exit).await {
                        Ok(Ok(ending)) => (ending.to_string(), Some(words)),
                        _ => (
                            "has halted, and its process stays up".to_owned(),
                            Some(words),
                        ),
                    },
                ));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
        }
    }

    /// Why a node's process ended by itself. What it wrote last may still be on its way.
    pub(super) async fn last_words(&self, node: u16, from: Option<u64>) -> Option<LastWords> {
        let spec = self.cluster.spec(node).await.ok()?;
        let deadline = Instant::now() + WORDS_WITHIN;
        loop {
            let words = self.operator.last_words(&spec, from.unwrap_or(0));
            let named = words.as_ref().is_some_and(|words| words.name.is_some());
            if named || Instant::now() >= deadline {
                return words;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where the log of each node that is up ends now.
    pub(super) async fn log_ends(&self) -> BTreeMap<u16, u64> {
        let mut ends = BTreeMap::new();
        for node in self.members_now() {
            if let Ok(spec) = self.cluster.spec(node).await {
                ends.insert(node, log_end(&spec));
            }
        }
        ends
    }
}

/// Where a node's log ends now, in bytes.
pub(super) fn log_end(spec: &NodeSpec) -> u64 {
    let file = spec.log_dir.join(format!("{}.log", spec.id));
    std::fs::metadata(file).map_or(0, |log| log.len())
}

/// What an outcome is about.
pub(super) struct About<'a> {
    pub(super) subject: String,
    pub(super) node: Option<u16>,
    pub(super) expected: &'a [Outcome],
}

/// How a process ended by itself: at an entry after it had served, or before it served.
pub(super) fn ended_as(words: Option<&LastWords>, served: bool) -> Outcome {
    let name = words.and_then(|words| words.name.clone());
    if words.map_or(served, |words| words.halted) {
        Outcome::Halts(name)
    } else {
        Outcome::Refused(name)
    }
}
