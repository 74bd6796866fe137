//! `--encryption-rotate-on-startup` (6F): a request. A leader rotates both keys once before
//! its clients' listeners open; a follower remembers it, and fires only if it comes to lead
//! in the same uptime. It may quietly expire.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::bugs::{self, Bug};
use crate::consensus::{Node, Refusal};
use crate::encryption::{Encryption, KeyEntry, Purpose, Slot, WriterRow, node_id};
use crate::fsm::Fsm;

/// How long a start waits to learn who leads.
const WHO_LEADS: Duration = Duration::from_secs(3);
/// How long a rotation may take in all before it expires.
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(50);

/// What a start's rotation needs.
#[derive(Clone)]
pub(super) struct StartupRotation {
    pub(super) node: Node,
    pub(super) fsm: Arc<Fsm>,
    pub(super) encryption: Arc<Encryption>,
}

impl StartupRotation {
    /// Rotates now if this node leads; otherwise leaves it to whenever it does.
    pub(super) async fn begin(self) {
        let mut watch = self.node.watch();
        // A cluster without a leader must not keep a member from starting.
        let _ = timeout(WHO_LEADS, watch.wait_for(|status| status.leader != 0)).await;
        if self.node.status().is_leader() || bugs::on(Bug::RotatesOnFollower) {
            self.fire().await;
            return;
        }
        tokio::spawn(async move {
            if watch.wait_for(|status| status.is_leader()).await.is_ok() {
                self.fire().await;
            }
        });
    }

    async fn fire(&self) {
        self.encryption.set_rotation_pending(true);
        let deadline = Instant::now() + PATIENCE;
        let times = if bugs::on(Bug::RotatesTwice) { 2 } else { 1 };
        for purpose in [Purpose::Storage, Purpose::Raft].repeat(times) {
            if let Err(why) = self.rotate(purpose, deadline).await {
                tracing::info!("encryption rotate-on-startup: {purpose:?} not rotated: {why}");
                break;
            }
        }
        self.encryption.set_rotation_pending(false);
    }

    async fn rotate(&self, purpose: Purpose, deadline: Instant) -> Result<(), String> {
        let dek = rand::random::<[u8; 32]>().into();
        let kek = self.encryption.kek().ok_or("no KEK")?;
        let wrapped = kek.wrap(&dek).map_err(|error| error.to_string())?;
        // One id for all tries: a try whose outcome is unknown is then the same rotation.
        let known = self.fsm.keys();
        let id = std::iter::repeat_with(rand::random::<u32>)
            .find(|id| *id != 0 && known.key(*id).is_none())
            .unwrap_or(1);
        loop {
            let state = self.fsm.keys();
            if !state.is_bootstrapped() {
                return Err("the cluster is not bootstrapped".to_owned());
            }
            let full_node_id = self.encryption.full_node_id();
            let slot = Slot {
                dek_id: state.active.of(purpose),
                node_id: node_id(full_node_id),
            };
            let writer = self.fsm.writer(slot).map_err(|error| error.to_string())?;
            let row = WriterRow {
                dek_id: id,
                full_node_id,
                local_epoch: writer.map_or(0, |writer| writer.last_seen),
            };
            let entry = KeyEntry::Rotate {
                purpose,
                wrapped: wrapped.clone().into(),
                row,
            };
            match self.propose(entry).await {
                Ok(index) => {
                    tracing::info!(index, dek_id = id, "encryption rotate-on-startup: rotated");
                    return Ok(());
                }
                Err(refusal @ (Refusal::NotLeader | Refusal::LeadershipLost)) => {
                    return Err(refusal.to_string());
                }
                Err(refusal) if Instant::now() >= deadline => return Err(refusal.to_string()),
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    async fn propose(&self, entry: KeyEntry) -> Result<u64, Refusal> {
        if bugs::on(Bug::RotatesOnFollower) && !self.node.status().is_leader() {
            return self.ask_leader(entry).await;
        }
        self.node.keys(entry).await.map(|applied| applied.index)
    }

    /// `rotates-on-follower`.
    async fn ask_leader(&self, entry: KeyEntry) -> Result<u64, Refusal> {
        let KeyEntry::Rotate {
            purpose,
            wrapped,
            row,
        } = entry
        else {
            return Err(Refusal::NotLeader);
        };
        let request = elastickv_wire::RotateDekRequest {
            purpose: match purpose {
                Purpose::Storage => 1,
                Purpose::Raft => 2,
            },
            wrapped_new_dek: wrapped,
            new_dek_id: row.dek_id,
            proposer_node_id: row.full_node_id,
            proposer_local_epoch: row.local_epoch.into(),
        };
        let status = self.node.status();
        let leader = status.leader_peer().ok_or(Refusal::NotLeader)?;
        let refused = |text: String| Refusal::Refused(text);
        let channel = crate::transport::connect(&leader.address)
            .await
            .map_err(|error| refused(error.to_string()))?;
        let mut client =
            elastickv_wire::encryption_admin_client::EncryptionAdminClient::new(channel);
        let answer = client.rotate_dek(request).await;
        let answer = answer.map_err(|status| refused(status.message().to_owned()))?;
        Ok(answer.into_inner().applied_index)
    }
}
