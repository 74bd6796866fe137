//! The receiving side of Raft messages and snapshot files.

use protobuf::Message as _;
use raft::eraftpb::Message;
use tonic::{Request, Response, Status, Streaming};

use crate::consensus::{Input, Node, Origin};
use crate::fsm::SnapshotFiles;
use crate::peers;
use crate::wire::etcd_raft_server::EtcdRaft;
use crate::wire::{RaftMessage, SendResult, SnapshotChunk};

/// Takes what other nodes send into the consensus thread's inbox.
pub struct RaftService {
    node: Node,
    files: SnapshotFiles,
}

impl RaftService {
    /// A service for this node.
    pub fn new(node: Node, files: SnapshotFiles) -> Self {
        Self { node, files }
    }
}

fn parse(bytes: &[u8]) -> Result<Message, Status> {
    Message::parse_from_bytes(bytes)
        .map_err(|error| Status::invalid_argument(format!("raft message: {error}")))
}

#[tonic::async_trait]
impl EtcdRaft for RaftService {
    async fn send_stream(
        &self,
        request: Request<Streaming<RaftMessage>>,
    ) -> Result<Response<SendResult>, Status> {
        let mut stream = request.into_inner();
        while let Some(message) = stream.message().await? {
            // A full inbox drops the message, as a full network would; Raft sends it again.
            self.node.notify(Input::Step(parse(&message.message)?));
        }
        Ok(Response::new(SendResult {}))
    }

    async fn send_snapshot(
        &self,
        request: Request<Streaming<SnapshotChunk>>,
    ) -> Result<Response<SendResult>, Status> {
        let failed = |error: crate::fsm::SnapshotError| Status::internal(error.to_string());
        let mut stream = request.into_inner();
        let first = stream.message().await?;
        let Some((head, chunk)) = first.and_then(|c| c.metadata.map(|head| (head, c.chunk))) else {
            return Err(Status::invalid_argument("snapshot without metadata"));
        };
        let message = parse(&head.message)?;
        let index = message.get_snapshot().get_metadata().index;
        let mut file = self.files.receive(index).map_err(failed)?;
        file.write(&chunk).map_err(failed)?;
        let mut whole = false;
        while let Some(chunk) = stream.message().await? {
            file.write(&chunk.chunk).map_err(failed)?;
            whole = chunk.r#final;
        }
        if !whole {
            return Err(Status::aborted("snapshot cut short"));
        }
        let finished = tokio::task::spawn_blocking(move || file.finish(true)).await;
        finished
            .map_err(|error| Status::internal(error.to_string()))?
            .map_err(failed)?;
        let origin = Origin {
            peers: peers::from_wire(head.peers.unwrap_or_default()),
            configuration_index: head.configuration_index,
        };
        if !self.node.notify(Input::Snapshot(message, origin)) {
            return Err(Status::resource_exhausted("inbox full"));
        }
        Ok(Response::new(SendResult {}))
    }
}
