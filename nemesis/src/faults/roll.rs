//! `roll`: nodes stopped and started again on another release or with other flags, one after
//! another, each only when the one before serves and the cluster is led. A step: it stays.

use async_trait::async_trait;
use keyquake_cluster::NodeStatus;
use std::time::Instant;

use super::{Fault, HEAL_WITHIN, Stage, bring_up, fits_nodes, join};
use crate::catalogue::{FaultInfo, FaultName};
use crate::operator::Roll as Change;
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::Roll,
    does: "stops nodes and starts them again on another release, or with the flags of encryption on or off, one after another, each once the one before serves and somebody leads; they stay so",
    needs: "a plan that names it; another release needs a store that has several: the reference store, or a program or image for each",
    proves: "each node's new process serves, and says itself that it is of that release, and has a sidecar path or not; another store's program or image has the digest of that release",
    nodes_min: 1,
    needs_links: false,
    step: true,
};

pub(crate) struct Roll {
    nodes: Vec<u16>,
    change: Change,
    /// The new processes.
    started: Vec<(u16, u32)>,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    fits_nodes(target)
}

impl Roll {
    pub(super) fn new(nodes: Vec<u16>, change: Change) -> Self {
        Self {
            nodes,
            change,
            started: Vec::new(),
        }
    }

    /// Restarts one node; gives its new process and what it says of itself.
    async fn restart(&self, stage: &Stage<'_>, node: u16) -> Result<(u32, String), String> {
        let begun = Instant::now();
        let name = stage.cluster.id(node);
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let spec = stage.cluster.spec(node).await.map_err(|e| text(&e))?;
        let before = format!("{} ({})", spec.release, stage.cluster.status(node));
        let spec = stage.operator.rolled(&spec, &self.change)?;
        let restarted = stage.cluster.restart(node, spec.clone()).await;
        let pid = restarted.map_err(|error| format!("{name} was {before}, but {error}"))?;
        let how = format!("{name} was {before}, and was started again as pid {pid}");
        let ready = stage.serves(node, begun + HEAL_WITHIN).await;
        ready.map_err(|error| format!("{how}, but doesn't serve: {error}"))?;
        let how = format!("{how}, serves after {} ms", begun.elapsed().as_millis());
        let said = stage.operator.check_rolled(&spec, &self.change).await;
        let said = said.map_err(|error| format!("{how}, but {error}"))?;
        let leader = stage.someone_leads(begun + HEAL_WITHIN).await;
        let leader = leader.map_err(|error| format!("{how} ({said}), but {error}"))?;
        Ok((pid, format!("{how} ({said}), and {leader} leads")))
    }
}

#[async_trait]
impl Fault for Roll {
    fn nodes(&self) -> Vec<u16> {
        self.nodes.clone()
    }

    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for &node in &self.nodes {
            let (pid, said) = self.restart(stage, node).await.map_err(|error| {
                // Those behind it stay as they are: two nodes down are no longer a roll.
                let before = seen.iter().map(|done| format!("{done}; "));
                before.chain([error]).collect::<String>()
            })?;
            self.started.push((node, pid));
            seen.push(said);
        }
        Ok(seen.join("; "))
    }

    async fn check(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let look = |&(node, pid): &(u16, u32)| {
            let name = stage.cluster.id(node);
            match stage.cluster.status(node) {
                NodeStatus::Running { pid: now } if now == pid => Ok(format!("{name} runs")),
                status => Err(format!("{name} should run as pid {pid}, but is {status}")),
            }
        };
        join(self.started.iter().map(look).collect())
    }

    /// There is nothing to undo; but a node that was left down must not stay so.
    async fn heal(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for &node in &self.nodes {
            seen.push(bring_up(stage, node).await);
        }
        join(seen).map(|seen| format!("nothing to undo: {seen}"))
    }
}
