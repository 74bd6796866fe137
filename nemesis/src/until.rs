//! How long a fault is held, where a time would say too little: until something has come of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use keyquake_cluster::Cluster;

use crate::catalogue::FaultName;
use crate::moment::{Progress, Watcher};
use crate::target::Target;

/// What a held fault waits for; `for` bounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// `snapshot`: the steps that the plan has meanwhile are done, and every other node has a
    /// snapshot past all that was in its log then. So the node, which can have no more than that, can catch up by a
    /// snapshot only, which brings it past those steps.
    Snapshot,
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Until::Snapshot => f.write_str("snapshot"),
        }
    }
}

impl Until {
    /// Whether it can come of this fault, aimed so.
    pub(crate) fn check(self, fault: FaultName, target: &Target) -> Result<(), String> {
        let away = [FaultName::Kill, FaultName::Pause, FaultName::PartitionOne];
        if !away.contains(&fault) {
            return Err(format!(
                "`until = \"{self}\"` is for faults that keep a node away: {}; not for `{fault}`",
                away.map(FaultName::as_str).join(", ")
            ));
        }
        match target {
            Target::Follower => Ok(()),
            Target::Nodes(nodes) if nodes.len() == 1 => Ok(()),
            _ => Err(format!(
                "`until = \"{self}\"` keeps one node away from those that lead meanwhile: aim it at \
                 \"follower\" or one node (\"n2\"), not at `{target}`"
            )),
        }
    }
}

/// A node that is kept away until the others have no log for it any more.
pub(crate) struct Away<'a> {
    watcher: &'a dyn Watcher,
    cluster: &'a Cluster,
    node: u16,
    /// The last entry that it can have, and that steps have made meanwhile.
    last: Option<u64>,
    /// What the others said last.
    said: String,
}

impl<'a> Away<'a> {
    pub(crate) fn new(watcher: &'a dyn Watcher, cluster: &'a Cluster, node: u16) -> Self {
        Self {
            watcher,
            cluster,
            node,
            last: None,
            said: "steps were still to be done, or nobody said that it leads".to_owned(),
        }
    }

    fn name(&self) -> &str {
        self.cluster.id(self.node)
    }

    /// Looks once; the evidence as soon as it is so.
    pub(crate) async fn look(&mut self) -> Option<String> {
        let others = self.others().await;
        // Its entries came from a leader, and that has them too. Asked while the node is away,
        // what comes later can't reach it.
        if others.iter().any(|(_, progress)| progress.leads) {
            let last = others.iter().map(|(_, progress)| progress.last_log).max();
            self.last = self.last.or(last);
        }
        let last = self.last?;
        let snapshots = others.iter();
        let snapshots =
            snapshots.map(|(name, progress)| format!("{name}'s is at {}", progress.snapshot));
        self.said = format!(
            "{} can have entries up to {last}, and of the newest snapshots {}",
            self.name(),
            snapshots.collect::<Vec<_>>().join(", ")
        );
        let past = others.iter().all(|(_, progress)| progress.snapshot > last);
        (past && !others.is_empty()).then(|| self.said.clone())
    }

    /// Why it has not come to that.
    pub(crate) fn not_yet(&self) -> &str {
        &self.said
    }

    async fn others(&self) -> Vec<(String, Progress)> {
        let mut others = Vec::new();
        for node in (0..self.cluster.node_count()).filter(|&node| node != self.node) {
            if self.cluster.status(node).is_up()
                && let Ok(progress) = self.watcher.progress(node).await
            {
                others.push((self.cluster.id(node).to_owned(), progress));
            }
        }
        others
    }

    /// Looks whether the node has caught up by a snapshot; the evidence if it has.
    pub(crate) async fn is_back(&self) -> Option<String> {
        let progress = self.watcher.progress(self.node).await.ok()?;
        let snapshot = progress.snapshot;
        (snapshot > self.last?).then(|| {
            format!(
                "{} has caught up by a snapshot: its own is at {snapshot}, it has applied {}",
                self.name(),
                progress.applied
            )
        })
    }
}
