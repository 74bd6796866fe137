//! Less processor time, or less memory, for a node; a limit outlives its container.

use std::sync::{Arc, PoisonError};

use keyquake_cluster::{Allowance, NodeStatus, RuntimeError};

use super::{ContainerRuntime, NodeContainer, refused};
use crate::engine::Limits;

impl ContainerRuntime {
    /// The answer is what the engine has on record then.
    pub(super) async fn set_cores(
        &self,
        node: &str,
        cores: Option<f64>,
    ) -> Result<Option<f64>, RuntimeError> {
        let container = self.last(node, "limited")?;
        let limits = Limits {
            cores,
            ..self.limits_of(node)
        };
        let read = self.engine.limit_cores(&container.id, limits).await;
        let read = read.map_err(refused(node, "limit the processor time of"))?;
        self.keep(node, limits);
        Ok(read)
    }

    /// The answer is what the kernel gives the node then; of one that is down, what it will.
    pub(super) async fn set_memory(
        &self,
        node: &str,
        bytes: Option<u64>,
    ) -> Result<Option<u64>, RuntimeError> {
        let container = self.last(node, "limited")?;
        let limits = Limits {
            memory: bytes,
            ..self.limits_of(node)
        };
        let set = self.engine.limit_memory(&container.id, limits).await;
        set.map_err(refused(node, "limit the memory of"))?;
        self.keep(node, limits);
        if container.ending().is_some() {
            return Ok(bytes);
        }
        Ok(self.count(node, &container).await?.memory)
    }

    /// What the node of this name may use, and what came of it.
    pub(super) async fn read_allowance(&self, node: &str) -> Result<Allowance, RuntimeError> {
        let container = self.last(node, "counted")?;
        self.count(node, &container).await
    }

    async fn count(
        &self,
        node: &str,
        container: &NodeContainer,
    ) -> Result<Allowance, RuntimeError> {
        let counted = self.engine.allowance(&container.id).await;
        counted.map_err(refused(node, "count what is used by"))
    }

    /// The container that a node has or had last.
    fn last(&self, node: &str, done: &'static str) -> Result<Arc<NodeContainer>, RuntimeError> {
        self.container(node).ok_or_else(|| RuntimeError::NotUp {
            node: node.to_owned(),
            done,
            status: NodeStatus::NeverStarted,
        })
    }

    pub(super) fn limits_of(&self, node: &str) -> Limits {
        let limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.get(node).copied().unwrap_or_default()
    }

    fn keep(&self, node: &str, new: Limits) {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.insert(node.to_owned(), new);
    }
}
