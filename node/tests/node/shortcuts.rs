//! What only these tests need of a cluster.

use crate::cluster::{Cluster, HTTP};

impl Cluster {
    /// A cluster of `members` voters, started, with a leader.
    pub async fn started(members: usize) -> Self {
        let mut cluster = Self::new(members);
        cluster.start_all();
        cluster.leader().await;
        cluster
    }

    /// Starts every voter.
    pub fn start_all(&mut self) {
        for node in 0..self.members {
            self.start(node);
        }
    }

    /// Where the node answers HTTP.
    pub fn http(&self, node: usize) -> String {
        format!("http://{}:{HTTP}", self.ip(node))
    }
}
