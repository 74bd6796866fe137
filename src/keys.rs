//! The keys of a run: made by the suite, turned on the cluster, kept in the run's folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use keyquake_cluster::NodeSpec;
use keyquake_results::{EncryptionInfo, KeyStep};
use keyquake_systems::elastickv::encryption::{
    AdminClient, CallWatch, Kek, KeyChange, KeyFiles, NotDone, Turned, caught_up, clients, turn,
};
use tokio::time::Instant;

use crate::plan::Encryption;

/// How long one call of the administration may take: a cutover drains writes first.
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// How long a leader that takes the call may be looked for.
const TURN_WITHIN: Duration = Duration::from_secs(20);
/// How long the nodes may take to apply what the leader has accepted.
const APPLY_WITHIN: Duration = Duration::from_secs(5);

/// The suite's hands on a cluster's keys.
pub struct Keys {
    kek: Kek,
    clients: Vec<AdminClient>,
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
        let clients = clients(nodes, CALL_WITHIN);
        Ok((Keys { kek, clients }, info))
    }

    /// Makes a change on whoever leads.
    pub async fn turn(&self, change: KeyChange) -> Result<Turned, NotDone> {
        let deadline = Instant::now() + TURN_WITHIN;
        turn(&self.clients, &self.kek, change, deadline).await
    }

    /// The same, with somebody who is told when the request leaves.
    pub async fn turn_watched(
        &self,
        change: KeyChange,
        watch: &Arc<dyn CallWatch>,
    ) -> Result<Turned, NotDone> {
        let watched = |client: &AdminClient| client.watched(watch.clone());
        let clients: Vec<_> = self.clients.iter().map(watched).collect();
        let deadline = Instant::now() + TURN_WITHIN;
        turn(&clients, &self.kek, change, deadline).await
    }

    /// Makes the change as a step of the start, for `run.json`.
    pub async fn step(&self, change: KeyChange) -> anyhow::Result<KeyStep> {
        let turned = self.turn(change).await.with_context(|| {
            format!("the cluster could not be prepared: {change} failed; see the nodes' logs")
        })?;
        Ok(KeyStep {
            change: change.to_string(),
            applied_index: turned.index,
        })
    }

    /// Which nodes' own key state has come to a log index, once all have or time is over.
    pub async fn caught_up(&self, index: u64) -> Vec<usize> {
        caught_up(&self.clients, index, Instant::now() + APPLY_WITHIN).await
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
