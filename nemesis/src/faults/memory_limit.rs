//! `memory-limit`: hardly more memory than a node uses now.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use keyquake_cluster::{Ending, NodeStatus};

use super::down::bring_up_all;
use super::{Fault, Stage, fits_nodes, join};
use crate::catalogue::{FaultInfo, FaultName};
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::MemoryLimit,
    does: "lets a node have 1 MiB more memory than it uses now, so that the kernel takes back what it can, and kills the node when that is not enough; all of it again, and a start if need be, when healed",
    needs: "a plan or --faults that names it; control groups that may be made (root with /sys/fs/cgroup writable, version 1 or 2, controllers cpu and memory), or --runtime docker",
    proves: "the limit is read back, and the kernel counts that the node met it, or says that it killed the node for it; healed: no limit is left, and it serves",
    nodes_min: 1,
    needs_links: false,
    step: false,
};

/// How much more than it uses a node gets, in bytes.
const SPARE: u64 = 1 << 20;
/// An engine grants no less than 6 MiB.
const LEAST: u64 = 8 << 20;
/// A node that grows while its limit is written is measured again, so often.
const TRIES: usize = 5;
/// How long a node may take to meet its limit.
const REACHED_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(crate) struct MemoryLimit {
    nodes: Vec<u16>,
    limited: Vec<Limited>,
}

/// A node with its limit in bytes, and how often it had met one before.
struct Limited {
    node: u16,
    bytes: u64,
    before: u64,
    /// Whether it was seen to meet it.
    met: bool,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    fits_nodes(target)
}

impl MemoryLimit {
    pub(super) fn new(nodes: Vec<u16>) -> Self {
        Self {
            nodes,
            limited: Vec::new(),
        }
    }

    async fn limit(&mut self, stage: &Stage<'_>, node: u16) -> Result<String, String> {
        let name = stage.cluster.id(node);
        let mut refusal = String::new();
        for _ in 0..TRIES {
            let status = stage.cluster.status(node);
            if !status.is_up() {
                return Err(format!("{name} can't be limited: it is not up ({status})"));
            }
            let now = stage.cluster.allowance(node).await;
            let now = now.map_err(|error| error.to_string())?;
            // The kernel counts in pages.
            let bytes = (now.used + SPARE).max(LEAST).next_multiple_of(4096);
            let read = match stage.cluster.limit_memory(node, Some(bytes)).await {
                Ok(read) => read,
                Err(error) => {
                    refusal = error.to_string();
                    continue;
                }
            };
            self.limited.push(Limited {
                node,
                bytes,
                before: now.reached,
                met: false,
            });
            if read != Some(bytes) && stage.cluster.status(node).is_up() {
                return Err(format!(
                    "{name} was to have {bytes} bytes of memory, but has {}",
                    shown(read)
                ));
            }
            return Ok(format!(
                "{name} uses {} bytes of memory, and may have {bytes}",
                now.used
            ));
        }
        Err(refusal)
    }
}

fn shown(bytes: Option<u64>) -> String {
    bytes.map_or("no limit".to_owned(), |bytes| format!("{bytes} bytes"))
}

impl Limited {
    /// Waits until the node meets its limit, or ends by it.
    async fn meets(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let name = stage.cluster.id(self.node);
        let deadline = Instant::now() + REACHED_WITHIN;
        loop {
            let now = stage.cluster.allowance(self.node).await;
            match stage.cluster.status(self.node) {
                NodeStatus::Exited(Ending::OutOfMemory) => {
                    return Ok(format!(
                        "{name} was killed by the kernel: it wanted more than {} bytes",
                        self.bytes
                    ));
                }
                status if !status.is_up() => {
                    return Err(format!("{name} should be short of memory, but {status}"));
                }
                _ => {}
            }
            let now = now.map_err(|error| error.to_string())?;
            if now.memory != Some(self.bytes) {
                return Err(format!(
                    "{name} should have {} bytes of memory, but has {}",
                    self.bytes,
                    shown(now.memory)
                ));
            }
            let times = now.reached.saturating_sub(self.before);
            if times > 0 || self.met {
                self.met = true;
                return Ok(format!("{name} met its limit {times} times, and lives"));
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "{name} may have {} bytes of memory, but uses {} and wanted no more in {} s",
                    self.bytes,
                    now.used,
                    REACHED_WITHIN.as_secs()
                ));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

#[async_trait]
impl Fault for MemoryLimit {
    fn nodes(&self) -> Vec<u16> {
        self.nodes.clone()
    }

    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for node in self.nodes.clone() {
            seen.push(self.limit(stage, node).await);
        }
        join(seen)
    }

    async fn check(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for limited in &mut self.limited {
            seen.push(limited.meets(stage).await);
        }
        join(seen)
    }

    async fn heal(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for &Limited { node, bytes, .. } in &self.limited {
            let name = stage.cluster.id(node);
            // Without one, an engine shows all the memory that there is.
            seen.push(match stage.cluster.limit_memory(node, None).await {
                Ok(left) if left.is_none_or(|left| left > bytes) => {
                    Ok(format!("{name} may have all it wants"))
                }
                Ok(left) => Err(format!("{name} still has {}", shown(left))),
                Err(error) => Err(error.to_string()),
            });
        }
        seen.push(bring_up_all(stage, &self.nodes).await);
        join(seen)
    }
}
