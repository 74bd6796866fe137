//! `admin`: a call of the store's encryption administration. A step: it stays.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use keyquake_rollout::{Outcome, Step};

use super::outcome::About;
use super::reach::Reach;
use super::{Fault, Stage, is_one_node};
use crate::active::ActiveFault;
use crate::catalogue::{FaultInfo, FaultName};
use crate::in_flight::InFlight;
use crate::operator::{Answer, CallRequest, KeyState};
use crate::rollout::{Expect, Must};
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::Admin,
    does: "makes a call of the encryption administration on the leader or on a node: bootstrap, enable-storage-envelope, enable-raft-envelope, rotate-storage, rotate-raft, register-writer or resync; once, twice, concurrently, late, or with the client's deadline cut short; it stays",
    needs: "a plan that names it",
    proves: "the store's answer: accepted at a log index, and shown by a majority of the nodes in their own key state; or refused by name, with nobody's keys changed; with a fault `during` it, that it was sent",
    nodes_min: 1,
    needs_links: false,
    step: true,
};

/// Between a refusal and the look at what it may have changed.
const SETTLE: Duration = Duration::from_millis(300);
/// Until a node that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);

pub(crate) struct Admin {
    /// Who gets it.
    nodes: Vec<u16>,
    /// Whether the plan names the node, rather than whoever leads.
    named: bool,
    request: CallRequest,
    expect: Expect,
    flight: InFlight,
    /// Whether a fault is to hit it: then its answer may be lost.
    hit: bool,
    came: Came,
}

/// What came of the call.
enum Came {
    Nothing,
    Accepted(u64),
    /// Refused, or accepted without an index: as it must be.
    Settled(String),
    Lost,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    match target {
        target if is_one_node(target) => Ok(()),
        _ => Err("\"leader\" (which may be left out), \"follower\" or one node"),
    }
}

impl Admin {
    pub(crate) fn new(
        nodes: Vec<u16>,
        target: &Target,
        request: CallRequest,
        expect: Expect,
        flight: Option<InFlight>,
    ) -> Self {
        Self {
            nodes,
            named: *target != Target::Leader,
            request,
            expect,
            hit: flight.is_some(),
            flight: flight.unwrap_or_default(),
            came: Came::Nothing,
        }
    }

    async fn step(&self, stage: &Stage<'_>, reach: &Reach) -> Step {
        let at = self.nodes.first().copied().unwrap_or_default();
        Step::Call {
            call: self.request.call,
            at,
            // A node that is named may lead all the same.
            leads: !self.named || stage.leader.leader().await == Some(at),
            send: self.request.send,
            epoch: self.request.epoch,
            disturbed: self.hit || self.request.deadline.is_some() || stage.is_disturbed(),
            unreachable: reach.away_from(at),
        }
    }

    /// Sends it, and records what comes of it.
    async fn send(
        &self,
        stage: &Stage<'_>,
        must: &Must,
        step: &Step,
        reach: &Reach,
    ) -> (Answer, String) {
        let judging = stage.rollout.judging(must.members.keys().copied());
        let (ends, before) = (stage.log_ends().await, keys(stage).await);
        for keys in before.values() {
            stage.rollout.saw_keys(keys);
        }
        let answer = self.call(stage).await;
        let later = match must.allows(&answer.outcome) {
            true => None,
            false => self.meanwhile(stage, step, reach, &answer.outcome).await,
        };
        let (must, step) = later.as_ref().map_or((must, step), |(m, s)| (m, s));
        let about = About {
            subject: self.subject(stage),
            node: None,
            expected: &must.outcomes,
        };
        stage.outcome(must, about, &answer.outcome, &answer.said);
        let mut told = vec![answer.said.clone()];
        let (members, unchanged) = must.given(&answer.outcome);
        if unchanged && matches!(answer.outcome, Outcome::Refused(_)) {
            told.push(self.unchanged(stage, must, before).await);
        }
        let (members, words) = stage.members(must, &members, &ends).await;
        told.extend(words);
        stage.observe(step, answer.outcome.clone(), members);
        drop(judging);
        (answer, told.join("; "))
    }

    /// What must come of it on the cluster as it is now, if that explains the outcome.
    async fn meanwhile(
        &self,
        stage: &Stage<'_>,
        step: &Step,
        before: &Reach,
        outcome: &Outcome,
    ) -> Option<(Must, Step)> {
        let leader = match self.named {
            true => None,
            false => stage.leader.leader().await,
        };
        let now = stage.reach();
        // Who was there before may have gone after it was asked.
        let away = |at: u16| {
            let mut away = before.away_from(at);
            away.retain(|node| now.away_from(at).contains(node));
            away
        };
        stage
            .rollout
            .meanwhile(step, &self.expect, outcome, leader, away)
    }

    fn subject(&self, stage: &Stage<'_>) -> String {
        match self.nodes.first() {
            Some(&node) => format!("{} at {}", self.request, stage.cluster.id(node)),
            None => self.request.to_string(),
        }
    }

    async fn call(&self, stage: &Stage<'_>) -> Answer {
        let at = self.nodes.first().copied().filter(|_| self.named);
        let answer = stage.operator.call(&self.request, at, &self.flight).await;
        self.flight.over();
        answer
    }

    /// Whether a refused call has left everybody's keys alone.
    async fn unchanged(
        &self,
        stage: &Stage<'_>,
        must: &Must,
        before: BTreeMap<u16, KeyState>,
    ) -> String {
        tokio::time::sleep(SETTLE).await;
        let mut after = keys(stage).await;
        let silent = |after: &BTreeMap<u16, KeyState>| {
            let reach = stage.reach();
            let gone = |node: &&u16| reach.runs(**node) && !after.contains_key(*node);
            before.keys().find(gone).copied()
        };
        // One that is busy answers a little later.
        if silent(&after).is_some() {
            tokio::time::sleep(AGAIN).await;
            after = keys(stage).await;
        }
        let names = |node: u16| stage.cluster.id(node).to_owned();
        let (outcome, evidence) = match (changed(&before, &after), silent(&after)) {
            (Some((node, is)), _) => {
                let was = before.get(&node);
                let was = was.map_or_else(|| "no keys".to_owned(), KeyState::to_string);
                (
                    Outcome::Changed,
                    format!("{}: {was}; then {is}", names(node)),
                )
            }
            (None, Some(node)) => (
                Outcome::Unknown,
                format!("{} showed its keys before, and none after", names(node)),
            ),
            // Nodes without keys say nothing of them, and then there is nothing to change.
            (None, None) => (
                Outcome::Unchanged,
                format!("{} nodes show the keys they showed before", before.len()),
            ),
        };
        let about = About {
            subject: format!("keys, after {} was refused", self.request),
            node: None,
            expected: &[Outcome::Unchanged],
        };
        stage.outcome(must, about, &outcome, &evidence);
        format!("keys are {outcome}")
    }
}

/// A node that shows keys after a refusal that nobody showed before it. One that was behind may
/// have come to what others had already.
fn changed(
    before: &BTreeMap<u16, KeyState>,
    after: &BTreeMap<u16, KeyState>,
) -> Option<(u16, KeyState)> {
    let known = |keys: &KeyState| before.values().any(|was| was == keys);
    let new = after.iter().find(|(_, keys)| !known(keys))?;
    Some((*new.0, *new.1))
}

/// What the nodes that answer say of their keys; the others are left out.
async fn keys(stage: &Stage<'_>) -> BTreeMap<u16, KeyState> {
    let (mut all, reach) = (BTreeMap::new(), stage.reach());
    for node in 0..stage.cluster.node_count() {
        if reach.runs(node)
            && let Some(keys) = stage.operator.keys(node).await
        {
            all.insert(node, keys);
        }
    }
    all
}

#[async_trait]
impl Fault for Admin {
    fn nodes(&self) -> Vec<u16> {
        self.nodes.clone()
    }

    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let reach = stage.reach();
        let step = self.step(stage, &reach).await;
        let (answer, told, judged) = match stage.rollout.must(&step, &self.expect) {
            Some(must) => {
                let (answer, told) = self.send(stage, &must, &step, &reach).await;
                (answer, told, true)
            }
            None => {
                let answer = self.call(stage).await;
                let told = answer.said.clone();
                (answer, told, false)
            }
        };
        let call = &self.request;
        match (answer.outcome, answer.index) {
            (Outcome::Accepted, Some(index)) => {
                self.came = Came::Accepted(index);
                Ok(format!("{call} was accepted: {told}"))
            }
            (Outcome::Indeterminate, _) if self.hit || self.request.deadline.is_some() => {
                self.came = Came::Lost;
                Ok(format!("{call} was sent, and its answer was lost: {told}"))
            }
            (outcome @ (Outcome::Accepted | Outcome::Refused(_)), _) if judged => {
                self.came = Came::Settled(outcome.to_string());
                Ok(format!("{call}: {outcome}: {told}"))
            }
            _ => Err(format!("{call} was not done: {told}")),
        }
    }

    async fn check(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        match &self.came {
            Came::Accepted(index) if stage.rollout.majority_applies() => {
                stage.operator.applied(*index, &who_can_apply(stage)).await
            }
            Came::Accepted(index) => Ok(format!("no majority can apply index {index}, by design")),
            Came::Settled(outcome) => Ok(format!("it was {outcome}")),
            Came::Lost => Ok("it may have been committed".to_owned()),
            Came::Nothing => Err(format!("{} was not accepted", self.request)),
        }
    }

    async fn heal(&mut self, _: &Stage<'_>) -> Result<String, String> {
        Ok("nothing to undo: keys only ever go forward".to_owned())
    }
}

/// The nodes that are up and not paused by a fault: such a one would be waited for in vain.
fn who_can_apply(stage: &Stage<'_>) -> Vec<u16> {
    let paused = |fault: &ActiveFault| fault.name == FaultName::Pause;
    let paused: Vec<_> = stage.others().filter(paused).collect();
    let mut nodes = stage.members_now();
    nodes.retain(|node| !paused.iter().any(|fault| fault.nodes.contains(node)));
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(keys: &[(u16, u32)]) -> BTreeMap<u16, KeyState> {
        let state = |&(node, storage_key): &(u16, u32)| {
            let state = KeyState {
                storage_key,
                ..KeyState::default()
            };
            (node, state)
        };
        keys.iter().map(state).collect()
    }

    #[test]
    fn keys_that_nobody_had_before_are_a_change() {
        let before = shown(&[(0, 7), (1, 7), (2, 5)]);
        let node = |after: &[(u16, u32)]| changed(&before, &shown(after)).map(|(node, _)| node);
        assert_eq!(node(&[(0, 7), (1, 7), (2, 7)]), None, "it has caught up");
        assert_eq!(node(&[(0, 7)]), None);
        assert_eq!(node(&[(0, 7), (1, 9)]), Some(1));
        assert_eq!(
            changed(&shown(&[]), &shown(&[(2, 7)])).map(|(node, _)| node),
            Some(2)
        );
        assert_eq!(changed(&shown(&[]), &shown(&[])), None);
    }
}
