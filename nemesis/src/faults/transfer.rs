//! `transfer`: leadership handed to a node. A step: it stays until somebody else is elected.

use async_trait::async_trait;
use keyquake_rollout::{Outcome, Step};

use super::outcome::About;
use super::{Fault, Stage, is_one_node};
use crate::catalogue::{FaultInfo, FaultName};
use crate::rollout::Expect;
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::Transfer,
    does: "hands the leadership to a node (`follower` or one by name)",
    needs: "a plan that names it",
    proves: "the node says itself that it leads",
    nodes_min: 2,
    needs_links: false,
    step: true,
};

pub(crate) struct Transfer {
    nodes: Vec<u16>,
    expect: Expect,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    match target {
        Target::Leader => Err("\"follower\" or one node"),
        target if is_one_node(target) => Ok(()),
        _ => Err("\"follower\" or one node"),
    }
}

impl Transfer {
    pub(super) fn new(nodes: Vec<u16>, expect: Expect) -> Self {
        Self { nodes, expect }
    }
}

#[async_trait]
impl Fault for Transfer {
    fn nodes(&self) -> Vec<u16> {
        self.nodes.clone()
    }

    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let to = *self.nodes.first().ok_or("nobody to hand it to")?;
        let name = stage.cluster.id(to);
        let step = Step::Transfer { to };
        let must = stage.rollout.must(&step, &self.expect);
        let answer = stage.operator.transfer(to).await;
        if let Some(must) = must {
            let about = About {
                subject: format!("transfer to {name}"),
                node: None,
                expected: &must.outcomes,
            };
            stage.outcome(&must, about, &answer.outcome, &answer.said);
        }
        stage.observe(&step, answer.outcome.clone(), Default::default());
        match answer.outcome {
            Outcome::Accepted => Ok(format!("leadership was handed to {name}: {}", answer.said)),
            outcome => Err(format!("{outcome}: {}", answer.said)),
        }
    }

    async fn check(&mut self, _: &Stage<'_>) -> Result<String, String> {
        Ok("it led".to_owned())
    }

    async fn heal(&mut self, _: &Stage<'_>) -> Result<String, String> {
        Ok("nothing to undo: whoever is elected leads".to_owned())
    }
}
