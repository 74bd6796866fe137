//! `save`: nodes stopped, their disks copied, and started again as they were. A step: what was
//! saved is there for a later `roll` that puts it back.

use async_trait::async_trait;
use keyquake_rollout::Outcome;

use super::starting::Start;
use super::{Fault, Stage, bring_up, fits_nodes, join};
use crate::catalogue::{FaultInfo, FaultName};
use crate::rollout::Expect;
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::Save,
    does: "stops nodes, copies data directory and sidecar of each, and starts them again as they were, one after another; a later roll can put the copy back (`tamper`)",
    needs: "a plan that names it, and room on the disk of the run's folder for the copy",
    proves: "what was copied, and that each node serves again",
    nodes_min: 1,
    needs_links: false,
    step: true,
};

pub(crate) struct Save {
    nodes: Vec<u16>,
    expect: Expect,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    fits_nodes(target)
}

impl Save {
    pub(super) fn new(nodes: Vec<u16>, expect: Expect) -> Self {
        Self { nodes, expect }
    }

    async fn save(&self, stage: &Stage<'_>, node: u16) -> Result<String, String> {
        let start = Start {
            node,
            spec: None,
            tampers: &[],
            saves: true,
            expect: &self.expect,
            step: true,
        };
        let started = start.perform(stage).await?;
        match started.outcome {
            Outcome::Serves => Ok(started.said),
            Outcome::Refused(_) | Outcome::Halts(_) if started.judged => Ok(started.said),
            _ => Err(started.said),
        }
    }
}

#[async_trait]
impl Fault for Save {
    fn nodes(&self) -> Vec<u16> {
        self.nodes.clone()
    }

    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for &node in &self.nodes {
            seen.push(self.save(stage, node).await?);
        }
        Ok(seen.join("; "))
    }

    async fn check(&mut self, _: &Stage<'_>) -> Result<String, String> {
        Ok("the copies are kept".to_owned())
    }

    async fn heal(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for &node in &self.nodes {
            seen.push(bring_up(stage, node).await);
        }
        join(seen).map(|seen| format!("nothing to undo: {seen}"))
    }
}
