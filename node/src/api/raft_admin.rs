//! elastickv's RaftAdmin calls: status and membership from any node, changes on the leader.

use elastickv_wire::raft_admin_server::RaftAdmin;
use elastickv_wire::{
    RaftAdminAddLearnerRequest, RaftAdminAddVoterRequest, RaftAdminConfigurationChangeResponse,
    RaftAdminConfigurationRequest, RaftAdminConfigurationResponse, RaftAdminMember,
    RaftAdminPromoteLearnerRequest, RaftAdminRemoveServerRequest, RaftAdminState,
    RaftAdminStatusRequest, RaftAdminStatusResponse, RaftAdminTransferLeadershipRequest,
    RaftAdminTransferLeadershipResponse,
};
use tonic::{Request, Response, Status};

use super::Admission;
use crate::consensus::{Change, ChangeKind, Node, Refusal, Role, TransferRequest};
use crate::peers::Peer;

/// RaftAdmin on any node.
pub struct AdminService {
    node: Node,
    admission: Admission,
}

type Changed = Result<Response<RaftAdminConfigurationChangeResponse>, Status>;

impl AdminService {
    /// Of a node.
    pub fn new(node: Node, admission: Admission) -> Self {
        Self { node, admission }
    }

    async fn change(&self, kind: ChangeKind, previous_index: u64) -> Changed {
        match &kind {
            ChangeKind::AddVoter(peer) | ChangeKind::AddLearner(peer) => {
                self.admission.admit(peer).await?;
            }
            ChangeKind::Promote { id, .. } => {
                let members = self.node.status().membership.clone();
                if let Some(peer) = members.peers.get(&crate::peers::raft_id(id)) {
                    self.admission.admit(peer).await?;
                }
            }
            ChangeKind::Remove(_) => {}
        }
        let change = Change {
            kind,
            previous_index,
        };
        let index = self.node.change(change).await.map_err(status_of)?;
        Ok(Response::new(RaftAdminConfigurationChangeResponse {
            index,
        }))
    }
}

fn status_of(refusal: Refusal) -> Status {
    let text = match &refusal {
        Refusal::NotLeader => "etcd raft engine is not leader".to_owned(),
        other => other.to_string(),
    };
    Status::failed_precondition(text)
}

fn peer(id: String, address: String) -> Result<Peer, Status> {
    if id.is_empty() || address.is_empty() {
        return Err(Status::invalid_argument("id and address are required"));
    }
    Ok(Peer { id, address })
}

fn required(id: String) -> Result<String, Status> {
    if id.is_empty() {
        return Err(Status::invalid_argument("id is required"));
    }
    Ok(id)
}

#[tonic::async_trait]
impl RaftAdmin for AdminService {
    async fn status(
        &self,
        _request: Request<RaftAdminStatusRequest>,
    ) -> Result<Response<RaftAdminStatusResponse>, Status> {
        let status = self.node.status();
        let state = match status.role {
            Role::Follower => RaftAdminState::Follower,
            Role::Candidate => RaftAdminState::Candidate,
            Role::Leader => RaftAdminState::Leader,
        };
        let leader = status.leader_peer();
        let since = |at: std::time::Instant| at.elapsed().as_nanos();
        let contact = match (status.role, status.last_contact) {
            (Role::Leader, _) | (_, None) => 0,
            (_, Some(at)) => since(at),
        };
        Ok(Response::new(RaftAdminStatusResponse {
            state: state.into(),
            leader_id: leader.map(|p| p.id.clone()).unwrap_or_default(),
            leader_address: leader.map(|p| p.address.clone()).unwrap_or_default(),
            term: status.term,
            commit_index: status.commit,
            applied_index: status.applied,
            last_log_index: status.last_index,
            last_snapshot_index: status.snapshot_index,
            fsm_pending: status.commit.saturating_sub(status.applied),
            num_peers: status.membership.peers.len().saturating_sub(1) as u64,
            last_contact_nanos: i64::try_from(contact).unwrap_or(i64::MAX),
            configuration_index: status.membership.index,
            pending_conf_change: status.pending_change,
        }))
    }

    async fn configuration(
        &self,
        _request: Request<RaftAdminConfigurationRequest>,
    ) -> Result<Response<RaftAdminConfigurationResponse>, Status> {
        let membership = self.node.status().membership.clone();
        let member = |suffrage: &'static str| {
            let peers = &membership.peers;
            move |id: &u64| {
                let peer = peers.get(id)?;
                Some(RaftAdminMember {
                    id: peer.id.clone(),
                    address: peer.address.clone(),
                    suffrage: suffrage.to_owned(),
                })
            }
        };
        let voters = membership.state.voters.iter().filter_map(member("voter"));
        let learners = membership
            .state
            .learners
            .iter()
            .filter_map(member("learner"));
        let mut servers: Vec<_> = voters.chain(learners).collect();
        servers.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Response::new(RaftAdminConfigurationResponse { servers }))
    }

    async fn add_voter(&self, request: Request<RaftAdminAddVoterRequest>) -> Changed {
        let request = request.into_inner();
        let peer = peer(request.id, request.address)?;
        self.change(ChangeKind::AddVoter(peer), request.previous_index)
            .await
    }

    async fn add_learner(&self, request: Request<RaftAdminAddLearnerRequest>) -> Changed {
        let request = request.into_inner();
        let peer = peer(request.id, request.address)?;
        self.change(ChangeKind::AddLearner(peer), request.previous_index)
            .await
    }

    async fn promote_learner(&self, request: Request<RaftAdminPromoteLearnerRequest>) -> Changed {
        let request = request.into_inner();
        let kind = ChangeKind::Promote {
            id: required(request.id)?,
            min_applied: request.min_applied_index,
            skip_check: request.skip_min_applied_check,
        };
        self.change(kind, request.previous_index).await
    }

    async fn remove_server(&self, request: Request<RaftAdminRemoveServerRequest>) -> Changed {
        let request = request.into_inner();
        let id = required(request.id)?;
        self.change(ChangeKind::Remove(id), request.previous_index)
            .await
    }

    async fn transfer_leadership(
        &self,
        request: Request<RaftAdminTransferLeadershipRequest>,
    ) -> Result<Response<RaftAdminTransferLeadershipResponse>, Status> {
        let request = request.into_inner();
        if request.target_id.is_empty() != request.target_address.is_empty() {
            return Err(Status::invalid_argument(
                "target_id and target_address must be provided together",
            ));
        }
        let target = (request.target_id, request.target_address);
        let candidates = request.target_candidates.into_iter();
        let transfer = TransferRequest {
            target: (!target.0.is_empty()).then_some(target),
            gated: request.gated,
            max_lag: request.max_lag,
            candidates: candidates.map(|candidate| candidate.target_id).collect(),
        };
        self.node.transfer(transfer).await.map_err(status_of)?;
        Ok(Response::new(RaftAdminTransferLeadershipResponse {}))
    }
}
