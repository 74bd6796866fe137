//! What a node knows of itself and the cluster, published after every step.

use std::sync::Arc;
use std::time::Instant;

use super::Membership;
use crate::peers::Peer;

/// A node's part in the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    #[default]
    Follower,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
}

/// A node's own view; nothing here is verified with a quorum.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// This node's Raft id.
    pub id: u64,
    /// This node's part.
    pub role: Role,
    /// The leader's Raft id, 0 if unknown.
    pub leader: u64,
    /// The current term.
    pub term: u64,
    /// How far the log is known to be committed.
    pub commit: u64,
    /// How far it is applied.
    pub applied: u64,
    /// The log's last index.
    pub last_index: u64,
    /// The index of the snapshot the log starts behind.
    pub snapshot_index: u64,
    /// Whether a membership change is on its way.
    pub pending_change: bool,
    /// Who takes part.
    pub membership: Arc<Membership>,
    /// When the leader was last heard.
    pub last_contact: Option<Instant>,
    /// Only `halted-serves` is seen with it: whoever else halts, ends.
    pub halted: bool,
}

impl Status {
    /// Whether this node thinks it leads.
    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }

    /// The leader, if known by name and address.
    pub fn leader_peer(&self) -> Option<&Peer> {
        self.membership.peers.get(&self.leader)
    }

    /// Whether this node has caught up as a member: what a joining node waits for.
    pub fn has_joined(&self) -> bool {
        let state = &self.membership.state;
        (state.voters.contains(&self.id) || state.learners.contains(&self.id))
            && self.leader != 0
            && !self.pending_change
            && self.applied >= self.commit
    }
}
