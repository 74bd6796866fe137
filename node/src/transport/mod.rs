//! Raft messages to and from other nodes, over the gRPC port: one stream per peer
//! behind a bounded queue, dropped when full, and one call per snapshot file.

mod link;
mod server;
mod snapshot;

pub use server::RaftService;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use raft::eraftpb::Message;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use crate::consensus::{Input, Node, Origin, Outbox};
use crate::fsm::SnapshotFiles;
use crate::peers::{Peer, Peers};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
const KEEPALIVE_EVERY: Duration = Duration::from_millis(400);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_millis(700);
/// The largest message any node accepts: a full Raft message around the largest value.
pub const MESSAGE_LIMIT: usize = 128 << 20;

/// Connects to another node's gRPC port; a link that dies silently is noticed within about a
/// second, so that the next attempt meets a network that may be whole again.
///
/// # Errors
/// The address is not one, or nobody answers within half a second.
pub async fn connect(address: &str) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    endpoint.connect().await
}

struct Link {
    address: String,
    queue: tokio::sync::mpsc::Sender<Message>,
    task: JoinHandle<()>,
}

/// The links to all other members.
pub struct Transport {
    own_id: u64,
    runtime: Handle,
    node: Node,
    files: SnapshotFiles,
    links: Mutex<HashMap<u64, Link>>,
}

impl Transport {
    /// No links yet; the consensus thread names the members.
    pub fn new(own_id: u64, runtime: Handle, node: Node, files: SnapshotFiles) -> Arc<Self> {
        Arc::new(Self {
            own_id,
            runtime,
            node,
            files,
            links: Mutex::new(HashMap::new()),
        })
    }

    fn open(&self, id: u64, peer: &Peer) -> Link {
        let (queue, messages) = tokio::sync::mpsc::channel(link::QUEUE);
        let address = peer.address.clone();
        let task = link::run(id, address.clone(), messages, self.node.clone());
        Link {
            address,
            queue,
            task: self.runtime.spawn(task),
        }
    }
}

impl Outbox for Transport {
    fn send(&self, message: Message) {
        let to = message.to;
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = links
            .get(&to)
            .is_some_and(|link| link.queue.try_send(message).is_ok());
        drop(links);
        if !sent {
            self.node.notify(Input::Unreachable(to));
        }
    }

    fn send_snapshot(&self, message: Message, origin: Origin) {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let address = links.get(&message.to).map(|link| link.address.clone());
        drop(links);
        let (node, files) = (self.node.clone(), self.files.clone());
        self.runtime.spawn(async move {
            let (to, index) = (message.to, message.get_snapshot().get_metadata().index);
            let sent = match address {
                Some(address) => snapshot::send(&address, message, origin, files).await,
                None => Err("no address known".to_owned()),
            };
            if let Err(error) = &sent {
                tracing::warn!(to, index, error, "snapshot not sent");
            }
            while !node.notify(Input::SnapshotSent(to, sent.is_ok())) {
                // raft-rs sends nothing more to this peer before it hears of the end.
                tokio::time::sleep(Duration::from_millis(20)).await;
                if node.watch().has_changed().is_err() {
                    break;
                }
            }
        });
    }

    fn set_peers(&self, peers: &Peers) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|id, link| {
            let stays = peers.get(id).is_some_and(|p| p.address == link.address);
            if !stays {
                link.task.abort();
            }
            stays
        });
        for (&id, peer) in peers {
            if id != self.own_id && !peer.address.is_empty() && !links.contains_key(&id) {
                links.insert(id, self.open(id, peer));
            }
        }
    }
}
