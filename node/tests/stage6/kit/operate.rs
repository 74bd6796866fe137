//! The operator's steps: bootstrap, cutovers, rotations, writes, reads, leadership; each
//! goes to the leader and is done when it is acknowledged.

use std::time::Duration;

use elastickv_wire::raw_kv_client::RawKvClient;
use elastickv_wire::{
    BootstrapEncryptionRequest, RaftAdminTransferLeadershipRequest, RawGetRequest, RawPutRequest,
    ResyncSidecarRequest, RotateDekRequest, WriterRegistryEntry,
};
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::{Admin, Call, Done, Lab, Purpose, keys, wait};
use crate::cluster::PATIENCE;

/// Whether the same call may be made again: the leader moved, or its outcome is not known.
fn passing(status: &Status) -> bool {
    const TEXTS: [&str; 6] = [
        "not leader",
        "VerifyLeader",
        "raced",
        "leadership",
        "not yet registered",
        "stale-DEK",
    ];
    let unknown = [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled];
    unknown.contains(&status.code()) || TEXTS.iter().any(|text| status.message().contains(text))
}

impl Lab {
    pub async fn leader(&self) -> usize {
        self.cluster.leader().await
    }

    pub async fn admin(&self, node: usize) -> Admin {
        Admin::new(self.cluster.patiently(node).await)
    }

    /// A new DEK's id and its wrapped bytes.
    pub fn new_dek(&mut self) -> (u32, bytes::Bytes) {
        self.next_dek += 1;
        (self.next_dek, keys::wrap(&self.kek, &rand::random()))
    }

    /// A bootstrap with new keys and a row for every member.
    pub async fn bootstrap_call(&mut self) -> Call {
        let leader = self.leader().await;
        let members = self.members(leader).await;
        let ((storage_dek_id, storage), (raft_dek_id, raft)) = (self.new_dek(), self.new_dek());
        let writer = |(id, _): &(String, String)| WriterRegistryEntry {
            full_node_id: keys::full_node_id(id),
            local_epoch: 0,
        };
        Call::Bootstrap(BootstrapEncryptionRequest {
            wrapped_storage_dek: storage,
            wrapped_raft_dek: raft,
            storage_dek_id,
            raft_dek_id,
            writer_batch: members.iter().map(writer).collect(),
        })
    }

    /// A member's registered epochs by DEK, as the leader knows them.
    pub async fn registered(&self, full_node_id: u64) -> Result<Vec<(u32, u32)>, Status> {
        let leader = self.leader().await;
        let request = ResyncSidecarRequest {
            caller_full_node_id: full_node_id,
        };
        let answer = self.admin(leader).await.resync_sidecar(request).await?;
        let mut rows: Vec<_> = answer
            .into_inner()
            .writer_registry_for_caller
            .into_iter()
            .collect();
        rows.sort_unstable();
        Ok(rows)
    }

    /// The leader's id and its registered epoch for the active key of a purpose.
    async fn proposer(&self, purpose: Purpose) -> (u64, u32) {
        let leader = self.leader().await;
        let active = self.keys_of(leader).active;
        let dek = match purpose {
            Purpose::Storage => active.storage,
            Purpose::Raft => active.raft,
        };
        let id = self.full_node_id(leader);
        let rows = self.registered(id).await.expect("the registry");
        let epoch = rows.iter().find(|(row, _)| *row == dek);
        (id, epoch.map_or(0, |(_, epoch)| *epoch))
    }

    /// A rotation to a new key, proposed by the leader.
    pub async fn rotate_call(&mut self, purpose: Purpose) -> Call {
        let (proposer_node_id, proposer_local_epoch) = self.proposer(purpose).await;
        let (new_dek_id, wrapped_new_dek) = self.new_dek();
        Call::Rotate(RotateDekRequest {
            purpose: purpose as i32,
            wrapped_new_dek,
            new_dek_id,
            proposer_node_id,
            proposer_local_epoch,
        })
    }

    /// The cutover of a purpose's envelope, proposed by the leader.
    pub async fn enable_call(&self, purpose: Purpose) -> Call {
        let (id, epoch) = self.proposer(purpose).await;
        match purpose {
            Purpose::Storage => Call::enable_storage(id, epoch),
            Purpose::Raft => Call::enable_raft(id, epoch),
        }
    }

    /// Makes a call of the leader, again where it moved, until it is accepted.
    pub async fn done(&self, call: &Call) -> Done {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leader = self.leader().await;
            match call.make(&mut self.admin(leader).await).await {
                Ok(done) => return done,
                Err(status) => assert!(
                    passing(&status) && Instant::now() < deadline,
                    "n{}: {call:?}: {status}",
                    leader + 1
                ),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn bootstrap(&mut self) -> Done {
        let call = self.bootstrap_call().await;
        self.done(&call).await
    }

    pub async fn rotate(&mut self, purpose: Purpose) -> Done {
        self.settle().await;
        let call = self.rotate_call(purpose).await;
        self.done(&call).await
    }

    pub async fn enable(&mut self, purpose: Purpose) -> Done {
        self.settle().await;
        let call = self.enable_call(purpose).await;
        self.done(&call).await
    }

    /// Bootstrap and the storage cutover.
    pub async fn enter_phase_1(&mut self) {
        self.bootstrap().await;
        self.enable(Purpose::Storage).await;
    }

    /// Bootstrap and both cutovers; the cutover index.
    pub async fn enter_phase_2(&mut self) -> u64 {
        self.enter_phase_1().await;
        self.enable(Purpose::Raft).await.index
    }

    /// Waits until every running node has applied what the leader has, agrees with it
    /// about the keys, and is registered with the epoch its sidecar says.
    pub async fn settle(&self) {
        wait("quiet cluster", async || self.settled().await).await;
    }

    async fn settled(&self) -> Result<(), String> {
        let leader = self.leader().await;
        let status = self.cluster.status(leader).await;
        let commit = status.map_err(|e| e.to_string())?.commit_index;
        let keys = self.sidecar(leader);
        for node in self.running() {
            let status = self.cluster.status(node).await;
            let applied = status.map_err(|e| format!("n{}: {e}", node + 1));
            let applied = applied?.applied_index;
            if applied < commit {
                return Err(format!("n{} applied {applied} of {commit}", node + 1));
            }
            let Some(keys) = &keys else { continue };
            let own = self.sidecar(node);
            let Some(own) = own.filter(|own| own.shared() == keys.shared()) else {
                return Err(format!("n{}: other keys than the leader's", node + 1));
            };
            if !self.setups[&node].seals() {
                continue;
            }
            let rows = self.registered(self.full_node_id(node)).await;
            let rows = rows.map_err(|e| e.to_string())?;
            let mut wanted = vec![(keys.active.storage, own.storage_epoch())];
            if keys.raft_envelope_cutover_index != 0 {
                wanted.push((keys.active.raft, own.raft_epoch()));
            }
            for (dek, epoch) in wanted {
                if !rows.contains(&(dek, u32::from(epoch))) {
                    let text =
                        format!("n{}: epoch {epoch} of {dek}, registered {rows:?}", node + 1);
                    return Err(text);
                }
            }
        }
        Ok(())
    }

    /// Writes through the leader until acknowledged; remembers what must be read.
    pub async fn write(&mut self, prefix: &str, count: usize) {
        let mut kv = self.kv().await;
        for number in 0..count {
            let key = format!("{prefix}-{number}");
            let value = format!("canary-{key}-{:032x}", rand::random::<u128>());
            let put = RawPutRequest {
                key: key.clone().into(),
                value: value.clone().into(),
            };
            let deadline = Instant::now() + PATIENCE;
            while let Err(error) = kv.raw_put(put.clone()).await {
                assert!(Instant::now() < deadline, "{key} is not taken: {error}");
                sleep(Duration::from_millis(20)).await;
                kv = self.kv().await;
            }
            self.written.insert(key, value);
        }
    }

    async fn kv(&self) -> RawKvClient<Channel> {
        self.cluster.kv(self.leader().await).await
    }

    /// Reads everything written, through the leader.
    pub async fn check(&self) {
        let mut kv = self.kv().await;
        for (key, value) in &self.written {
            let get = RawGetRequest {
                key: key.clone().into(),
                ..RawGetRequest::default()
            };
            let deadline = Instant::now() + PATIENCE;
            let answer = loop {
                match kv.raw_get(get.clone()).await {
                    Ok(answer) => break answer.into_inner(),
                    Err(error) => assert!(Instant::now() < deadline, "{key}: {error}"),
                }
                sleep(Duration::from_millis(20)).await;
                kv = self.kv().await;
            };
            let read = answer.exists.then_some(&answer.value[..]);
            assert_eq!(read, Some(value.as_bytes()), "{key}");
        }
    }

    /// Reads everything written from each running voter's own state: each leads in turn.
    pub async fn check_everywhere(&self) {
        let voters = self.members(self.leader().await).await;
        for node in self.running() {
            let name = self.cluster.name(node);
            let votes = |(id, suffrage): &(String, String)| *id == name && suffrage == "voter";
            if voters.iter().any(votes) {
                self.check_on(node).await;
            }
        }
    }

    /// Reads everything written while this node leads.
    pub async fn check_on(&self, node: usize) {
        wait("reads under one leader", async || {
            self.lead(node).await;
            self.check().await;
            let status = self.cluster.status(node).await;
            match status.is_ok_and(|status| status.state == 3) {
                true => Ok(()),
                false => Err(format!("n{} led no longer", node + 1)),
            }
        })
        .await;
    }

    /// Hands leadership to a node.
    pub async fn lead(&self, node: usize) {
        wait("transfer of leadership", async || {
            let leader = self.leader().await;
            if leader == node {
                return Ok(());
            }
            let transfer = RaftAdminTransferLeadershipRequest {
                target_id: self.cluster.name(node),
                target_address: self.cluster.grpc(node),
                ..RaftAdminTransferLeadershipRequest::default()
            };
            let mut raft = self.cluster.admin(leader).await;
            let outcome = raft.transfer_leadership(transfer).await;
            Err(format!("n{} leads; {:?}", leader + 1, outcome.err()))
        })
        .await;
    }

    /// Waits until a lone node leads, or has ended; `false` = it ended.
    pub async fn leads_or_ends(&mut self, node: usize) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.cluster.status(node).await.is_ok_and(|s| s.state == 3) {
                return true;
            }
            let moment = Duration::from_millis(50);
            if tokio::time::timeout(moment, self.cluster.exit_code(node))
                .await
                .is_ok()
            {
                return false;
            }
            assert!(
                Instant::now() < deadline,
                "n{} neither leads nor ends",
                node + 1
            );
        }
    }
}
