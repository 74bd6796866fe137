//! Membership changes: checked by the leader before they are proposed, stored with
//! their index before their entry counts as applied, so that a restart neither
//! loses one nor applies one twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message as _;
use protobuf::Message as _;
use raft::eraftpb::{ConfChange, ConfChangeType, Entry};

use super::driver::Driver;
use super::handle::Answer;
use super::pending::Waiter;
use super::{EngineError, LogError, Membership, Refusal};
use crate::peers::{self, Peer};
use crate::wire;

/// A removed leader leads on for this long, so that the others learn of the removal.
const RETIRE: Duration = Duration::from_millis(200);

/// A membership change as asked for.
#[derive(Clone, Debug)]
pub struct Change {
    /// What to change.
    pub kind: ChangeKind,
    /// 0, or the configuration index the change rests on.
    pub previous_index: u64,
}

/// The kinds of membership change.
#[derive(Clone, Debug)]
pub enum ChangeKind {
    /// Adds a voter, or makes a learner one.
    AddVoter(Peer),
    /// Adds a learner.
    AddLearner(Peer),
    /// Makes a learner a voter once it has caught up.
    Promote {
        /// Whom.
        id: String,
        /// What it must have in its log.
        min_applied: u64,
        /// Whether not to look.
        skip_check: bool,
    },
    /// Removes a member.
    Remove(String),
}

impl Driver {
    pub(super) fn propose_change(&mut self, change: Change, answer: Answer<u64>) {
        if let Err(text) = self.check_change(&change) {
            let _ = answer.send(Err(Refusal::Admin(text)));
            return;
        }
        let (kind, peer) = match change.kind {
            ChangeKind::AddVoter(peer) => (ConfChangeType::AddNode, peer),
            ChangeKind::AddLearner(peer) => (ConfChangeType::AddLearnerNode, peer),
            ChangeKind::Promote { id, .. } => (ConfChangeType::AddNode, self.known(&id)),
            ChangeKind::Remove(id) => (ConfChangeType::RemoveNode, self.known(&id)),
        };
        let raft_id = peers::raft_id(&peer.id);
        let proposal_id = self.proposals.next_id();
        let context = wire::MembershipContext {
            proposal_id,
            peer: Some(wire::Peer {
                raft_id,
                id: peer.id,
                address: peer.address,
            }),
        };
        let mut conf_change = ConfChange::default();
        conf_change.set_change_type(kind);
        conf_change.node_id = raft_id;
        conf_change.context = context.encode_to_vec().into();
        match self.node.propose_conf_change(Vec::new(), conf_change) {
            Ok(()) => {
                let index = self.node.raft.raft_log.last_index();
                self.proposals
                    .wait(proposal_id, index, Waiter::Change(answer));
            }
            Err(_) => drop(answer.send(Err(Refusal::Admin("is not leader")))),
        }
    }

    /// A member as known, or one without an address for an id not known.
    fn known(&self, id: &str) -> Peer {
        let known = self.membership.peers.get(&peers::raft_id(id));
        known.cloned().unwrap_or_else(|| Peer {
            id: id.to_owned(),
            address: String::new(),
        })
    }

    fn check_change(&self, change: &Change) -> Result<(), &'static str> {
        if !self.is_leader() {
            return Err("is not leader");
        }
        if self.node.raft.lead_transferee.is_some() {
            return Err("leadership transfer is in progress");
        }
        if self.node.raft.has_pending_conf() {
            return Err("membership change blocked by pending config change");
        }
        if change.previous_index != 0 && change.previous_index != self.membership.index {
            return Err("configuration index does not match");
        }
        let state = &self.membership.state;
        match &change.kind {
            ChangeKind::AddVoter(peer) | ChangeKind::AddLearner(peer) => {
                let raft_id = peers::raft_id(&peer.id);
                let namesake = self.membership.peers.get(&raft_id);
                if namesake.is_some_and(|known| known.id != peer.id) {
                    return Err("id collides with another member's; choose a different raftID");
                }
                let learner = matches!(change.kind, ChangeKind::AddLearner(_));
                if learner && state.voters.contains(&raft_id) {
                    return Err("add-learner target is already a voter");
                }
                Ok(())
            }
            ChangeKind::Promote {
                id,
                min_applied,
                skip_check,
            } => self.check_promotion(peers::raft_id(id), *min_applied, *skip_check),
            ChangeKind::Remove(id) => {
                let raft_id = peers::raft_id(id);
                if !state.voters.contains(&raft_id) && !state.learners.contains(&raft_id) {
                    return Err("remove-server target is not a member");
                }
                if state.voters == [raft_id] {
                    return Err("remove-server target is the last voter");
                }
                Ok(())
            }
        }
    }

    fn check_promotion(
        &self,
        raft_id: u64,
        min_applied: u64,
        skip_check: bool,
    ) -> Result<(), &'static str> {
        if !self.membership.state.learners.contains(&raft_id) {
            return Err("promote-learner target is not a learner");
        }
        if skip_check {
            return Ok(());
        }
        if min_applied == 0 {
            return Err(
                "promote-learner requires min_applied_index>0 unless skip_min_applied_check is set",
            );
        }
        let progress = self.node.raft.prs().get(raft_id);
        if progress.is_none_or(|p| p.matched < min_applied) {
            return Err("promote-learner target has not caught up to min_applied_index");
        }
        Ok(())
    }

    pub(super) fn apply_change(&mut self, entry: &Entry) -> Result<(), EngineError> {
        let damaged = |what: String| EngineError::Log(LogError::Damaged(what));
        let change = ConfChange::parse_from_bytes(&entry.data)
            .map_err(|error| damaged(format!("membership entry {}: {error}", entry.index)))?;
        let context = wire::MembershipContext::decode(&change.context[..])
            .map_err(|error| damaged(format!("membership entry {}: {error}", entry.index)))?;
        // Stored already, by a process that ended before its state caught up.
        if entry.index > self.membership.index {
            self.change_members(entry.index, &change, &context)?;
        }
        self.fsm.skip(entry.index)?;
        self.proposals.changed(context.proposal_id, entry.index);
        Ok(())
    }

    fn change_members(
        &mut self,
        index: u64,
        change: &ConfChange,
        context: &wire::MembershipContext,
    ) -> Result<(), EngineError> {
        let state = self.node.apply_conf_change(change)?;
        let mut peers = self.membership.peers.clone();
        let removal = change.get_change_type() == ConfChangeType::RemoveNode;
        if removal {
            peers.remove(&change.node_id);
        } else if let Some(peer) = &context.peer {
            peers.insert(
                change.node_id,
                Peer {
                    id: peer.id.clone(),
                    address: peer.address.clone(),
                },
            );
            self.snapshots.forced = true;
        }
        let name = context.peer.as_ref().map_or("", |peer| &peer.id);
        tracing::info!(index, change = ?change.get_change_type(), name, "membership changed");
        if removal && change.node_id == self.node.raft.id {
            tracing::warn!("this node was removed from the cluster");
            if self.is_leader() {
                self.retire_at = Some(Instant::now() + RETIRE);
            }
        }
        self.node.mut_store().set_membership(Membership {
            index,
            state,
            peers,
        })?;
        self.membership = Arc::new(self.node.store().membership().clone());
        // A removed member may still have to hear of its removal from this very leader.
        let mut reachable = self.membership.peers.clone();
        if removal && let Some(peer) = &context.peer {
            let address = peer.address.clone();
            let id = peer.id.clone();
            reachable.insert(change.node_id, Peer { id, address });
        }
        self.outbox.set_peers(&reachable);
        Ok(())
    }

    pub(super) fn step_down_if_retired(&mut self, now: Instant) {
        if self.retire_at.is_some_and(|at| now >= at) {
            self.retire_at = None;
            if self.is_leader() {
                let term = self.node.raft.term;
                self.node.raft.become_follower(term, raft::INVALID_ID);
            }
        }
    }
}
