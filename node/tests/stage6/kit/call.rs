//! The mutators of EncryptionAdmin as values, so that one can be made again, late, and
//! of any node.

use elastickv_wire::encryption_admin_client::EncryptionAdminClient;
use elastickv_wire::{
    BootstrapEncryptionRequest, EnableRaftEnvelopeRequest, EnableStorageEnvelopeRequest,
    RegisterEncryptionWriterRequest, RotateDekRequest, WriterRegistryEntry,
};
use tonic::Status;
use tonic::transport::Channel;

/// A client of EncryptionAdmin.
pub type Admin = EncryptionAdminClient<Channel>;

/// A mutator with its arguments.
#[derive(Clone, Debug)]
pub enum Call {
    Bootstrap(BootstrapEncryptionRequest),
    Rotate(RotateDekRequest),
    Register(RegisterEncryptionWriterRequest),
    EnableStorage(EnableStorageEnvelopeRequest),
    EnableRaft(EnableRaftEnvelopeRequest),
}

/// What an accepted call says.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    pub index: u64,
    /// Only the cutovers say it.
    pub was_already_active: bool,
    /// Members in the capability summary.
    pub summary: usize,
}

impl Call {
    pub fn register(dek_id: u32, full_node_id: u64, local_epoch: u32) -> Self {
        let writer = WriterRegistryEntry {
            full_node_id,
            local_epoch,
        };
        Call::Register(RegisterEncryptionWriterRequest {
            dek_id,
            writers: vec![writer],
        })
    }

    pub fn enable_storage(proposer_node_id: u64, proposer_local_epoch: u32) -> Self {
        Call::EnableStorage(EnableStorageEnvelopeRequest {
            proposer_node_id,
            proposer_local_epoch,
        })
    }

    pub fn enable_raft(proposer_node_id: u64, proposer_local_epoch: u32) -> Self {
        Call::EnableRaft(EnableRaftEnvelopeRequest {
            proposer_node_id,
            proposer_local_epoch,
        })
    }

    /// The same call with another epoch of its proposer (or writer, or first member).
    pub fn with_epoch(&self, epoch: u32) -> Self {
        let mut call = self.clone();
        match &mut call {
            Call::Bootstrap(call) => call.writer_batch[0].local_epoch = epoch,
            Call::Rotate(call) => call.proposer_local_epoch = epoch,
            Call::Register(call) => call.writers[0].local_epoch = epoch,
            Call::EnableStorage(call) => call.proposer_local_epoch = epoch,
            Call::EnableRaft(call) => call.proposer_local_epoch = epoch,
        }
        call
    }

    /// The same call in the name of another proposer (or writer).
    pub fn by(&self, full_node_id: u64) -> Self {
        let mut call = self.clone();
        match &mut call {
            Call::Bootstrap(call) => call.writer_batch[0].full_node_id = full_node_id,
            Call::Rotate(call) => call.proposer_node_id = full_node_id,
            Call::Register(call) => call.writers[0].full_node_id = full_node_id,
            Call::EnableStorage(call) => call.proposer_node_id = full_node_id,
            Call::EnableRaft(call) => call.proposer_node_id = full_node_id,
        }
        call
    }

    /// Makes the call.
    pub async fn make(&self, admin: &mut Admin) -> Result<Done, Status> {
        let plain = |index| Done {
            index,
            was_already_active: false,
            summary: 0,
        };
        Ok(match self.clone() {
            Call::Bootstrap(call) => {
                let answer = admin.bootstrap_encryption(call).await?;
                plain(answer.into_inner().applied_index)
            }
            Call::Rotate(call) => plain(admin.rotate_dek(call).await?.into_inner().applied_index),
            Call::Register(call) => {
                let answer = admin.register_encryption_writer(call).await?;
                plain(answer.into_inner().applied_index)
            }
            Call::EnableStorage(call) => {
                let answer = admin.enable_storage_envelope(call).await?.into_inner();
                Done {
                    index: answer.applied_index,
                    was_already_active: answer.was_already_active,
                    summary: answer.capability_summary.len(),
                }
            }
            Call::EnableRaft(call) => {
                let answer = admin.enable_raft_envelope(call).await?.into_inner();
                Done {
                    index: answer.applied_index,
                    was_already_active: answer.was_already_active,
                    summary: answer.capability_summary.len(),
                }
            }
        })
    }
}
