//! `pause`: SIGSTOP, and SIGCONT.

use async_trait::async_trait;
use keyquake_cluster::ThreadCensus;

use super::{Fault, Stage, bring_up, fits_nodes, join};
use crate::catalogue::{FaultInfo, FaultName};
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::Pause,
    does: "sends a node SIGSTOP, so that it is there and does nothing; SIGCONT when healed",
    needs: "nothing beyond a cluster",
    proves: "every thread is stopped, and their context switches show that none ran until healed; healed: none is stopped",
    nodes_min: 1,
    needs_links: false,
    step: false,
};

pub(crate) struct Pause {
    nodes: Vec<u16>,
    /// The threads as they were stopped; empty before that.
    stopped: Vec<(u16, ThreadCensus)>,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    fits_nodes(target)
}

impl Pause {
    pub(super) fn new(nodes: Vec<u16>) -> Self {
        Self {
            nodes,
            stopped: Vec::new(),
        }
    }
}

#[async_trait]
impl Fault for Pause {
    fn nodes(&self) -> Vec<u16> {
        self.nodes.clone()
    }

    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for &node in &self.nodes {
            seen.push(match stage.cluster.pause(node).await {
                Ok(census) => {
                    self.stopped.push((node, census));
                    Ok(format!("{}: {census}", stage.cluster.id(node)))
                }
                Err(error) => Err(error.to_string()),
            });
        }
        join(seen)
    }

    async fn check(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let look = |&(node, before): &(u16, ThreadCensus)| {
            let name = stage.cluster.id(node);
            let now = stage
                .cluster
                .census(node)
                .map_err(|error| error.to_string())?;
            if !now.is_all_stopped() {
                Err(format!("{name} should be stopped, but {now}"))
            } else if now != before {
                Err(format!(
                    "{name} has run meanwhile: {before} before, {now} now"
                ))
            } else {
                Ok(format!("{name} has not run: {now}"))
            }
        };
        join(self.stopped.iter().map(look).collect())
    }

    async fn heal(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for &node in &self.nodes {
            seen.push(if stage.cluster.status(node).is_up() {
                let resumed = stage.cluster.resume(node).await;
                resumed
                    .map(|census| format!("{} goes on: {census}", stage.cluster.id(node)))
                    .map_err(|error| error.to_string())
            } else {
                bring_up(stage, node).await
            });
        }
        join(seen)
    }
}
