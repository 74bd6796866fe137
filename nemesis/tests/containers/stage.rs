//! A cluster of containers, as the actors around a fault know a cluster.

use std::sync::Arc;

use keyquake_cluster::{Cluster, NetworkKind};

pub use crate::docker_stage::{block_on, until};

/// Containers that all play one part.
pub struct Fixture {
    pub cluster: Arc<Cluster>,
    inner: crate::docker_stage::Fixture,
}

impl Fixture {
    pub async fn new(_: &NetworkKind, nodes: u16, part: &str) -> Self {
        Self::of(crate::docker_stage::Fixture::new(nodes, part).await)
    }

    pub async fn on_disks(nodes: u16, part: &str, bytes: u64) -> Self {
        Self::of(crate::docker_stage::Fixture::on_disks(nodes, part, bytes).await)
    }

    fn of(inner: crate::docker_stage::Fixture) -> Self {
        Self {
            cluster: inner.cluster.clone(),
            inner,
        }
    }

    /// What a node has written so far.
    pub fn log(&self, node: u16) -> String {
        self.inner.log(node)
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.inner.path(name)
    }

    pub async fn end(self) {
        let Self { cluster, inner } = self;
        drop(cluster);
        inner.end().await;
    }
}

/// Containers are told their part by name.
pub fn launch_part(name: &str) -> &str {
    name
}
