//! Nodes that a fault has taken down: that they stay so, and that they come back together.

use futures_util::future::join_all;
use keyquake_cluster::{Ending, NodeStatus};

use super::{Stage, bring_up, join};

/// Whether a node is still down by this end, and has not been up since.
pub(super) fn is_down(stage: &Stage<'_>, node: u16, ending: Ending) -> Result<String, String> {
    let name = stage.cluster.id(node);
    match stage.cluster.status(node) {
        NodeStatus::Exited(seen) if seen == ending => Ok(format!("{name} is down")),
        status => Err(format!("{name} should be down, but is {status}")),
    }
}

/// Starts all that are down at once, and then waits until each serves: where a majority was
/// down, none may serve before others are up.
pub(super) async fn bring_up_all(stage: &Stage<'_>, nodes: &[u16]) -> Result<String, String> {
    join(join_all(nodes.iter().map(|&node| bring_up(stage, node))).await)
}
