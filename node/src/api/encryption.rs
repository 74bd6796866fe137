//! elastickv's EncryptionAdmin as its release 5D has it: questions are answered, everything
//! that would change something is refused before it is proposed.
//!
//! The order of the checks is elastickv's: leadership, then whether this node can propose.

use std::path::{Path, PathBuf};
use std::time::Duration;

use elastickv_wire::encryption_admin_server::EncryptionAdmin;
use elastickv_wire::{
    BootstrapEncryptionRequest, BootstrapEncryptionResponse, CapabilityReport, Empty,
    EnableRaftEnvelopeRequest, EnableRaftEnvelopeResponse, EnableStorageEnvelopeRequest,
    EnableStorageEnvelopeResponse, RegisterEncryptionWriterRequest,
    RegisterEncryptionWriterResponse, ResyncSidecarRequest, ResyncSidecarResponse,
    RotateDekRequest, RotateDekResponse, SidecarStateReport,
};
use tonic::{Request, Response, Status};

use super::Executor;
use crate::consensus::Node;
use crate::flags::Flags;
use crate::peers;
use crate::sidecar::{Sidecar, SidecarError};

/// How long a majority may take to confirm leadership.
const VERIFY: Duration = Duration::from_secs(5);

/// EncryptionAdmin on any node.
pub struct EncryptionService {
    node: Node,
    executor: Executor,
    sidecar: Option<PathBuf>,
    full_node_id: u64,
    build: String,
}

impl EncryptionService {
    /// The service of a node with these flags.
    pub fn new(node: Node, executor: Executor, flags: &Flags) -> Self {
        let path = &flags.encryption_sidecar_path;
        Self {
            node,
            executor,
            sidecar: (!path.is_empty()).then(|| PathBuf::from(path)),
            full_node_id: peers::raft_id(&flags.raft_id),
            build: format!("keyquake-{}-{}", env!("CARGO_PKG_VERSION"), flags.release),
        }
    }

    /// Whether this node leads and a majority confirms it.
    async fn require_leader(&self) -> Result<(), Status> {
        let status = self.node.status();
        if !status.is_leader() {
            return Err(Status::failed_precondition(match status.leader_peer() {
                None => "encryption: not leader (no known leader)".to_owned(),
                Some(leader) => format!(
                    "encryption: not leader (current leader id={:?} address={:?})",
                    leader.id, leader.address
                ),
            }));
        }
        if !self.executor.verify_leader(VERIFY).await {
            return Err(Status::failed_precondition(
                "encryption: VerifyLeader failed, refusing to act on stale-leader state: \
                 no majority confirmed it",
            ));
        }
        Ok(())
    }

    /// The end of every call that would change something.
    async fn refuse<T>(&self) -> Result<Response<T>, Status> {
        self.require_leader().await?;
        Err(Status::failed_precondition(
            "encryption: proposer is not configured on this node",
        ))
    }

    fn path(&self) -> Result<&Path, Status> {
        self.sidecar.as_deref().ok_or_else(|| {
            Status::failed_precondition("encryption: sidecar path is not configured on this node")
        })
    }

    fn read_sidecar(&self) -> Result<Sidecar, Status> {
        Sidecar::read(self.path()?).map_err(|error| match error {
            SidecarError::Missing => {
                Status::failed_precondition("encryption: sidecar file is missing")
            }
            SidecarError::Version(_) => Status::failed_precondition(format!("encryption: {error}")),
            SidecarError::Read(_) | SidecarError::Parse(_) => {
                Status::internal(format!("encryption: read sidecar: {error}"))
            }
        })
    }
}

#[tonic::async_trait]
impl EncryptionAdmin for EncryptionService {
    async fn get_capability(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<CapabilityReport>, Status> {
        let mut report = CapabilityReport {
            build_sha: self.build.clone(),
            ..CapabilityReport::default()
        };
        if let Some(path) = &self.sidecar {
            report.encryption_capable = true;
            report.sidecar_present = path.exists();
            report.full_node_id = self.full_node_id;
        }
        Ok(Response::new(report))
    }

    async fn get_sidecar_state(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<SidecarStateReport>, Status> {
        let sidecar = self.read_sidecar()?;
        Ok(Response::new(SidecarStateReport {
            wrapped_deks_by_id: sidecar.wrapped(),
            active_storage_id: sidecar.active.storage,
            active_raft_id: sidecar.active.raft,
            storage_envelope_active: sidecar.storage_envelope_active,
            raft_envelope_cutover_index: sidecar.raft_envelope_cutover_index,
            latest_applied_index: self.node.status().applied,
            ..SidecarStateReport::default()
        }))
    }

    async fn resync_sidecar(
        &self,
        request: Request<ResyncSidecarRequest>,
    ) -> Result<Response<ResyncSidecarResponse>, Status> {
        self.require_leader().await?;
        if request.into_inner().caller_full_node_id == 0 {
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
            ..ResyncSidecarResponse::default()
        }))
    }

    async fn bootstrap_encryption(
        &self,
        _request: Request<BootstrapEncryptionRequest>,
    ) -> Result<Response<BootstrapEncryptionResponse>, Status> {
        self.refuse().await
    }

    async fn rotate_dek(
        &self,
        _request: Request<RotateDekRequest>,
    ) -> Result<Response<RotateDekResponse>, Status> {
        self.refuse().await
    }

    async fn register_encryption_writer(
        &self,
        _request: Request<RegisterEncryptionWriterRequest>,
    ) -> Result<Response<RegisterEncryptionWriterResponse>, Status> {
        self.refuse().await
    }

    async fn enable_storage_envelope(
        &self,
        _request: Request<EnableStorageEnvelopeRequest>,
    ) -> Result<Response<EnableStorageEnvelopeResponse>, Status> {
        self.refuse().await
    }

    async fn enable_raft_envelope(
        &self,
        _request: Request<EnableRaftEnvelopeRequest>,
    ) -> Result<Response<EnableRaftEnvelopeResponse>, Status> {
        self.refuse().await
    }
}
