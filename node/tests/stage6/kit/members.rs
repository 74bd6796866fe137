//! Members come and go.

use elastickv_wire::{
    RaftAdminAddLearnerRequest, RaftAdminAddVoterRequest, RaftAdminConfigurationRequest,
    RaftAdminPromoteLearnerRequest, RaftAdminRemoveServerRequest,
};
use tonic::Status;

use super::{Lab, Setup};

/// As what a member is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    Learner,
    Voter,
}

impl Lab {
    /// Name and suffrage of every member.
    pub async fn members(&self, node: usize) -> Vec<(String, String)> {
        let mut raft = self.cluster.admin(node).await;
        let request = RaftAdminConfigurationRequest {};
        let answer = raft.configuration(request).await.expect("a configuration");
        let servers = answer.into_inner().servers.into_iter();
        servers.map(|s| (s.id, s.suffrage)).collect()
    }

    /// Starts a newcomer that waits to be added.
    pub fn start_newcomer(&mut self, node: usize, setup: Setup) {
        let list = self.cluster.member_list(node + 1);
        let flags = ["--raftJoinMembers", &list, "--raftJoinAsLearner"];
        self.joins.insert(node, flags.map(str::to_owned).to_vec());
        self.setups.insert(node, setup);
        self.start(node);
    }

    /// Asks the leader to add a node; the index of the change.
    pub async fn add(&self, leader: usize, node: usize, role: As) -> Result<u64, Status> {
        let mut raft = self.cluster.admin(leader).await;
        let (id, address) = (self.cluster.name(node), self.cluster.grpc(node));
        let answer = match role {
            As::Learner => {
                raft.add_learner(RaftAdminAddLearnerRequest {
                    id,
                    address,
                    previous_index: 0,
                })
                .await?
            }
            As::Voter => {
                raft.add_voter(RaftAdminAddVoterRequest {
                    id,
                    address,
                    previous_index: 0,
                })
                .await?
            }
        };
        Ok(answer.into_inner().index)
    }

    pub async fn promote(&self, leader: usize, node: usize) -> Result<u64, Status> {
        let request = RaftAdminPromoteLearnerRequest {
            id: self.cluster.name(node),
            min_applied_index: 1,
            ..RaftAdminPromoteLearnerRequest::default()
        };
        let mut raft = self.cluster.admin(leader).await;
        Ok(raft.promote_learner(request).await?.into_inner().index)
    }

    /// Removes a member.
    pub async fn remove(&self, node: usize) {
        let leader = self.leader().await;
        let request = RaftAdminRemoveServerRequest {
            id: self.cluster.name(node),
            previous_index: 0,
        };
        let mut raft = self.cluster.admin(leader).await;
        raft.remove_server(request).await.expect("a removal");
    }

    /// Starts a newcomer, adds it, and waits until it is one of the cluster.
    pub async fn join(&mut self, node: usize, setup: Setup, role: As) -> u64 {
        self.start_newcomer(node, setup);
        // It can be asked what it is capable of once its port is open.
        self.cluster.patiently(node).await;
        let leader = self.leader().await;
        let index = self.add(leader, node, role).await.expect("a new member");
        let applied = move |s: &elastickv_wire::RaftAdminStatusResponse| s.applied_index >= index;
        self.cluster.until(node, "membership", applied).await;
        self.settle().await;
        index
    }
}
