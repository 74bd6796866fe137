//! Handing leadership over, and telling whoever asked how it ended.

use std::time::{Duration, Instant};

use super::Refusal;
use super::driver::Driver;
use super::handle::Answer;
use crate::peers;

/// raft-rs gives a transfer up after one election timeout; the new leader must then show.
const PATIENCE: Duration = Duration::from_millis(2_000);

/// A transfer as asked for.
#[derive(Clone, Debug, Default)]
pub struct TransferRequest {
    /// To whom; `None` = to the member that is furthest.
    pub target: Option<(String, String)>,
    /// Whether the target may lag by at most `max_lag` entries.
    pub gated: bool,
    /// How many entries it may lag.
    pub max_lag: u64,
    /// Without a target: only to one of these, if any are named.
    pub candidates: Vec<String>,
}

/// A transfer under way.
pub(super) struct Transfer {
    target: u64,
    deadline: Instant,
    answer: Answer<()>,
}

impl Driver {
    pub(super) fn start_transfer(&mut self, request: &TransferRequest, answer: Answer<()>) {
        match self.transfer_target(request) {
            Ok(target) if target == self.node.raft.id => drop(answer.send(Ok(()))),
            Ok(target) => {
                self.node.transfer_leader(target);
                self.transfer = Some(Transfer {
                    target,
                    deadline: Instant::now() + PATIENCE,
                    answer,
                });
            }
            Err(text) => drop(answer.send(Err(Refusal::Admin(text)))),
        }
    }

    fn transfer_target(&self, request: &TransferRequest) -> Result<u64, &'static str> {
        let raft = &self.node.raft;
        if !self.is_leader() {
            return Err("is not leader");
        }
        if raft.lead_transferee.is_some() || self.transfer.is_some() {
            return Err("leadership transfer is in progress");
        }
        let voters = &self.membership.state.voters;
        let target = match &request.target {
            Some((id, address)) => {
                let raft_id = peers::raft_id(id);
                let known = self.membership.peers.get(&raft_id);
                if !voters.contains(&raft_id) || known.is_none_or(|p| p.address != *address) {
                    return Err("leadership transfer was rejected by raft (target is not a voter)");
                }
                raft_id
            }
            None => {
                let named: Vec<u64> = request
                    .candidates
                    .iter()
                    .map(|id| peers::raft_id(id))
                    .collect();
                voters
                    .iter()
                    .filter(|&&id| id != raft.id)
                    .filter(|id| named.is_empty() || named.contains(id))
                    .filter_map(|&id| Some((raft.prs().get(id)?, id)))
                    .filter(|(progress, _)| progress.recent_active)
                    .max_by_key(|(progress, _)| progress.matched)
                    .map(|(_, id)| id)
                    .ok_or("leadership transfer has no healthy target")?
            }
        };
        let matched = raft
            .prs()
            .get(target)
            .map_or(0, |progress| progress.matched);
        let lag = raft.raft_log.last_index().saturating_sub(matched);
        if request.gated && lag > request.max_lag {
            return Err("leadership transfer target is not caught up");
        }
        Ok(target)
    }

    pub(super) fn finish_transfer(&mut self, now: Instant) {
        let raft = &self.node.raft;
        let Some(transfer) = &self.transfer else {
            return;
        };
        let outcome = if raft.leader_id == transfer.target {
            Ok(())
        } else if (self.is_leader() && raft.lead_transferee.is_none())
            || (!self.is_leader() && raft.leader_id != 0)
            || now >= transfer.deadline
        {
            Err(Refusal::Admin("leadership transfer aborted"))
        } else {
            return;
        };
        if let Some(transfer) = self.transfer.take() {
            let _ = transfer.answer.send(outcome);
        }
    }
}
