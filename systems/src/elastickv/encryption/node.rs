//! A node, as the administration speaks to it.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use keyquake_cluster::NodeSpec;

use super::AdminClient;
use crate::elastickv::addresses::{self, GRPC};
use crate::elastickv::{change, raft_id};

/// A question to a node. It answers in a millisecond or two; one that is paused or cut off must
/// not hold up who asks.
pub(super) const ASK_WITHIN: Duration = Duration::from_secs(1);
/// How long one call may take: a cutover drains writes first.
const CALL_WITHIN: Duration = Duration::from_secs(10);

/// A node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Its Raft id.
    pub(super) id: String,
    /// Its address in its Raft group.
    pub(super) address: SocketAddr,
    /// For questions.
    pub(super) asked: AdminClient,
    /// For calls.
    pub(super) called: AdminClient,
}

impl Node {
    /// The node of this launch.
    pub(super) fn of(spec: &NodeSpec) -> Self {
        let address = addresses::of(spec, GRPC);
        let sidecar = change::key_files(spec).sidecar(&spec.id);
        Self {
            id: raft_id(spec).to_owned(),
            address,
            asked: AdminClient::new(address.to_string(), ASK_WITHIN).with_sidecar(sidecar),
            called: AdminClient::new(address.to_string(), CALL_WITHIN),
        }
    }
}

/// Who leads, by the nodes' own word; the highest term wins.
pub(super) async fn leading(nodes: &[Node]) -> Option<&Node> {
    let views = join_all(nodes.iter().map(|node| node.asked.raft_view())).await;
    let leaders = nodes.iter().zip(views).filter_map(|(node, view)| {
        let view = view.ok().filter(|view| view.leads)?;
        Some((node, view.term))
    });
    let (leader, _) = leaders.max_by_key(|(_, term)| *term)?;
    Some(leader)
}
