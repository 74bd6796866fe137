//! One peer's stream: connects, sends what is queued, and starts again when it breaks.

use std::time::Duration;

use protobuf::Message as _;
use raft::eraftpb::Message;
use tokio::sync::mpsc::{self, Receiver};
use tokio_stream::wrappers::ReceiverStream;

use super::{MESSAGE_LIMIT, connect};
use crate::consensus::{Input, Node};
use crate::wire::RaftMessage;
use crate::wire::etcd_raft_client::EtcdRaftClient;

/// Messages queued for a peer before more are dropped.
pub(super) const QUEUE: usize = 4_096;
/// Messages in the stream itself, behind the queue.
const IN_STREAM: usize = 64;
const BACK_OFF: Duration = Duration::from_millis(50);

pub(super) async fn run(id: u64, address: String, mut queue: Receiver<Message>, node: Node) {
    let mut reachable = true;
    loop {
        match stream(&address, &mut queue).await {
            Ok(()) => return,
            Err(error) => {
                if reachable {
                    tracing::info!(address, "link down: {}", error.why);
                }
                reachable = error.connected;
            }
        }
        node.notify(Input::Unreachable(id));
        // What waited is stale; raft-rs sends anew what is still wanted.
        while queue.try_recv().is_ok() {}
        tokio::time::sleep(BACK_OFF).await;
    }
}

/// Why a stream ended, and whether it ever stood.
struct Broken {
    connected: bool,
    why: String,
}

/// Sends until the queue is closed (`Ok`) or the stream breaks.
async fn stream(address: &str, queue: &mut Receiver<Message>) -> Result<(), Broken> {
    let broken = |connected| move |why: String| Broken { connected, why };
    let channel = connect(address)
        .await
        .map_err(|error| broken(false)(error.to_string()))?;
    let mut client = EtcdRaftClient::new(channel).max_encoding_message_size(MESSAGE_LIMIT);
    let (sender, receiver) = mpsc::channel(IN_STREAM);
    let call = client.send_stream(ReceiverStream::new(receiver));
    tokio::pin!(call);
    loop {
        let message = tokio::select! {
            ended = &mut call => return Err(broken(true)(match ended {
                Ok(_) => "closed by the peer".to_owned(),
                Err(status) => status.to_string(),
            })),
            message = queue.recv() => message,
        };
        let Some(message) = message else {
            return Ok(());
        };
        let message = message
            .write_to_bytes()
            .map_err(|error| broken(true)(error.to_string()))?;
        let message = RaftMessage {
            message: message.into(),
        };
        tokio::select! {
            ended = &mut call => return Err(broken(true)(match ended {
                Ok(_) => "closed by the peer".to_owned(),
                Err(status) => status.to_string(),
            })),
            sent = sender.send(message) => {
                if sent.is_err() {
                    return Err(broken(true)("stream gone".to_owned()));
                }
            }
        }
    }
}
