//! Knows where the leader was a moment ago, for clients and the progress line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use keyquake_cluster::NodeSpec;
use keyquake_workloads::LeaderHint;
use tokio::task::JoinHandle;

use crate::system::System;

/// How often the nodes are asked.
const EVERY: Duration = Duration::from_millis(200);

/// No leader known.
const NONE: u32 = u32::MAX;

/// Asks the nodes who leads, again and again, until it is dropped.
pub struct LeaderWatch {
    last: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl LeaderWatch {
    /// Starts watching; needs a tokio runtime around it.
    pub fn start(system: Arc<dyn System>, nodes: Vec<NodeSpec>) -> Self {
        let last = Arc::new(AtomicU32::new(NONE));
        let task = tokio::spawn({
            let last = last.clone();
            async move {
                loop {
                    let leader = system.leader(&nodes).await;
                    last.store(leader.map_or(NONE, u32::from), Ordering::Relaxed);
                    tokio::time::sleep(EVERY).await;
                }
            }
        });
        Self { last, task }
    }
}

impl LeaderHint for LeaderWatch {
    fn leader(&self) -> Option<u16> {
        u16::try_from(self.last.load(Ordering::Relaxed)).ok()
    }
}

impl Drop for LeaderWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
