//! `full-disk`: no room left where a node keeps its data.

use async_trait::async_trait;
use keyquake_cluster::{Disk, Full};

use super::down::bring_up_all;
use super::{Fault, Stage, fits_nodes, join};
use crate::catalogue::{FaultInfo, FaultName};
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::FullDisk,
    does: "fills the disk of a node's data and sidecar up to the last page, with a file beside them; removes that file when healed, and starts the node if it has ended",
    needs: "a plan or --faults that names it, and `disk = \"256MiB\"` in the plan's [cluster], which puts each node on a file system in memory of that size: root, or for processes unprivileged user namespaces; with --runtime docker root on the engine's machine",
    proves: "the node's files are on that disk, and writing one more page fails with ENOSPC, at the beginning and at every later look; healed: a page can be written, and the node serves",
    nodes_min: 1,
    needs_links: false,
    step: false,
};

pub(crate) struct FullDisk {
    nodes: Vec<u16>,
    /// Disks that were filled, with the bytes of ballast on them.
    filled: Vec<(u16, Disk, u64)>,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    fits_nodes(target)
}

impl FullDisk {
    pub(super) fn new(nodes: Vec<u16>) -> Self {
        Self {
            nodes,
            filled: Vec::new(),
        }
    }

    async fn fill(&mut self, stage: &Stage<'_>, node: u16) -> Result<String, String> {
        let name = stage.cluster.id(node);
        let status = stage.cluster.status(node);
        let disk = stage.cluster.disk(node).cloned().ok_or_else(|| {
            format!("{name} has no disk of its own; give the plan's [cluster] a `disk`")
        })?;
        if !status.is_up() {
            return Err(format!(
                "{name} would not notice a full disk: it is not up ({status})"
            ));
        }
        if !disk.is_used() {
            return Err(format!("nothing of {name} lies on its disk"));
        }
        self.filled.push((node, disk.clone(), 0));
        let full = apart(move || disk.fill()).await?;
        if let Some((_, _, laid)) = self.filled.last_mut() {
            *laid = full.ballast;
        }
        Ok(format!(
            "the disk of {name} was filled with {} bytes, until a write of one page failed with ENOSPC",
            full.ballast
        ))
    }
}

/// Work on a disk, on a thread that may wait for it.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, keyquake_cluster::DiskError> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())
}

#[async_trait]
impl Fault for FullDisk {
    fn nodes(&self) -> Vec<u16> {
        self.nodes.clone()
    }

    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for node in self.nodes.clone() {
            seen.push(self.fill(stage, node).await);
        }
        join(seen)
    }

    async fn check(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for (node, disk, laid) in &mut self.filled {
            let name = stage.cluster.id(*node);
            let status = stage.cluster.status(*node);
            let (disk, before) = (disk.clone(), *laid);
            let full = apart(move || disk.still_full(before)).await;
            seen.push(full.map(|Full { ballast, added }| {
                *laid = ballast;
                let given_back = match added {
                    0 => String::new(),
                    added => format!(" ({added} bytes that it gave back were taken)"),
                };
                format!("the disk of {name} is full{given_back}, {name} is {status}")
            }));
        }
        join(seen)
    }

    async fn heal(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for (node, disk, _) in &self.filled {
            let (name, disk) = (stage.cluster.id(*node), disk.clone());
            let relieved = apart(move || disk.relieve()).await;
            seen.push(relieved.map(|()| format!("the disk of {name} takes a write again")));
        }
        seen.push(bring_up_all(stage, &self.nodes).await);
        join(seen)
    }
}
