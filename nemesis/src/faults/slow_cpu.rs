//! `slow-cpu`: a small share of one processor core.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::down::bring_up_all;
use super::{Fault, Stage, fits_nodes, join};
use crate::catalogue::{FaultInfo, FaultName};
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::SlowCpu,
    does: "gives a node a fiftieth of one processor core, 2 ms in each 100 ms; all of it again when healed",
    needs: "control groups that may be made (root with /sys/fs/cgroup writable, version 1 or 2, controllers cpu and memory), or --runtime docker",
    proves: "the limit is read back, and the kernel counts periods in which the node wanted more than it got; healed: no limit is left",
    nodes_min: 1,
    needs_links: false,
    step: false,
};

/// What a node gets, in cores.
const SHARE: f64 = 0.02;
/// How long a node may take to want more.
const THROTTLED_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(crate) struct SlowCpu {
    nodes: Vec<u16>,
    /// Those that were limited, and how often they had been throttled before.
    limited: Vec<(u16, u64)>,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    fits_nodes(target)
}

impl SlowCpu {
    pub(super) fn new(nodes: Vec<u16>) -> Self {
        Self {
            nodes,
            limited: Vec::new(),
        }
    }

    async fn limit(&mut self, stage: &Stage<'_>, node: u16) -> Result<String, String> {
        let name = stage.cluster.id(node);
        let status = stage.cluster.status(node);
        if !status.is_up() {
            return Err(format!("{name} can't be slowed: it is not up ({status})"));
        }
        let before = stage.cluster.allowance(node).await;
        let before = before.map_err(|error| error.to_string())?;
        let read = stage.cluster.limit_cpu(node, Some(SHARE)).await;
        let read = read.map_err(|error| error.to_string())?;
        self.limited.push((node, before.throttled));
        if read == Some(SHARE) {
            Ok(format!("{name} gets {SHARE} of a core"))
        } else {
            Err(format!(
                "{name} was to get {SHARE} of a core, but has {}",
                cores(read)
            ))
        }
    }
}

fn cores(cores: Option<f64>) -> String {
    cores.map_or("no limit".to_owned(), |cores| format!("{cores} cores"))
}

/// Waits until a node wanted more than it has.
async fn throttled(stage: &Stage<'_>, node: u16, before: u64) -> Result<String, String> {
    let name = stage.cluster.id(node);
    let deadline = Instant::now() + THROTTLED_WITHIN;
    loop {
        let status = stage.cluster.status(node);
        if !status.is_up() {
            return Err(format!("{name} should be slow, but {status}"));
        }
        let now = stage.cluster.allowance(node).await;
        let now = now.map_err(|error| error.to_string())?;
        if now.cores != Some(SHARE) {
            return Err(format!(
                "{name} should get {SHARE} of a core, but has {}",
                cores(now.cores)
            ));
        }
        // A container counts anew when it is started again.
        let periods = now.throttled.saturating_sub(before);
        if periods > 0 {
            return Ok(format!("{name} was held back in {periods} periods"));
        }
        if Instant::now() > deadline {
            return Err(format!(
                "{name} gets {SHARE} of a core, but wanted no more in {} s",
                THROTTLED_WITHIN.as_secs()
            ));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

#[async_trait]
impl Fault for SlowCpu {
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
        for &(node, before) in &self.limited {
            seen.push(throttled(stage, node, before).await);
        }
        join(seen)
    }

    async fn heal(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for &(node, _) in &self.limited {
            let name = stage.cluster.id(node);
            seen.push(match stage.cluster.limit_cpu(node, None).await {
                Ok(None) => Ok(format!("{name} gets all it wants")),
                Ok(left) => Err(format!("{name} still has {}", cores(left))),
                Err(error) => Err(error.to_string()),
            });
        }
        seen.push(bring_up_all(stage, &self.nodes).await);
        join(seen)
    }
}
