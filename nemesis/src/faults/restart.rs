//! `restart`: a node asked to end, down for a while, and started again on the same data.

use async_trait::async_trait;
use futures_util::future::join_all;
use keyquake_cluster::{Ending, NodeStatus};

use super::down::{bring_up_all, is_down};
use super::{Fault, GRACE, Stage, fits_nodes, join};
use crate::catalogue::{FaultInfo, FaultName};
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::Restart,
    does: "asks nodes to end (SIGTERM; after 5 s SIGKILL); all of them are down before any is started again, on the same data, when healed",
    needs: "nothing beyond a cluster",
    proves: "each node was up and ended when asked to, and stayed down; healed: each serves again",
    nodes_min: 1,
    needs_links: false,
    step: false,
};

pub(crate) struct Restart {
    nodes: Vec<u16>,
    /// How they ended; those that were not up are not among them.
    ended: Vec<(u16, Ending)>,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    fits_nodes(target)
}

impl Restart {
    pub(super) fn new(nodes: Vec<u16>) -> Self {
        Self {
            nodes,
            ended: Vec::new(),
        }
    }
}

#[async_trait]
impl Fault for Restart {
    fn nodes(&self) -> Vec<u16> {
        self.nodes.clone()
    }

    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let stop = |&node: &u16| async move {
            let name = stage.cluster.id(node);
            let before = stage.cluster.status(node);
            if !before.is_up() {
                return Err(format!("{name} can't be stopped: it is not up ({before})"));
            }
            match stage.cluster.stop(node, GRACE).await {
                Ok(NodeStatus::Exited(ending)) => Ok((
                    node,
                    ending,
                    format!("{name} was {before}, was asked to end, and {ending}"),
                )),
                Ok(status) => Err(format!("{name} was asked to end, but is {status}")),
                Err(error) => Err(error.to_string()),
            }
        };
        let mut seen = Vec::new();
        for stopped in join_all(self.nodes.iter().map(stop)).await {
            seen.push(stopped.map(|(node, ending, said)| {
                self.ended.push((node, ending));
                said
            }));
        }
        join(seen)
    }

    async fn check(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let look = |&(node, ending): &(u16, Ending)| is_down(stage, node, ending);
        join(self.ended.iter().map(look).collect())
    }

    async fn heal(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        bring_up_all(stage, &self.nodes).await
    }
}
