//! Keeps this process registered as a writer under every active key: at its start, after a
//! rotation, as a newcomer. Until it is, it does not seal.

use std::sync::Arc;
use std::time::Duration;

use elastickv_wire::encryption_admin_client::EncryptionAdminClient;
use elastickv_wire::{RegisterEncryptionWriterRequest, WriterRegistryEntry};
use tonic::Status;

use super::StartError;
use crate::bugs::{self, Bug};
use crate::consensus::{Input, Node};
use crate::encryption::Encryption;
use crate::transport::connect;

/// How often a registered process looks for a new key.
const LOOK: Duration = Duration::from_millis(50);
/// How soon an unregistered one tries again.
const AGAIN: Duration = Duration::from_millis(20);
/// How long the leader may take.
const CALL: Duration = Duration::from_secs(5);

/// Registers whatever is missing, for as long as the node runs; ends only with what a start
/// would have refused.
pub(super) async fn keep(node: Node, encryption: Arc<Encryption>) -> StartError {
    loop {
        let status = node.status();
        let missing = encryption.missing_registrations();
        if missing.is_empty() || goes_on_silently(&node, &encryption, &missing) {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        if status.is_leader() {
            node.notify(Input::RegisterSelf);
        } else if let Some(leader) = status.leader_peer() {
            for (dek_id, epoch) in missing {
                match register(&leader.address, &encryption, dek_id, epoch).await {
                    Ok(()) => {
                        tracing::info!(
                            dek_id,
                            local_epoch = epoch,
                            "encryption: writer registration committed; first-write barrier \
                             released"
                        );
                        encryption.mark_registered(dek_id);
                        node.notify(Input::Wake);
                    }
                    Err(status) if is_final(&status) => {
                        return StartError::Guard(format!(
                            "encryption startup guard: {} (--encryptionSidecarPath)",
                            status.message()
                        ));
                    }
                    Err(status) => {
                        tracing::debug!("writer registration: {}", status.message());
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// `seals-unregistered`, and `learner-without-rows` in whoever is not a voter: it does not
/// register, and goes on as if its rows were there.
fn goes_on_silently(node: &Node, encryption: &Encryption, missing: &[(u32, u16)]) -> bool {
    let status = node.status();
    let voters = &status.membership.state.voters;
    let learns = bugs::on(Bug::LearnerWithoutRows) && !voters.contains(&status.id);
    if !bugs::on(Bug::SealsUnregistered) && !learns {
        return false;
    }
    // Until it knows the members it does not know what it is.
    if !learns || !voters.is_empty() {
        for (dek_id, _) in missing {
            encryption.mark_registered(*dek_id);
        }
        node.notify(Input::Wake);
    }
    true
}

/// A refusal that no later try can change.
fn is_final(status: &Status) -> bool {
    let text = status.message();
    text.contains("ErrLocalEpochRollback") || text.contains("ErrNodeIDCollision")
}

async fn register(
    address: &str,
    encryption: &Encryption,
    dek_id: u32,
    epoch: u16,
) -> Result<(), Status> {
    let writer = WriterRegistryEntry {
        full_node_id: encryption.full_node_id(),
        local_epoch: epoch.into(),
    };
    let request = RegisterEncryptionWriterRequest {
        dek_id,
        writers: vec![writer],
    };
    let call = async {
        let channel = connect(address)
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let mut client = EncryptionAdminClient::new(channel);
        client.register_encryption_writer(request).await.map(drop)
    };
    tokio::time::timeout(CALL, call)
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer from the leader")))
}
