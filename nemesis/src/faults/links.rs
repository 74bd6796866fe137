//! What all partitions have in common: some directed links are cut, and a
//! measured matrix shows exactly those cut.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use keyquake_cluster::{LinkRule, Matrix, node_name};

use super::{Fault, Stage};

/// How long opened links may take to carry packets again.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

pub(super) struct Partition {
    cuts: Vec<(u16, u16)>,
    /// Those of them that were made.
    made: Vec<(u16, u16)>,
}

impl Partition {
    pub(super) fn new(cuts: Vec<(u16, u16)>) -> Self {
        Self {
            cuts,
            made: Vec::new(),
        }
    }

    /// What the links should be now: as the cluster has them, and our own cut.
    fn wanted(&self, stage: &Stage<'_>) -> Matrix {
        let mut wanted = stage.cluster.links();
        for &(from, to) in &self.cuts {
            wanted.set(from, to, false);
        }
        wanted
    }
}

#[async_trait]
impl Fault for Partition {
    fn nodes(&self) -> Vec<u16> {
        let mut nodes = self
            .cuts
            .iter()
            .flat_map(|&(from, to)| [from, to])
            .collect::<Vec<_>>();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        for &(from, to) in &self.cuts {
            let cut = stage.cluster.set_link(from, to, LinkRule::Cut).await;
            cut.map_err(|error| error.to_string())?;
            self.made.push((from, to));
        }
        Ok(format!("cut {}", names(&self.cuts)))
    }

    async fn check(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let wanted = self.wanted(stage);
        let mut seen = stage
            .cluster
            .probe_matrix()
            .await
            .map_err(|error| error.to_string())?;
        if seen
            .difference(&wanted)
            .iter()
            .any(|&(from, to)| wanted.is_open(from, to))
        {
            // On a busy machine a datagram may come late; an open link gets a second chance, a cut one doesn't.
            seen = stage
                .cluster
                .probe_matrix()
                .await
                .map_err(|error| error.to_string())?;
        }
        match seen.difference(&wanted) {
            wrong if wrong.is_empty() => Ok(format!("measured: {seen}")),
            wrong => Err(format!(
                "measured: {seen}; not as wanted: {}",
                names(&wrong)
            )),
        }
    }

    async fn heal(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        if self.made.is_empty() {
            return Ok("no link was cut".into());
        }
        for &(from, to) in &self.made {
            let opened = stage.cluster.set_link(from, to, LinkRule::Open).await;
            opened.map_err(|error| error.to_string())?;
        }
        let deadline = Instant::now() + OPEN_WITHIN;
        loop {
            let wanted = stage.cluster.links();
            let seen = stage
                .cluster
                .probe_matrix()
                .await
                .map_err(|error| error.to_string())?;
            if seen == wanted {
                return Ok(format!("measured: {seen}"));
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "measured: {seen}; still not as wanted: {}",
                    names(&seen.difference(&wanted))
                ));
            }
        }
    }
}

fn names(links: &[(u16, u16)]) -> String {
    let name = |&(from, to): &(u16, u16)| format!("{}→{}", node_name(from), node_name(to));
    links.iter().map(name).collect::<Vec<_>>().join(", ")
}
