//! A request of the administration as it goes over the wire: kept, so that the very same bytes
//! can be sent again.

use std::fmt;
use std::time::Duration;

use elastickv_wire::rotate_dek_request::Purpose as WirePurpose;
use elastickv_wire::{
    BootstrapEncryptionRequest, EnableRaftEnvelopeRequest, EnableStorageEnvelopeRequest,
    RegisterEncryptionWriterRequest, ResyncSidecarRequest, RotateDekRequest,
};
use keyquake_rollout::Call;

use super::AdminClient;
use super::admin::{Encryption, Manner};
use super::refusal::Answer;

/// A request; two clones are the same bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// The first two keys, and every member as a writer.
    Bootstrap(BootstrapEncryptionRequest),
    /// Phase 1.
    EnableStorageEnvelope(EnableStorageEnvelopeRequest),
    /// Phase 2.
    EnableRaftEnvelope(EnableRaftEnvelopeRequest),
    /// A new active key.
    Rotate(RotateDekRequest),
    /// A writer's epoch under a key.
    Register(RegisterEncryptionWriterRequest),
    /// The leader's keys.
    Resync(ResyncSidecarRequest),
}

/// What an acceptance says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// The log index.
    pub index: u64,
    /// Whether it was so before.
    pub already: bool,
}

impl Done {
    fn at(index: u64) -> Self {
        Self {
            index,
            already: false,
        }
    }
}

impl Request {
    /// Which call it is of.
    pub fn call(&self) -> Call {
        match self {
            Request::Bootstrap(_) => Call::Bootstrap,
            Request::EnableStorageEnvelope(_) => Call::EnableStorageEnvelope,
            Request::EnableRaftEnvelope(_) => Call::EnableRaftEnvelope,
            Request::Rotate(rotation) if rotation.purpose() == WirePurpose::Raft => {
                Call::RotateRaft
            }
            Request::Rotate(_) => Call::RotateStorage,
            Request::Register(_) => Call::RegisterWriter,
            Request::Resync(_) => Call::Resync,
        }
    }
}

impl fmt::Display for Request {
    /// What it asks for: `storage key 7, raft key 8, 3 writers`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Bootstrap(asked) => write!(
                f,
                "storage key {}, raft key {}, {} writers",
                asked.storage_dek_id,
                asked.raft_dek_id,
                asked.writer_batch.len()
            ),
            Request::Rotate(asked) => write!(f, "key {}", asked.new_dek_id),
            Request::Register(asked) => {
                let epochs = asked.writers.iter().map(|row| row.local_epoch.to_string());
                let epochs: Vec<_> = epochs.collect();
                write!(f, "epoch {} under key {}", epochs.join(", "), asked.dek_id)
            }
            Request::EnableStorageEnvelope(_) | Request::EnableRaftEnvelope(_) => {
                f.write_str("the envelope")
            }
            Request::Resync(_) => f.write_str("the leader's keys"),
        }
    }
}

impl AdminClient {
    /// Sends a request once. With a deadline, counted from the moment when it leaves, the node is
    /// told of it too, as by any gRPC client.
    ///
    /// # Errors
    /// [`NotAccepted`](super::NotAccepted).
    pub async fn send(&self, request: &Request, deadline: Option<Duration>) -> Answer<Done> {
        let manner = Manner {
            changes: !matches!(request, Request::Resync(_)),
            watched: true,
            patience: deadline,
        };
        let ask = async |channel| {
            let mut client = Encryption::new(channel);
            Ok(match request.clone() {
                Request::Bootstrap(words) => {
                    let answer = client
                        .bootstrap_encryption(limited(words, deadline))
                        .await?;
                    answer.map(|answer| Done::at(answer.applied_index))
                }
                Request::EnableStorageEnvelope(words) => {
                    let words = limited(words, deadline);
                    let answer = client.enable_storage_envelope(words).await?;
                    answer.map(|answer| Done {
                        index: answer.applied_index,
                        already: answer.was_already_active,
                    })
                }
                Request::EnableRaftEnvelope(words) => {
                    let answer = client
                        .enable_raft_envelope(limited(words, deadline))
                        .await?;
                    answer.map(|answer| Done {
                        index: answer.applied_index,
                        already: answer.was_already_active,
                    })
                }
                Request::Rotate(words) => {
                    let answer = client.rotate_dek(limited(words, deadline)).await?;
                    answer.map(|answer| Done::at(answer.applied_index))
                }
                Request::Register(words) => {
                    let words = limited(words, deadline);
                    let answer = client.register_encryption_writer(words).await?;
                    answer.map(|answer| Done::at(answer.applied_index))
                }
                Request::Resync(words) => {
                    let answer = client.resync_sidecar(limited(words, deadline)).await?;
                    answer.map(|answer| Done::at(answer.leader_latest_applied_index))
                }
            })
        };
        self.exchange(manner, ask).await
    }
}

fn limited<T>(words: T, deadline: Option<Duration>) -> tonic::Request<T> {
    let mut request = tonic::Request::new(words);
    if let Some(deadline) = deadline {
        request.set_timeout(deadline);
    }
    request
}
