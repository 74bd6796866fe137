//! `kill`: SIGKILL, and a restart on the same data.

use async_trait::async_trait;
use futures_util::future::join_all;
use keyquake_cluster::Ending;

use super::down::{bring_up_all, is_down};
use super::{Fault, Stage, fits_nodes, join};
use crate::catalogue::{FaultInfo, FaultName};
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::Kill,
    does: "sends a node SIGKILL; starts it again on the same data when healed",
    needs: "nothing beyond a cluster",
    proves: "the node was up, its exit status shows our signal 9, and it stayed down; healed: it serves again",
    nodes_min: 1,
    needs_links: false,
    step: false,
};

pub(crate) struct Kill {
    nodes: Vec<u16>,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    fits_nodes(target)
}

impl Kill {
    pub(super) fn new(nodes: Vec<u16>) -> Self {
        Self { nodes }
    }
}

#[async_trait]
impl Fault for Kill {
    fn nodes(&self) -> Vec<u16> {
        self.nodes.clone()
    }

    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let kill = |&node: &u16| async move {
            let name = stage.cluster.id(node);
            let before = stage.cluster.status(node);
            // The cluster kills only what is still up, so that a node that ended
            // by another's signal is never taken for ours.
            match stage.cluster.kill(node).await {
                Ok(Ending::Signal(9)) => {
                    stage.went_down(node);
                    Ok(format!(
                        "{name} was {before}, and was killed by our signal 9"
                    ))
                }
                Ok(ending) => Err(format!(
                    "{name} was {before}, and got SIGKILL, but {ending}"
                )),
                Err(error) => Err(error.to_string()),
            }
        };
        // All at once: a whole cluster must lose its power in one moment.
        join(join_all(self.nodes.iter().map(kill)).await)
    }

    async fn check(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let look = |&node: &u16| is_down(stage, node, Ending::Signal(9));
        join(self.nodes.iter().map(look).collect())
    }

    async fn heal(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        bring_up_all(stage, &self.nodes).await
    }
}
