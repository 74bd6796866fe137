//! `member`: a node added to the cluster, given a vote, removed or replaced. A step: it stays.

use std::time::Instant;

use async_trait::async_trait;
use keyquake_cluster::NodeSpec;
use keyquake_rollout::{MemberChange, Outcome, Step, Tamper};

use super::outcome::About;
use super::starting::rolled;
use super::{Fault, GRACE, HEAL_WITHIN, Stage};
use crate::catalogue::{FaultInfo, FaultName};
use crate::operator::{Answer, Roll};
use crate::rollout::Expect;
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::Member,
    does: "changes the membership (`change`): add-learner or add-voter start a spare node and add it, promote gives a learner its vote, remove takes a member out and ends it, replace removes a member, wipes its disk and adds it again; a newcomer can have its own release and flags",
    needs: "a plan that names it; spare nodes for those that are added (`spares`)",
    proves: "the cluster's own configuration shows the change, and a newcomer serves; or it is refused by name",
    nodes_min: 1,
    needs_links: false,
    step: true,
};

pub(crate) struct Member {
    nodes: Vec<u16>,
    change: MemberChange,
    /// What a newcomer is to be.
    roll: Roll,
    expect: Expect,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    match target {
        Target::Nodes(nodes) if nodes.len() == 1 => Ok(()),
        _ => Err("one node by name"),
    }
}

impl Member {
    pub(super) fn new(nodes: Vec<u16>, change: MemberChange, roll: Roll, expect: Expect) -> Self {
        Self {
            nodes,
            change,
            roll,
            expect,
        }
    }

    /// Does it; gives the answer of the last request.
    async fn perform(&self, stage: &Stage<'_>, node: u16, spec: &NodeSpec) -> Answer {
        let failed = |said: String| Answer {
            outcome: Outcome::Failed,
            index: None,
            said,
        };
        if matches!(self.change, MemberChange::Remove | MemberChange::Replace) {
            let answer = stage.operator.member(MemberChange::Remove, spec).await;
            if answer.outcome != Outcome::Accepted {
                return answer;
            }
            if let Err(error) = stage.cluster.stop(node, GRACE).await {
                return failed(error.to_string());
            }
            stage.rollout.ended(node);
            if self.change == MemberChange::Remove {
                return answer;
            }
            if let Err(error) = stage.operator.tamper(spec, &[Tamper::DataWiped], None) {
                return failed(error);
            }
            stage.rollout.halted_no_more(node);
        }
        let asked = match self.change {
            MemberChange::Replace => MemberChange::AddVoter,
            change => change,
        };
        if asked.adds() {
            let joining = match stage.operator.joining(spec, asked) {
                Ok(joining) => joining,
                Err(error) => return failed(error),
            };
            stage.rollout.started(node);
            if let Err(error) = stage.cluster.restart(node, joining).await {
                return failed(error.to_string());
            }
        }
        let answer = stage.operator.member(asked, spec).await;
        if !asked.adds() {
            return answer;
        }
        if answer.outcome != Outcome::Accepted {
            stage.rollout.ended(node);
            let _ = stage.cluster.stop(node, GRACE).await;
            return answer;
        }
        match stage.serves(node, Instant::now() + HEAL_WITHIN).await {
            Ok(()) => answer,
            Err(error) => {
                let words = stage.last_words(node, None).await;
                let line = words.map(|words| words.line).unwrap_or_default();
                let said = format!("{}, but it does not serve: {error} {line}", answer.said);
                Answer {
                    outcome: Outcome::Halts(None),
                    said,
                    ..answer
                }
            }
        }
    }
}

#[async_trait]
impl Fault for Member {
    fn nodes(&self) -> Vec<u16> {
        self.nodes.clone()
    }

    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let node = *self.nodes.first().ok_or("no node is named")?;
        let name = stage.cluster.id(node);
        let spec = rolled(stage, node, &self.roll).await?;
        let step = Step::Member {
            change: self.change,
            node,
            setup: stage.operator.setup(&spec)?,
            collides: stage.operator.collides(&spec),
            disturbed: stage.is_disturbed(),
        };
        let must = stage.rollout.must(&step, &self.expect);
        let members = must.iter().flat_map(|must| must.members.keys().copied());
        let judging = stage.rollout.judging(members.chain([node]));
        let ends = stage.log_ends().await;
        let answer = self.perform(stage, node, &spec).await;
        let mut told = vec![answer.said.clone()];
        let mut seen = Default::default();
        if let Some(must) = &must {
            let about = About {
                subject: format!("{} {name}", self.change),
                node: None,
                expected: &must.outcomes,
            };
            stage.outcome(must, about, &answer.outcome, &answer.said);
            let (members, words) = stage
                .members(must, &must.given(&answer.outcome).0, &ends)
                .await;
            seen = members;
            told.extend(words);
        }
        if answer.outcome == Outcome::Accepted {
            match self.change {
                MemberChange::Remove => stage.rollout.left(node),
                _ => stage.rollout.joined(node),
            }
        }
        stage.observe(&step, answer.outcome.clone(), seen);
        drop(judging);
        let told = format!(
            "{} {name}: {}: {}",
            self.change,
            answer.outcome,
            told.join("; ")
        );
        match answer.outcome {
            Outcome::Accepted => Ok(told),
            Outcome::Refused(_) | Outcome::Halts(_) if must.is_some() => Ok(told),
            _ => Err(told),
        }
    }

    async fn check(&mut self, _: &Stage<'_>) -> Result<String, String> {
        Ok("it stays".to_owned())
    }

    async fn heal(&mut self, _: &Stage<'_>) -> Result<String, String> {
        Ok("nothing to undo: the membership stays".to_owned())
    }
}
