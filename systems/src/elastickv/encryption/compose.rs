//! What a call says, made from what the node says of itself that gets it. Nothing is refused
//! here: what can't be is for the store to say.

use elastickv_wire::rotate_dek_request::Purpose as WirePurpose;
use elastickv_wire::{
    BootstrapEncryptionRequest, EnableRaftEnvelopeRequest, EnableStorageEnvelopeRequest,
    RegisterEncryptionWriterRequest, ResyncSidecarRequest, RotateDekRequest, SidecarStateReport,
    WriterRegistryEntry,
};
use keyquake_rollout::Call;
use thiserror::Error;

use super::node::Node;
use super::refusal::Answer;
use super::request::Request;
use super::{Dek, Kek, KeyError, NotAccepted, Purpose, full_node_id};

/// Why there is no request.
#[derive(Debug, Error)]
pub(super) enum Unmade {
    /// The node does not say what has to be known.
    #[error(transparent)]
    Unsaid(#[from] NotAccepted),
    /// A key could not be made or wrapped.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Neither the node nor its sidecar tells its epoch: any other may halt a whole cluster.
    #[error("{node} does not say its epoch under key {key}, and its sidecar can't be read")]
    EpochUnknown { node: String, key: u32 },
}

/// A node's keys as it says them; `None` if it says that it has none.
type State = Option<SidecarStateReport>;

impl Node {
    /// A request for it. `epoch` is one to register in place of its own.
    pub(super) async fn compose(
        &self,
        call: Call,
        epoch: Option<u32>,
        kek: &Kek,
    ) -> Result<Request, Unmade> {
        let state = self.state().await?;
        let full_node_id = full_node_id(&self.id);
        let proposer = |purpose| {
            let epoch = self.epoch(&state, purpose)?;
            Ok::<_, Unmade>((full_node_id, epoch))
        };
        Ok(match call {
            Call::Bootstrap => Request::Bootstrap(self.bootstrap(&state, kek).await?),
            Call::EnableStorageEnvelope => {
                let (proposer_node_id, proposer_local_epoch) = proposer(Purpose::Storage)?;
                Request::EnableStorageEnvelope(EnableStorageEnvelopeRequest {
                    proposer_node_id,
                    proposer_local_epoch,
                })
            }
            Call::EnableRaftEnvelope => {
                let (proposer_node_id, proposer_local_epoch) = proposer(Purpose::Raft)?;
                Request::EnableRaftEnvelope(EnableRaftEnvelopeRequest {
                    proposer_node_id,
                    proposer_local_epoch,
                })
            }
            Call::RotateStorage | Call::RotateRaft => {
                let (purpose, wire) = match call {
                    Call::RotateStorage => (Purpose::Storage, WirePurpose::Storage),
                    _ => (Purpose::Raft, WirePurpose::Raft),
                };
                let (proposer_node_id, proposer_local_epoch) = proposer(purpose)?;
                Request::Rotate(RotateDekRequest {
                    purpose: wire.into(),
                    wrapped_new_dek: wrapped(kek)?,
                    new_dek_id: new_id(&used(&state))?,
                    proposer_node_id,
                    proposer_local_epoch,
                })
            }
            Call::RegisterWriter => {
                let local_epoch = match epoch {
                    Some(epoch) => epoch,
                    None => self.epoch(&state, Purpose::Storage)?,
                };
                let dek_id = match active(&state, Purpose::Storage) {
                    // There is no key to name; 0 would only be a wrong argument.
                    0 => new_id(&[0])?,
                    id => id,
                };
                Request::Register(RegisterEncryptionWriterRequest {
                    dek_id,
                    writers: vec![WriterRegistryEntry {
                        full_node_id,
                        local_epoch,
                    }],
                })
            }
            Call::Resync => Request::Resync(ResyncSidecarRequest {
                caller_full_node_id: full_node_id,
            }),
        })
    }

    /// Its keys; a node without any refuses, and only one that says nothing is an error.
    async fn state(&self) -> Answer<State> {
        match self.asked.sidecar_state().await {
            Ok(state) => Ok(Some(state)),
            Err(silent @ NotAccepted::Failed { .. }) => Err(silent),
            Err(_) => Ok(None),
        }
    }

    /// Two new keys, and everybody whom the node knows as a member at epoch 0.
    async fn bootstrap(
        &self,
        state: &State,
        kek: &Kek,
    ) -> Result<BootstrapEncryptionRequest, Unmade> {
        let members = self.asked.members().await?;
        let storage = new_id(&used(state))?;
        let raft = new_id(&[&used(state)[..], &[storage]].concat())?;
        let writer = |member: &super::Member| WriterRegistryEntry {
            full_node_id: full_node_id(&member.id),
            local_epoch: 0,
        };
        Ok(BootstrapEncryptionRequest {
            wrapped_storage_dek: wrapped(kek)?,
            wrapped_raft_dek: wrapped(kek)?,
            storage_dek_id: storage,
            raft_dek_id: raft,
            writer_batch: members.iter().map(writer).collect(),
        })
    }

    /// Its epoch under the active key: as registered if it leads and tells (releases before 5E
    /// don't), else of its sidecar.
    fn epoch(&self, state: &State, purpose: Purpose) -> Result<u32, Unmade> {
        let key = active(state, purpose);
        if key == 0 {
            return Ok(0);
        }
        let registered = state
            .as_ref()
            .map(|state| &state.writer_registry_for_caller);
        if let Some(&epoch) = registered.and_then(|registered| registered.get(&key)) {
            return Ok(epoch);
        }
        let epoch = self.asked.epoch_on_disk(key);
        epoch.map(u32::from).ok_or_else(|| Unmade::EpochUnknown {
            node: self.id.clone(),
            key,
        })
    }
}

fn active(state: &State, purpose: Purpose) -> u32 {
    state.as_ref().map_or(0, |state| match purpose {
        Purpose::Storage => state.active_storage_id,
        Purpose::Raft => state.active_raft_id,
    })
}

/// Ids that are taken, 0 included.
fn used(state: &State) -> Vec<u32> {
    let known = state
        .iter()
        .flat_map(|state| state.wrapped_deks_by_id.keys());
    known.copied().chain([0]).collect()
}

fn wrapped(kek: &Kek) -> Result<bytes::Bytes, KeyError> {
    let wrapped = kek.wrap(&Dek::generate()?)?;
    Ok(wrapped.as_bytes().to_vec().into())
}

/// A random id that is not used yet.
pub(super) fn new_id(used: &[u32]) -> Result<u32, KeyError> {
    loop {
        let id = getrandom::u32().map_err(KeyError::Random)?;
        if !used.contains(&id) {
            return Ok(id);
        }
    }
}

#[cfg(test)]
mod tests;
