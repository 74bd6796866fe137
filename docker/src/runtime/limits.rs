//! Less processor time, or less memory, for a node that runs.

use std::sync::PoisonError;

use keyquake_cluster::RuntimeError;

use super::{ContainerRuntime, refused};
use crate::engine::Limits;

impl ContainerRuntime {
    /// Gives a node so many processor cores (0.1 is a tenth of one), or all of them again; the
    /// answer is what the engine has on record for it then.
    ///
    /// # Errors
    /// When it isn't up, or the engine refuses.
    pub async fn limit_cpu(
        &self,
        node: &str,
        cores: Option<f64>,
    ) -> Result<Option<f64>, RuntimeError> {
        let (container, _) = self.up(node, "limited")?;
        let limits = Limits {
            cores,
            ..self.limits_of(node)
        };
        let read = self.engine.limit_cores(&container.id, limits).await;
        let read = read.map_err(refused(node, "limit the processor time of"))?;
        self.keep(node, limits);
        Ok(read)
    }

    /// Gives a node so many bytes of memory, or all of it again; the answer is what the kernel
    /// gives it then.
    ///
    /// # Errors
    /// When it isn't up, or the engine refuses (less than it already uses, for one).
    pub async fn limit_memory(
        &self,
        node: &str,
        bytes: Option<u64>,
    ) -> Result<Option<u64>, RuntimeError> {
        let (container, _) = self.up(node, "limited")?;
        let limits = Limits {
            memory: bytes,
            ..self.limits_of(node)
        };
        let read = self.engine.limit_memory(&container.id, limits).await;
        let read = read.map_err(refused(node, "limit the memory of"))?;
        self.keep(node, limits);
        Ok(read)
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
