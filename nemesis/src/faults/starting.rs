//! A node is started, and what comes of it is judged: it serves, refuses to start, or halts.

use std::time::{Duration, Instant};

use keyquake_cluster::{Ending, NodeSpec};
use keyquake_rollout::{Outcome, Setup, Step, Tamper};

use super::outcome::{About, ended_as, log_end};
use super::{GRACE, HEAL_WITHIN, Stage};
use crate::operator::{LastWords, Remembered, Roll};
use crate::rollout::{Expect, Must, must_end};

/// How long a node that serves, and must not, may take to end.
const END_WITHIN: Duration = Duration::from_secs(15);

/// How a node is to be started.
pub(super) struct Start<'a> {
    pub(super) node: u16,
    /// What it is to be; what it was, if nothing is given.
    pub(super) spec: Option<NodeSpec>,
    pub(super) tampers: &'a [Tamper],
    /// Whether its disk is copied first.
    pub(super) saves: bool,
    /// What the plan says must come of it.
    pub(super) expect: &'a Expect,
    /// Whether it is a step of its own, whose outcome is always recorded; else it is part of
    /// another fault, and recorded where it is not simply that it serves again.
    pub(super) step: bool,
}

/// What came of a start.
pub(super) struct Started {
    pub(super) pid: u32,
    pub(super) outcome: Outcome,
    /// Whether something was expected of it, so that the outcome is judged.
    pub(super) judged: bool,
    /// Told as evidence.
    pub(super) said: String,
}

/// What was seen of a start.
struct Came {
    outcome: Outcome,
    said: String,
    /// The last words of a process that ended.
    words: Option<LastWords>,
}

impl Came {
    fn silently(outcome: Outcome, said: String) -> Self {
        let words = None;
        Came {
            outcome,
            said,
            words,
        }
    }
}

impl Start<'_> {
    /// Stops the node if it is up, does to its files what is wanted, and starts it.
    pub(super) async fn perform(&self, stage: &Stage<'_>) -> Result<Started, String> {
        let node = self.node;
        let name = stage.cluster.id(node);
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let before = stage.cluster.spec(node).await.map_err(|e| text(&e))?;
        let status = stage.cluster.status(node);
        let was = format!("{} ({status})", before.release);
        let spec = self.spec.clone().unwrap_or_else(|| before.clone());
        let step = self.step(stage, &spec)?;
        let must = stage.rollout.must(&step, self.expect);
        let members = must.iter().flat_map(|must| must.members.keys().copied());
        let judging = stage.rollout.judging(members.chain([node]));
        let mut ends = stage.log_ends().await;
        // Of its own process only what it says from now on counts.
        let own = ends.remove(&node);
        let own = own.unwrap_or_else(|| log_end(&before));
        let stopped = stage.cluster.stop(node, GRACE).await;
        stopped.map_err(|error| format!("{name} was {was}, but {error}"))?;
        let mut done = Vec::new();
        if self.saves {
            let saved = stage.operator.save(&spec);
            done.push(saved.map_err(|error| format!("{name} could not be saved: {error}"))?);
            stage.rollout.saved(node);
        }
        if !self.tampers.is_empty() {
            let from = stage.rollout.last_saved_beside(node);
            let did = stage.operator.tamper(&spec, self.tampers, from);
            done.extend(did.map_err(|error| format!("{name} was not tampered with: {error}"))?);
            stage.rollout.halted_no_more(node);
        }
        // It takes a while to read; a start that may only serve is not held up by it.
        let may_refuse = must.as_ref().is_some_and(may_refuse);
        let disk = may_refuse.then(|| stage.operator.remember(&spec));
        let begun = Instant::now();
        stage.rollout.started(node);
        let started = stage.cluster.restart(node, spec.clone()).await;
        let pid = started.map_err(|error| format!("{name} was {was}, but {error}"))?;
        let done: String = done.iter().map(|did| format!("; {did}")).collect();
        let how = match self.step {
            true => format!("{name} was {was}{done}, and was started again as pid {pid}"),
            false => format!("{name} was started again (pid {pid})"),
        };
        let Came {
            outcome,
            said,
            words,
        } = self.came(stage, must.as_ref(), begun, own).await;
        let and = match (self.step, &outcome) {
            (false, Outcome::Serves) => "and ",
            _ => "",
        };
        let said = format!("{how}, {and}{said}");
        if matches!(outcome, Outcome::Refused(_) | Outcome::Halts(_)) {
            stage.rollout.ended(node);
        }
        let mut told = vec![said];
        match outcome {
            Outcome::Halts(_) => told.extend(stage.halted(node, words.as_ref()).await),
            Outcome::Serves => stage.rollout.halted_no_more(node),
            _ => {}
        }
        if let Some(must) = &must {
            let plain = !self.step && outcome == Outcome::Serves && must.allows(&outcome);
            if !plain {
                let about = About {
                    subject: format!("start of {name}"),
                    node: Some(node),
                    expected: &must.outcomes,
                };
                stage.outcome(must, about, &outcome, &told[0]);
            }
            if let Some(disk) = disk
                && must.given(&outcome).1
                && matches!(outcome, Outcome::Refused(_))
            {
                told.push(self.unchanged(stage, must, disk));
            }
        }
        let mut others = std::collections::BTreeMap::new();
        if let Some(must) = &must {
            let (seen, words) = stage.members(must, &must.given(&outcome).0, &ends).await;
            others = seen;
            told.extend(words);
        }
        stage.observe(&step, outcome.clone(), others);
        drop(judging);
        Ok(Started {
            pid,
            outcome,
            judged: must.is_some(),
            said: told.join("; "),
        })
    }

    fn step(&self, stage: &Stage<'_>, spec: &NodeSpec) -> Result<Step, String> {
        if self.saves {
            return Ok(Step::Save { node: self.node });
        }
        let setup: Setup = stage.operator.setup(spec)?;
        Ok(Step::Start {
            node: self.node,
            setup,
            tampers: self.tampers.to_vec(),
            cloned: stage.rollout.last_saved_beside(self.node),
            // What a fault has ended was at its orderly life; what halted or was refused was not.
            was_serving: !stage.rollout.has_ended(self.node),
        })
    }

    /// Waits for what comes of it.
    async fn came(&self, stage: &Stage<'_>, must: Option<&Must>, begun: Instant, log: u64) -> Came {
        let node = self.node;
        let ready = tokio::select! {
            ready = stage.health.wait_ready(node, begun + HEAL_WITHIN) => ready,
            ending = stage.cluster.wait_exit(node) => {
                return self.ended(stage, ending.map_err(|e| e.to_string()), false, log).await;
            }
        };
        if let Err(error) = ready {
            return Came::silently(Outcome::Unknown, format!("but doesn't serve: {error}"));
        }
        let serves = format!("serves after {} ms", begun.elapsed().as_millis());
        let has_to_end = must.is_some_and(|must| must_end(&must.outcomes));
        if !has_to_end {
            return match stage.cluster.status(node) {
                status if status.is_up() => Came::silently(Outcome::Serves, serves),
                _ => {
                    let ending = stage.cluster.wait_exit(node).await;
                    self.ended(stage, ending.map_err(|e| e.to_string()), true, log)
                        .await
                }
            };
        }
        match stage.ends(node, log, Instant::now() + END_WITHIN).await {
            Ok(Some((how, words))) => {
                let line = words
                    .as_ref()
                    .map_or("it said nothing of why", |words| &words.line);
                let said = format!("served, but then {how}: {line}");
                let outcome = ended_as(words.as_ref(), true);
                Came {
                    outcome,
                    said,
                    words,
                }
            }
            Ok(None) => Came::silently(
                Outcome::Serves,
                format!("{serves}, and still {} s later", END_WITHIN.as_secs()),
            ),
            Err(error) => Came::silently(Outcome::Unknown, error),
        }
    }

    async fn ended(
        &self,
        stage: &Stage<'_>,
        ending: Result<Ending, String>,
        served: bool,
        log: u64,
    ) -> Came {
        let ending = match ending {
            Ok(ending) => ending,
            Err(error) => return Came::silently(Outcome::Unknown, error),
        };
        let words = stage.last_words(self.node, Some(log)).await;
        let line = words
            .as_ref()
            .map_or("it said nothing of why", |words| &words.line);
        let when = if served {
            "served, but then"
        } else {
            "but doesn't serve: it"
        };
        let said = format!("{when} {ending}: {line}");
        // A start that somebody else ended says nothing of the store.
        let outcome = match ending {
            Ending::Signal(_) => Outcome::Unknown,
            _ => ended_as(words.as_ref(), served),
        };
        Came {
            outcome,
            said,
            words,
        }
    }

    /// Whether a refused start has left alone what a later one reads.
    fn unchanged(
        &self,
        stage: &Stage<'_>,
        must: &Must,
        before: Result<Box<dyn Remembered>, String>,
    ) -> String {
        let changed = before.and_then(|before| Ok((before.changed()?, before.told())));
        let (outcome, evidence) = match changed {
            Ok((None, told)) => (Outcome::Unchanged, told),
            Ok((Some(how), told)) => (Outcome::Changed, format!("{how}; before it: {told}")),
            Err(error) => (Outcome::Unknown, error),
        };
        let name = stage.cluster.id(self.node);
        let about = About {
            subject: format!("disk of {name}, at the refused start"),
            node: Some(self.node),
            expected: &[Outcome::Unchanged],
        };
        stage.outcome(must, about, &outcome, &evidence);
        format!("its disk is {outcome}")
    }
}

/// Whether one of the outcomes that a start may come to is a refusal.
fn may_refuse(must: &Must) -> bool {
    let refuses = |may: &Outcome| matches!(may, Outcome::Refused(_) | Outcome::Any);
    must.outcomes.iter().any(refuses)
}

/// What a roll makes of a node.
pub(super) async fn rolled(stage: &Stage<'_>, node: u16, roll: &Roll) -> Result<NodeSpec, String> {
    let spec = stage.cluster.spec(node).await;
    stage
        .operator
        .rolled(&spec.map_err(|error| error.to_string())?, roll)
}
