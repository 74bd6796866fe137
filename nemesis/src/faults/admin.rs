//! `admin`: a call of the store's encryption administration. A step: it stays.

use async_trait::async_trait;
use keyquake_rollout::Outcome;

use super::{Fault, Stage};
use crate::catalogue::{FaultInfo, FaultName};
use crate::in_flight::InFlight;
use crate::operator::CallRequest;
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::Admin,
    does: "makes a call of the encryption administration on the leader: bootstrap, enable-storage-envelope, enable-raft-envelope, rotate-storage or rotate-raft; it stays",
    needs: "a plan that names it, and nodes that have KEK, sidecar and flag",
    proves: "the leader accepted it and named its log index, and a majority of the nodes shows in its own key state that it applied it; with a fault `during` it, that it was sent",
    nodes_min: 1,
    needs_links: false,
    step: true,
};

pub(crate) struct Admin {
    /// Who led when it was aimed.
    leader: Vec<u16>,
    request: CallRequest,
    flight: InFlight,
    /// Whether a fault is to hit it: then its answer may be lost.
    hit: bool,
    came: Came,
}

/// What came of the call.
enum Came {
    Nothing,
    Accepted(u64),
    Lost,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    match target {
        Target::Leader => Ok(()),
        _ => Err("\"leader\", which may be left out"),
    }
}

impl Admin {
    pub(crate) fn new(leader: Vec<u16>, request: CallRequest, flight: InFlight, hit: bool) -> Self {
        Self {
            leader,
            request,
            flight,
            hit,
            came: Came::Nothing,
        }
    }
}

#[async_trait]
impl Fault for Admin {
    fn nodes(&self) -> Vec<u16> {
        self.leader.clone()
    }

    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let call = &self.request;
        let answer = stage.operator.call(call, None, &self.flight).await;
        self.flight.over();
        let said = answer.said;
        match answer.outcome {
            Outcome::Accepted => {
                self.came = answer.index.map_or(Came::Nothing, Came::Accepted);
                Ok(format!("{call} was accepted: {said}"))
            }
            Outcome::Indeterminate if self.hit => {
                self.came = Came::Lost;
                Ok(format!("{call} was sent, and its answer was lost: {said}"))
            }
            _ => Err(format!("{call} was not done: {said}")),
        }
    }

    async fn check(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        match self.came {
            Came::Accepted(index) => stage.operator.applied(index, &everybody(stage)).await,
            Came::Lost => Ok("it may have been committed".to_owned()),
            Came::Nothing => Err(format!("{} was not accepted", self.request)),
        }
    }

    async fn heal(&mut self, _: &Stage<'_>) -> Result<String, String> {
        Ok("nothing to undo: keys only ever go forward".to_owned())
    }
}

fn everybody(stage: &Stage<'_>) -> Vec<u16> {
    (0..stage.cluster.node_count()).collect()
}
