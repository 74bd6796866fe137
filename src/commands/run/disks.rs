//! Disks of a given size for the nodes of a run, if its plan wants them.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use keyquake_cluster::journal::Journal;
use keyquake_cluster::{Disks, NodeSpec, OnDisk};

use crate::plan::Plan;

/// What the folder of a node's sidecar has behind the name of its data.
const KEYS: &str = "keys";

/// Mounts them, below the run's folder.
pub async fn make(
    plan: &Plan,
    folder: &Path,
    specs: &[NodeSpec],
    journal: &Arc<Journal>,
) -> anyhow::Result<Option<Arc<Disks>>> {
    let Some(size) = plan.cluster.disk else {
        return Ok(None);
    };
    let nodes = specs.iter().map(|spec| OnDisk {
        node: spec.id.clone(),
        data: spec.data_dir.clone(),
        keys: spec.data_dir.with_extension(KEYS),
    });
    let (nodes, folder, journal) = (nodes.collect(), folder.to_owned(), journal.clone());
    let made =
        tokio::task::spawn_blocking(move || Disks::make(&journal, &folder, nodes, size.bytes()));
    let made = made.await.map_err(|_| anyhow!("the suite is ending"))?;
    Ok(Some(Arc::new(made?)))
}

/// Leaves what is on them in the run's folder, and removes them.
pub async fn clear(disks: &Arc<Disks>, journal: &Arc<Journal>) -> anyhow::Result<()> {
    let (disks, journal) = (disks.clone(), journal.clone());
    let cleared = tokio::task::spawn_blocking(move || disks.clear(&journal));
    cleared
        .await
        .map_err(|_| anyhow!("the suite is ending"))??;
    Ok(())
}
