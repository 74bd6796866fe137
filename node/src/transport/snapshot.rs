//! Streaming a snapshot file to a peer.

use std::time::Duration;

use protobuf::Message as _;
use raft::eraftpb::Message;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{MESSAGE_LIMIT, connect};
use crate::consensus::Origin;
use crate::fsm::SnapshotFiles;
use crate::peers;
use crate::wire::etcd_raft_client::EtcdRaftClient;
use crate::wire::{SnapshotChunk, SnapshotHead};

const CHUNK: usize = 256 << 10;
/// A snapshot that takes longer is given up and started again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends the file a MsgSnapshot announces; `Ok` once the peer has it durably.
pub(super) async fn send(
    address: &str,
    message: Message,
    origin: Origin,
    files: SnapshotFiles,
) -> Result<(), String> {
    let path = files.path(message.get_snapshot().get_metadata().index);
    let mut file = tokio::fs::File::open(&path)
        .await
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let head = SnapshotHead {
        message: message
            .write_to_bytes()
            .map_err(|error| error.to_string())?
            .into(),
        peers: Some(peers::to_wire(&origin.peers)),
        configuration_index: origin.configuration_index,
    };
    let channel = connect(address).await.map_err(|error| error.to_string())?;
    let mut client = EtcdRaftClient::new(channel).max_encoding_message_size(MESSAGE_LIMIT);
    let (sender, receiver) = mpsc::channel(4);
    let feed = async move {
        let mut metadata = Some(head);
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            let mut part = (&mut file).take(CHUNK as u64);
            part.read_to_end(&mut chunk)
                .await
                .map_err(|error| format!("{}: {error}", path.display()))?;
            let last = chunk.is_empty();
            let chunk = SnapshotChunk {
                metadata: metadata.take(),
                chunk: chunk.into(),
                r#final: last,
            };
            // A receiver that went away says why through the call itself.
            if sender.send(chunk).await.is_err() || last {
                return Ok(());
            }
        }
    };
    let call = async {
        let request = client.send_snapshot(ReceiverStream::new(receiver));
        request.await.map(drop).map_err(|status| status.to_string())
    };
    let both = async { tokio::try_join!(feed, call).map(drop) };
    tokio::time::timeout(PATIENCE, both)
        .await
        .unwrap_or_else(|_| Err("took too long".to_owned()))
}
