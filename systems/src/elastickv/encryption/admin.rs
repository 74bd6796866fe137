//! A client of the encryption administration: one method per call.
//!
//! Every call connects anew, so that a node that is not there is a definite failure; has a
//! deadline, connecting included; and is sent at most once. Nothing is ever tried again here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use elastickv_wire::encryption_admin_client::EncryptionAdminClient;
use elastickv_wire::raft_admin_client::RaftAdminClient;
use elastickv_wire::rotate_dek_request::Purpose as WirePurpose;
use elastickv_wire::{
    BootstrapEncryptionRequest, CapabilityReport, Empty, EnableRaftEnvelopeRequest,
    EnableRaftEnvelopeResponse, EnableStorageEnvelopeRequest, EnableStorageEnvelopeResponse,
    RaftAdminConfigurationRequest, RaftAdminState, RaftAdminStatusRequest, RaftAdminStatusResponse,
    RegisterEncryptionWriterRequest, ResyncSidecarRequest, ResyncSidecarResponse, RotateDekRequest,
    SidecarStateReport, WriterRegistryEntry,
};
use tokio::time::{Instant, timeout_at};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::Purpose;
use super::keys::WrappedDek;
use super::refusal::{Answer, NotAccepted, of_status};
use super::sidecar::Sidecar;
use crate::elastickv::errors;

/// Who proposes a change, and in which of its process loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposer {
    /// The member's 64-bit id.
    pub full_node_id: u64,
    /// Its local epoch under the key in question. One that is lower than registered, or
    /// higher than true, may halt every replica of a store that does not check.
    pub local_epoch: u32,
}

/// The first two keys, and everybody who will write under them.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// Id and bytes of the storage key.
    pub storage: (u32, WrappedDek),
    /// Id and bytes of the raft key.
    pub raft: (u32, WrappedDek),
    /// One row per member.
    pub writers: Vec<Proposer>,
}

/// A new key that takes the place of the active one.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Which active key it replaces.
    pub purpose: Purpose,
    /// Its id.
    pub id: u32,
    /// Its bytes.
    pub wrapped: WrappedDek,
    /// Who registers as its first writer.
    pub proposer: Proposer,
}

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its Raft id.
    pub id: String,
    /// Its address.
    pub address: String,
    /// `voter` or `learner`.
    pub suffrage: String,
}

/// A node's own view of its Raft group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftView {
    /// Whether it says that it leads.
    pub leads: bool,
    /// Who leads in its eyes; empty if nobody.
    pub leader_id: String,
    /// The leader's address; empty if unknown.
    pub leader_address: String,
    /// Its term.
    pub term: u64,
    /// Its commit index.
    pub commit_index: u64,
    /// Its applied index.
    pub applied_index: u64,
    /// The last index of its log.
    pub last_log_index: u64,
    /// The index of its newest snapshot, behind which its log begins.
    pub last_snapshot_index: u64,
}

impl From<RaftAdminStatusResponse> for RaftView {
    fn from(status: RaftAdminStatusResponse) -> Self {
        Self {
            leads: status.state() == RaftAdminState::Leader,
            leader_id: status.leader_id,
            leader_address: status.leader_address,
            term: status.term,
            commit_index: status.commit_index,
            applied_index: status.applied_index,
            last_log_index: status.last_log_index,
            last_snapshot_index: status.last_snapshot_index,
        }
    }
}

/// Told when a call that changes something is on its way, and when it no longer is.
pub trait CallWatch: Send + Sync + std::fmt::Debug {
    /// Its request leaves now.
    fn sent(&self);
    /// Its answer is there, or is no longer waited for.
    fn answered(&self);
}

/// Calls one node.
#[derive(Clone, Debug)]
pub struct AdminClient {
    address: String,
    timeout: Duration,
    watch: Option<Arc<dyn CallWatch>>,
    sidecar: Option<PathBuf>,
}

/// How a call is made, and how a broken one is to be taken.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    /// Whether it can change anything.
    pub(super) changes: bool,
    /// Whether whoever watches is told.
    pub(super) watched: bool,
    /// How long the answer is waited for, counted from the moment when the request leaves;
    /// `None` is the client's own time, connecting included.
    pub(super) patience: Option<Duration>,
}

pub(super) type Encryption = EncryptionAdminClient<Channel>;
/// Whether a call can change anything: what decides how a broken call is to be taken.
const ASKS: bool = false;
const CHANGES: bool = true;

impl AdminClient {
    /// A client of the node at `host:port`; each call may take `timeout` in all.
    pub fn new(address: impl Into<String>, timeout: Duration) -> Self {
        Self {
            address: address.into(),
            timeout,
            watch: None,
            sidecar: None,
        }
    }

    /// The same client, of a node whose sidecar can be read at this path.
    pub fn with_sidecar(self, path: PathBuf) -> Self {
        Self {
            sidecar: Some(path),
            ..self
        }
    }

    /// The node's epoch under a key, from its sidecar; `None` if that can't be had.
    pub fn epoch_on_disk(&self, key: u32) -> Option<u16> {
        let sidecar = Sidecar::read(self.sidecar.as_ref()?).ok()?;
        Some(sidecar.keys.get(&key)?.local_epoch)
    }

    /// The same client, with somebody who is told of the calls that change something.
    pub fn watched(&self, watch: Arc<dyn CallWatch>) -> Self {
        Self {
            watch: Some(watch),
            ..self.clone()
        }
    }

    /// The node's address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What the node says that it can do.
    ///
    /// # Errors
    /// [`NotAccepted`].
    pub async fn capability(&self) -> Answer<CapabilityReport> {
        self.call(ASKS, async |channel| {
            Encryption::new(channel).get_capability(Empty {}).await
        })
        .await
    }

    /// The node's keys and flags.
    ///
    /// # Errors
    /// [`NotAccepted`].
    pub async fn sidecar_state(&self) -> Answer<SidecarStateReport> {
        self.call(ASKS, async |channel| {
            Encryption::new(channel).get_sidecar_state(Empty {}).await
        })
        .await
    }

    /// The leader's keys, and what its registry holds of a writer.
    ///
    /// # Errors
    /// [`NotAccepted`].
    pub async fn resync_sidecar(&self, full_node_id: u64) -> Answer<ResyncSidecarResponse> {
        let request = ResyncSidecarRequest {
            caller_full_node_id: full_node_id,
        };
        self.call(ASKS, async |channel| {
            Encryption::new(channel).resync_sidecar(request).await
        })
        .await
    }

    /// Gives the cluster its first two keys. Returns the log index.
    ///
    /// # Errors
    /// [`NotAccepted`].
    pub async fn bootstrap(&self, bootstrap: &Bootstrap) -> Answer<u64> {
        let request = BootstrapEncryptionRequest {
            wrapped_storage_dek: bootstrap.storage.1.as_bytes().to_vec().into(),
            wrapped_raft_dek: bootstrap.raft.1.as_bytes().to_vec().into(),
            storage_dek_id: bootstrap.storage.0,
            raft_dek_id: bootstrap.raft.0,
            writer_batch: bootstrap.writers.iter().map(row).collect(),
        };
        self.call(CHANGES, async |channel| {
            Encryption::new(channel).bootstrap_encryption(request).await
        })
        .await
        .map(|answer| answer.applied_index)
    }

    /// Replaces an active key. Returns the log index.
    ///
    /// # Errors
    /// [`NotAccepted`].
    pub async fn rotate_dek(&self, rotation: &Rotation) -> Answer<u64> {
        let purpose = match rotation.purpose {
            Purpose::Storage => WirePurpose::Storage,
            Purpose::Raft => WirePurpose::Raft,
        };
        let request = RotateDekRequest {
            purpose: purpose.into(),
            wrapped_new_dek: rotation.wrapped.as_bytes().to_vec().into(),
            new_dek_id: rotation.id,
            proposer_node_id: rotation.proposer.full_node_id,
            proposer_local_epoch: rotation.proposer.local_epoch,
        };
        self.call(CHANGES, async |channel| {
            Encryption::new(channel).rotate_dek(request).await
        })
        .await
        .map(|answer| answer.applied_index)
    }

    /// Registers a writer under a key. Returns the log index.
    ///
    /// # Errors
    /// [`NotAccepted`].
    pub async fn register_writer(&self, dek_id: u32, writer: Proposer) -> Answer<u64> {
        let request = RegisterEncryptionWriterRequest {
            dek_id,
            writers: vec![row(&writer)],
        };
        self.call(CHANGES, async |channel| {
            let mut client = Encryption::new(channel);
            client.register_encryption_writer(request).await
        })
        .await
        .map(|answer| answer.applied_index)
    }

    /// Phase 1: values written from here on are encrypted.
    ///
    /// # Errors
    /// [`NotAccepted`].
    pub async fn enable_storage_envelope(
        &self,
        proposer: Proposer,
    ) -> Answer<EnableStorageEnvelopeResponse> {
        let request = EnableStorageEnvelopeRequest {
            proposer_node_id: proposer.full_node_id,
            proposer_local_epoch: proposer.local_epoch,
        };
        self.call(CHANGES, async |channel| {
            let mut client = Encryption::new(channel);
            client.enable_storage_envelope(request).await
        })
        .await
    }

    /// Phase 2: log entries from here on are encrypted.
    ///
    /// # Errors
    /// [`NotAccepted`].
    pub async fn enable_raft_envelope(
        &self,
        proposer: Proposer,
    ) -> Answer<EnableRaftEnvelopeResponse> {
        let request = EnableRaftEnvelopeRequest {
            proposer_node_id: proposer.full_node_id,
            proposer_local_epoch: proposer.local_epoch,
        };
        self.call(CHANGES, async |channel| {
            Encryption::new(channel).enable_raft_envelope(request).await
        })
        .await
    }

    /// The node's view of its Raft group.
    ///
    /// # Errors
    /// [`NotAccepted`].
    pub async fn raft_view(&self) -> Answer<RaftView> {
        let status = self
            .call(ASKS, async |channel| {
                let mut client = RaftAdminClient::new(channel);
                client.status(RaftAdminStatusRequest {}).await
            })
            .await?;
        Ok(status.into())
    }

    /// The cluster's members, voters and learners, as the node knows them.
    ///
    /// # Errors
    /// [`NotAccepted`].
    pub async fn members(&self) -> Answer<Vec<Member>> {
        let answer = self
            .call(ASKS, async |channel| {
                let mut client = RaftAdminClient::new(channel);
                client.configuration(RaftAdminConfigurationRequest {}).await
            })
            .await?;
        let member = |server: elastickv_wire::RaftAdminMember| Member {
            id: server.id,
            address: server.address,
            suffrage: server.suffrage,
        };
        Ok(answer.servers.into_iter().map(member).collect())
    }

    async fn call<T>(
        &self,
        changes: bool,
        ask: impl AsyncFnOnce(Channel) -> Result<Response<T>, Status>,
    ) -> Answer<T> {
        let manner = Manner {
            changes,
            watched: changes,
            patience: None,
        };
        self.exchange(manner, ask).await
    }

    /// One connection, one request, one answer.
    pub(super) async fn exchange<T>(
        &self,
        manner: Manner,
        ask: impl AsyncFnOnce(Channel) -> Result<Response<T>, Status>,
    ) -> Answer<T> {
        let deadline = Instant::now() + self.timeout;
        let late = |time| format!("{}: no answer within {}", self.address, seconds(time));
        let channel = match timeout_at(deadline, self.connect()).await {
            Ok(channel) => channel?,
            Err(_) => {
                return Err(NotAccepted::Failed {
                    text: late(self.timeout),
                });
            }
        };
        let watch = self.watch.as_ref().filter(|_| manner.watched);
        if let Some(watch) = watch {
            watch.sent();
        }
        let deadline = manner
            .patience
            .map_or(deadline, |patience| Instant::now() + patience);
        let outcome = timeout_at(deadline, ask(channel)).await;
        if let Some(watch) = watch {
            watch.answered();
        }
        let text = late(manner.patience.unwrap_or(self.timeout));
        match outcome {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(of_status(&status, manner.changes)),
            Err(_) if manner.changes => Err(NotAccepted::Indeterminate { text }),
            Err(_) => Err(NotAccepted::Failed { text }),
        }
    }

    async fn connect(&self) -> Answer<Channel> {
        let failed = |error: tonic::transport::Error| NotAccepted::Failed {
            text: format!("{}: {}", self.address, errors::chain(&error)),
        };
        Endpoint::from_shared(format!("http://{}", self.address))
            .map_err(failed)?
            .connect()
            .await
            .map_err(failed)
    }
}

fn row(writer: &Proposer) -> WriterRegistryEntry {
    WriterRegistryEntry {
        full_node_id: writer.full_node_id,
        local_epoch: writer.local_epoch,
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
