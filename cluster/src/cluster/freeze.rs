//! A node held still, so that its files can be copied as a kill would leave them.
//!
//! While it is held nobody else can touch it: a fault that wants to waits. So whoever holds one
//! does so for milliseconds.

use tokio::sync::MutexGuard;

use super::{Cluster, ClusterError, Node};
use crate::status::NodeStatus;

/// A node that stays as it is until it is thawed.
#[must_use = "a node that is not thawed stays stopped"]
pub struct Frozen<'a> {
    node: MutexGuard<'a, Node>,
    /// Whether it was stopped for this, rather than found down or paused by a fault.
    stopped: bool,
    status: NodeStatus,
}

impl Frozen<'_> {
    /// How the node was when it was to be frozen, and whether it had to be stopped for it.
    pub fn found(&self) -> (NodeStatus, bool) {
        (self.status, self.stopped)
    }
}

impl Cluster {
    /// Holds a node still: stops its threads if they run, and keeps it from being started,
    /// killed, paused or resumed by anybody else.
    ///
    /// # Errors
    /// When there is no such node, or it runs and doesn't stop.
    pub async fn freeze(&self, node: u16) -> Result<Frozen<'_>, ClusterError> {
        let node = self.node(node)?.lock().await;
        let id = node.spec.id.clone();
        let status = self.runtime.status(&id);
        let stopped = match status {
            NodeStatus::Running { .. } => match self.runtime.pause(&id).await {
                Ok(_) => true,
                // What has ended meanwhile stands still too.
                Err(_) if !self.runtime.status(&id).is_up() => false,
                Err(error) => {
                    let _ = self.runtime.resume(&id).await;
                    return Err(error.into());
                }
            },
            NodeStatus::NeverStarted | NodeStatus::Paused { .. } | NodeStatus::Exited(_) => false,
        };
        Ok(Frozen {
            node,
            stopped,
            status,
        })
    }

    /// Lets a node go on.
    ///
    /// # Errors
    /// When it was stopped and stays so.
    pub async fn thaw(&self, frozen: Frozen<'_>) -> Result<(), ClusterError> {
        let id = &frozen.node.spec.id;
        if !frozen.stopped || !self.runtime.status(id).is_up() {
            return Ok(());
        }
        match self.runtime.resume(id).await {
            Ok(_) => Ok(()),
            Err(_) if !self.runtime.status(id).is_up() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
