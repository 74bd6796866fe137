//! `roll`: nodes stopped and started again on another release, with other flags or with files
//! that were tampered with, one after another. A step: it stays.

use std::time::Instant;

use async_trait::async_trait;
use keyquake_cluster::NodeStatus;
use keyquake_rollout::Outcome;

use super::starting::{Start, rolled};
use super::{Fault, HEAL_WITHIN, Stage, fits_nodes, join};
use crate::catalogue::{FaultInfo, FaultName};
use crate::operator::Roll as Change;
use crate::rollout::Expect;
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::Roll,
    does: "stops nodes and starts them again on another release, with other flags of encryption or with files tampered with, one after another, each once the one before serves and somebody leads; they stay so",
    needs: "a plan that names it; another release of a store that is not ours needs its program or image",
    proves: "each node's new process serves and says itself what it is (another store's program or image has the digest of that release); or it ends as it must, with the name it says, its disk as it was before",
    nodes_min: 1,
    needs_links: false,
    step: true,
};

pub(crate) struct Roll {
    nodes: Vec<u16>,
    change: Change,
    expect: Expect,
    /// The new processes, and whether they serve.
    started: Vec<(u16, u32, bool)>,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    fits_nodes(target)
}

impl Roll {
    pub(super) fn new(nodes: Vec<u16>, change: Change, expect: Expect) -> Self {
        Self {
            nodes,
            change,
            expect,
            started: Vec::new(),
        }
    }

    /// Restarts one node; gives its new process, whether it serves, and what was seen.
    async fn restart(&self, stage: &Stage<'_>, node: u16) -> Result<(u32, bool, String), String> {
        let begun = Instant::now();
        let spec = rolled(stage, node, &self.change).await?;
        let start = Start {
            node,
            spec: Some(spec.clone()),
            tampers: &self.change.tampers,
            saves: false,
            expect: &self.expect,
            step: true,
        };
        let started = start.perform(stage).await?;
        let (pid, how) = (started.pid, started.said);
        match started.outcome {
            Outcome::Serves => {}
            Outcome::Unknown => return Err(how),
            _ if !started.judged => return Err(how),
            _ => return Ok((pid, false, how)),
        }
        let said = stage.operator.check_rolled(&spec, &self.change).await;
        let said = said.map_err(|error| format!("{how}, but {error}"))?;
        if !stage.rollout.majority_applies() {
            return Ok((pid, true, format!("{how} ({said})")));
        }
        let leader = stage.someone_leads(begun + HEAL_WITHIN).await;
        let leader = leader.map_err(|error| format!("{how} ({said}), but {error}"))?;
        Ok((pid, true, format!("{how} ({said}), and {leader} leads")))
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
            let (pid, serves, said) = self.restart(stage, node).await.map_err(|error| {
                // Those behind it stay as they are: two nodes down are no longer a roll.
                let before = seen.iter().map(|done| format!("{done}; "));
                before.chain([error]).collect::<String>()
            })?;
            self.started.push((node, pid, serves));
            seen.push(said);
        }
        Ok(seen.join("; "))
    }

    async fn check(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let look = |&(node, pid, serves): &(u16, u32, bool)| {
            let name = stage.cluster.id(node);
            match stage.cluster.status(node) {
                NodeStatus::Running { pid: now } if now == pid && serves => {
                    Ok(format!("{name} runs"))
                }
                NodeStatus::Exited(ending) if !serves => Ok(format!("{name} {ending}")),
                status => Err(format!("{name} should run as pid {pid}, but is {status}")),
            }
        };
        join(self.started.iter().map(look).collect())
    }

    /// There is nothing to undo: what must not serve stays down until a later step.
    async fn heal(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for &node in &self.nodes {
            let stays_down = |(of, _, serves): &(u16, u32, bool)| *of == node && !serves;
            seen.push(if self.started.iter().any(stays_down) {
                Ok(format!("{} stays down", stage.cluster.id(node)))
            } else {
                super::bring_up(stage, node).await
            });
        }
        join(seen).map(|seen| format!("nothing to undo: {seen}"))
    }
}
