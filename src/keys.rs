//! The keys of a run: made by the suite, turned on the cluster, kept in the run's folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use keyquake_cluster::NodeSpec;
use keyquake_results::{EncryptionInfo, KeyStep};
use keyquake_rollout::{Call, Outcome};
use keyquake_systems::elastickv::encryption::{
    CallWatch, Caller, KeyFiles, Order, Reply, SidecarStateReport,
};
use tokio::time::Instant;

use crate::plan::Encryption;

/// How long the nodes may take to apply what the leader has accepted.
const APPLY_WITHIN: Duration = Duration::from_secs(5);

/// The suite's hands on a cluster's keys.
pub struct Keys {
    caller: Caller,
}

impl Keys {
    /// Makes the KEK and the folders of the sidecars in the run's folder.
    pub fn make(
        run: &Path,
        nodes: &[NodeSpec],
        level: Encryption,
    ) -> anyhow::Result<(Keys, EncryptionInfo)> {
        let files = KeyFiles::of_run(run);
        let kek = files
            .make(nodes.iter().map(|node| node.id.as_str()))
            .context("failed to make the run's key files")?;
        let shown = |path: &Path| files.relative(path).display().to_string();
        let info = EncryptionInfo {
            level: level.to_string(),
            kek: shown(&files.kek()),
            sidecars: nodes
                .iter()
                .map(|node| shown(&files.sidecar(&node.id)))
                .collect(),
            steps: Vec::new(),
        };
        let caller = Caller::new(nodes, kek);
        Ok((Keys { caller }, info))
    }

    /// Makes a call on a node, or on whoever leads; somebody is told when a request leaves.
    pub async fn call(&self, order: &Order, at: Option<u16>, watch: Arc<dyn CallWatch>) -> Reply {
        self.caller.call(order, at, Some(watch)).await
    }

    /// Makes a change as a step of the start, for `run.json`.
    pub async fn step(&self, change: Call) -> anyhow::Result<KeyStep> {
        let reply = self.caller.call(&Order::once(change), None, None).await;
        match (reply.outcome, reply.index) {
            (Outcome::Accepted, Some(applied_index)) => Ok(KeyStep {
                change: change.to_string(),
                applied_index,
            }),
            _ => anyhow::bail!(
                "the cluster could not be prepared: {change} failed; see the nodes' logs: {}",
                reply.said
            ),
        }
    }

    /// What a node says of its own keys, if it says anything.
    pub async fn state(&self, node: u16) -> Option<SidecarStateReport> {
        self.caller.state(node).await
    }

    /// Which of these nodes' own key state has come to a log index, once all have or time is over.
    pub async fn caught_up(&self, index: u64, of: &[u16]) -> Vec<u16> {
        let deadline = Instant::now() + APPLY_WITHIN;
        self.caller.caught_up(index, of, deadline).await
    }
}

/// The steps of a start in one line: `keys bootstrapped at index 5, storage cutover at 6`.
pub fn told(steps: &[KeyStep]) -> String {
    let words = [
        "keys bootstrapped at index",
        "storage cutover at",
        "raft cutover at",
    ];
    let step = |(words, step): (&str, &KeyStep)| format!("{words} {}", step.applied_index);
    let told: Vec<_> = words.into_iter().zip(steps).map(step).collect();
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_told_in_one_line() {
        let step = |(change, applied_index): (&str, u64)| KeyStep {
            change: change.to_owned(),
            applied_index,
        };
        let steps = [
            ("bootstrap", 5),
            ("enable-storage-envelope", 6),
            ("enable-raft-envelope", 9),
        ]
        .map(step);
        assert_eq!(
            told(&steps),
            "keys bootstrapped at index 5, storage cutover at 6, raft cutover at 9"
        );
        assert_eq!(told(&steps[..1]), "keys bootstrapped at index 5");
    }
}
