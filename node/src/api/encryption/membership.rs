//! Membership changes under encryption: a newcomer is asked whether it is capable, and gets
//! its registry rows for every key before the change commits (§7.1, 7c).

use std::sync::Arc;

use tonic::Status;

use super::capability;
use crate::bugs::{self, Bug};
use crate::consensus::{Node, Refusal};
use crate::encryption::{Encryption, KeyEntry, Slot, WriterRow, node_id};
use crate::fsm::Fsm;
use crate::peers::{self, Peer};
use crate::release::Release;

/// Decides who may become a member or a voter.
pub struct Admission {
    node: Node,
    fsm: Arc<Fsm>,
    encryption: Arc<Encryption>,
}

impl Admission {
    /// Of a node.
    pub fn new(node: Node, fsm: Arc<Fsm>, encryption: Arc<Encryption>) -> Self {
        Self {
            node,
            fsm,
            encryption,
        }
    }

    /// Admits a newcomer, or a learner that is to be a voter.
    ///
    /// # Errors
    /// It is not capable, or its rows could not be registered; the membership stays as it is.
    pub async fn admit(&self, peer: &Peer) -> Result<(), Status> {
        let state = self.fsm.keys();
        let leads = self.node.status().is_leader();
        if !leads || !state.is_bootstrapped() || !self.encryption.may_mutate() {
            return Ok(());
        }
        let full_node_id = peers::raft_id(&peer.id);
        let cut_over = state.storage_envelope_active || state.raft_envelope_cutover_index != 0;
        if cut_over && !bugs::on(Bug::AddsIncapable) {
            let since = match state.raft_envelope_cutover_index {
                0 => Release::Stage6D,
                _ => Release::Stage6E,
            };
            capability::ask(full_node_id, peer, since)
                .await
                .map_err(|text| {
                    Status::failed_precondition(format!(
                        "encryption: ErrPeerNotEncryptionCapable: membership change refused ({text})"
                    ))
                })?;
        }
        if bugs::on(Bug::LearnerWithoutRows) {
            return Ok(());
        }
        for key in &state.keys {
            let slot = Slot {
                dek_id: key.id,
                node_id: node_id(full_node_id),
            };
            let known = self.fsm.writer(slot);
            let known = known.map_err(|error| Status::internal(error.to_string()))?;
            match known {
                Some(writer) if writer.full_node_id == full_node_id => continue,
                _ => self.register(key.id, full_node_id).await?,
            }
        }
        Ok(())
    }

    async fn register(&self, dek_id: u32, full_node_id: u64) -> Result<(), Status> {
        let row = WriterRow {
            dek_id,
            full_node_id,
            local_epoch: 0,
        };
        let registered = self.node.keys(KeyEntry::Register(row)).await;
        registered.map(drop).map_err(|refusal| match refusal {
            Refusal::NotLeader => Status::failed_precondition("etcd raft engine is not leader"),
            other => Status::failed_precondition(other.to_string()),
        })
    }
}
