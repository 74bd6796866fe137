//! elastickv's EncryptionAdmin. Questions are answered by any node; whatever would change
//! something is looked over here and on the consensus thread before it is proposed.
//!
//! The order of the checks is elastickv's: leadership, then whether this node may propose,
//! then the arguments, then what they rest on.

mod arguments;
mod capability;
mod membership;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use elastickv_wire::encryption_admin_server::EncryptionAdmin;
use elastickv_wire::{
    BootstrapEncryptionRequest, BootstrapEncryptionResponse, CapabilityReport, CapabilityVerdict,
    Empty, EnableRaftEnvelopeRequest, EnableRaftEnvelopeResponse, EnableStorageEnvelopeRequest,
    EnableStorageEnvelopeResponse, RegisterEncryptionWriterRequest,
    RegisterEncryptionWriterResponse, ResyncSidecarRequest, ResyncSidecarResponse,
    RotateDekRequest, RotateDekResponse, SidecarStateReport,
};
use tonic::{Code, Request, Response, Status};

pub use membership::Admission;

use super::Executor;
use crate::bugs::{self, Bug};
use crate::consensus::{KeysApplied, Node, Refusal};
use crate::encryption::{Encryption, KeyEntry, Purpose, Sidecar, SidecarError, WriterRow};
use crate::fsm::Fsm;
use crate::release::Release;

/// How long a majority may take to confirm leadership.
const VERIFY: Duration = Duration::from_secs(5);
/// How long an entry may take to be applied.
const APPLY: Duration = Duration::from_secs(10);
const NOT_BOOTSTRAPPED: &str = "encryption: ErrEncryptionNotBootstrapped: cluster is not \
     bootstrapped: cluster not bootstrapped (Active.Storage == 0) — call BootstrapEncryption first";

/// EncryptionAdmin on any node.
pub struct EncryptionService {
    node: Node,
    executor: Executor,
    fsm: Arc<Fsm>,
    encryption: Arc<Encryption>,
}

/// What this build calls itself; its release is the last word.
pub fn build(release: Release) -> String {
    format!("keyquake-{}-{release}", env!("CARGO_PKG_VERSION"))
}

impl EncryptionService {
    /// The service of a node.
    pub fn new(node: Node, executor: Executor, fsm: Arc<Fsm>, encryption: Arc<Encryption>) -> Self {
        Self {
            node,
            executor,
            fsm,
            encryption,
        }
    }

    fn not_leader(&self) -> Status {
        Status::failed_precondition(match self.node.status().leader_peer() {
            None => "encryption: not leader (no known leader)".to_owned(),
            Some(leader) => format!(
                "encryption: not leader (current leader id={:?} address={:?})",
                leader.id, leader.address
            ),
        })
    }

    /// Whether this node leads and a majority confirms it.
    async fn require_leader(&self) -> Result<(), Status> {
        if !self.node.status().is_leader() {
            return Err(self.not_leader());
        }
        if !self.executor.verify_leader(VERIFY).await {
            return Err(Status::failed_precondition(
                "encryption: VerifyLeader failed, refusing to act on stale-leader state: \
                 no majority confirmed it",
            ));
        }
        Ok(())
    }

    /// The beginning of every call that would change something; `since` = the first release
    /// that has the call.
    async fn require_mutator(&self, since: Release) -> Result<(), Status> {
        self.require_leader().await?;
        let inert = bugs::on(Bug::InertProposes) && since == Release::Stage6B;
        if !self.encryption.may_mutate() || (self.encryption.release() < since && !inert) {
            return Err(Status::failed_precondition(
                "encryption: proposer is not configured on this node",
            ));
        }
        if self.encryption.rotation_pending() {
            return Err(Status::unavailable(
                "encryption: startup rotation has not completed",
            ));
        }
        Ok(())
    }

    async fn propose(&self, opcode: u8, entry: KeyEntry) -> Result<KeysApplied, Status> {
        let proposed = tokio::time::timeout(APPLY, self.node.keys(entry)).await;
        let Ok(outcome) = proposed else {
            return Err(Status::deadline_exceeded(format!(
                "encryption: propose 0x{opcode:02x} failed: not applied in time"
            )));
        };
        outcome.map_err(|refusal| match refusal {
            Refusal::NotLeader => self.not_leader(),
            Refusal::Refused(text) => Status::failed_precondition(text),
            Refusal::TransferInProgress | Refusal::LeadershipLost => Status::failed_precondition(
                format!("encryption: propose 0x{opcode:02x} rejected by raft engine: {refusal}"),
            ),
            other => Status::new(
                Code::Unavailable,
                format!("encryption: propose 0x{opcode:02x} failed: {other}"),
            ),
        })
    }

    fn path(&self) -> Result<&Path, Status> {
        self.encryption.path().ok_or_else(|| {
            Status::failed_precondition("encryption: sidecar path is not configured on this node")
        })
    }

    fn read_sidecar(&self) -> Result<Sidecar, Status> {
        Sidecar::read(self.path()?).map_err(|error| match error {
            SidecarError::Missing => {
                Status::failed_precondition("encryption: sidecar file is missing")
            }
            SidecarError::Version(_) => Status::failed_precondition(format!("encryption: {error}")),
            SidecarError::Disk { .. } | SidecarError::Parse(_) => {
                Status::internal(format!("encryption: read sidecar: {error}"))
            }
        })
    }

    /// The writer rows of a node as the leader's registry has them.
    fn last_seen(&self, full_node_id: u64) -> Result<Vec<(u32, u32)>, Status> {
        let seen = self.fsm.last_seen(full_node_id);
        let seen = seen.map_err(|error| Status::internal(format!("encryption: {error}")))?;
        Ok(seen.into_iter().map(|(id, at)| (id, at.into())).collect())
    }

    /// Both cutovers; `since` = the first release that has this one.
    async fn cut_over(
        &self,
        purpose: Purpose,
        since: Release,
        (proposer_node_id, proposer_local_epoch): (u64, u32),
    ) -> Result<(KeysApplied, Vec<CapabilityVerdict>), Status> {
        self.require_mutator(since).await?;
        let (full_node_id, local_epoch) =
            arguments::proposer(proposer_node_id, proposer_local_epoch)?;
        let state = self.fsm.keys();
        if !state.is_bootstrapped()
            && purpose == Purpose::Raft
            && bugs::on(Bug::CutsOverWithoutKeys)
        {
            let (index, already) = (self.node.status().applied, false);
            return Ok((KeysApplied { index, already }, Vec::new()));
        }
        if !state.is_bootstrapped() {
            return Err(Status::failed_precondition(NOT_BOOTSTRAPPED));
        }
        let (active, index) = match purpose {
            Purpose::Storage => (
                state.storage_envelope_active,
                state.storage_envelope_cutover_index,
            ),
            Purpose::Raft => {
                let index = state.raft_envelope_cutover_index;
                (index != 0 && !bugs::on(Bug::CutoverMoves), index)
            }
        };
        if active {
            let already = true;
            return Ok((KeysApplied { index, already }, Vec::new()));
        }
        let members = self.node.status().membership.clone();
        let summary = capability::poll(&members, since).await?;
        let row = WriterRow {
            dek_id: state.active.of(purpose),
            full_node_id,
            local_epoch,
        };
        let entry = match purpose {
            Purpose::Storage => KeyEntry::EnableStorage { row },
            Purpose::Raft => KeyEntry::EnableRaft { row },
        };
        Ok((self.propose(0x05, entry).await?, summary))
    }
}

#[tonic::async_trait]
impl EncryptionAdmin for EncryptionService {
    async fn get_capability(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<CapabilityReport>, Status> {
        Ok(Response::new(capability::report(&self.encryption)))
    }

    async fn get_sidecar_state(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<SidecarStateReport>, Status> {
        let sidecar = self.read_sidecar()?;
        let status = self.node.status();
        let registry = match status.is_leader() {
            true => self.last_seen(self.encryption.full_node_id())?,
            false => Vec::new(),
        };
        let mut wrapped_deks_by_id = sidecar.wrapped();
        if bugs::on(Bug::DekInAnswer) {
            for wrapped in wrapped_deks_by_id.values_mut() {
                if let Ok(dek) = self.encryption.unwrap(wrapped) {
                    *wrapped = bytes::Bytes::copy_from_slice(&dek[..]);
                }
            }
        }
        Ok(Response::new(SidecarStateReport {
            wrapped_deks_by_id,
            active_storage_id: sidecar.active.storage,
            active_raft_id: sidecar.active.raft,
            storage_envelope_active: sidecar.storage_envelope_active,
            raft_envelope_cutover_index: sidecar.raft_envelope_cutover_index,
            latest_applied_index: status.applied,
            writer_registry_for_caller: registry.into_iter().collect(),
        }))
    }

    async fn resync_sidecar(
        &self,
        request: Request<ResyncSidecarRequest>,
    ) -> Result<Response<ResyncSidecarResponse>, Status> {
        self.require_leader().await?;
        let caller = request.into_inner().caller_full_node_id;
        if caller == 0 {
            return Err(Status::invalid_argument(
                "encryption: caller_full_node_id must be non-zero",
            ));
        }
        let sidecar = self.read_sidecar()?;
        Ok(Response::new(ResyncSidecarResponse {
            wrapped_deks_by_id: sidecar.wrapped(),
            active_storage_id: sidecar.active.storage,
            active_raft_id: sidecar.active.raft,
            leader_latest_applied_index: self.node.status().applied,
            writer_registry_for_caller: self.last_seen(caller)?.into_iter().collect(),
        }))
    }

    async fn bootstrap_encryption(
        &self,
        request: Request<BootstrapEncryptionRequest>,
    ) -> Result<Response<BootstrapEncryptionResponse>, Status> {
        self.require_mutator(Release::Stage6B).await?;
        let entry = arguments::bootstrap(request.into_inner())?;
        let applied = self.propose(0x04, entry).await?;
        Ok(Response::new(BootstrapEncryptionResponse {
            applied_index: applied.index,
        }))
    }

    async fn rotate_dek(
        &self,
        request: Request<RotateDekRequest>,
    ) -> Result<Response<RotateDekResponse>, Status> {
        self.require_mutator(Release::Stage6B).await?;
        let entry = arguments::rotate(&request.into_inner())?;
        let applied = self.propose(0x05, entry).await?;
        Ok(Response::new(RotateDekResponse {
            applied_index: applied.index,
        }))
    }

    async fn register_encryption_writer(
        &self,
        request: Request<RegisterEncryptionWriterRequest>,
    ) -> Result<Response<RegisterEncryptionWriterResponse>, Status> {
        self.require_mutator(Release::Stage6B).await?;
        let row = arguments::register(&request.into_inner())?;
        let applied = self.propose(0x03, KeyEntry::Register(row)).await?;
        Ok(Response::new(RegisterEncryptionWriterResponse {
            applied_index: applied.index,
        }))
    }

    async fn enable_storage_envelope(
        &self,
        request: Request<EnableStorageEnvelopeRequest>,
    ) -> Result<Response<EnableStorageEnvelopeResponse>, Status> {
        let request = request.into_inner();
        let proposer = (request.proposer_node_id, request.proposer_local_epoch);
        let (applied, capability_summary) = self
            .cut_over(Purpose::Storage, Release::Stage6D, proposer)
            .await?;
        Ok(Response::new(EnableStorageEnvelopeResponse {
            applied_index: applied.index,
            capability_summary,
            was_already_active: applied.already,
            ..EnableStorageEnvelopeResponse::default()
        }))
    }

    async fn enable_raft_envelope(
        &self,
        request: Request<EnableRaftEnvelopeRequest>,
    ) -> Result<Response<EnableRaftEnvelopeResponse>, Status> {
        let request = request.into_inner();
        let proposer = (request.proposer_node_id, request.proposer_local_epoch);
        let (applied, capability_summary) = self
            .cut_over(Purpose::Raft, Release::Stage6E, proposer)
            .await?;
        Ok(Response::new(EnableRaftEnvelopeResponse {
            applied_index: applied.index,
            capability_summary,
            was_already_active: applied.already,
        }))
    }
}
