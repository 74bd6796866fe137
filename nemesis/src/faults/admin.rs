//! `admin`: a call of the store's encryption administration. A step: it stays.

use async_trait::async_trait;

use super::{Fault, Stage};
use crate::catalogue::{FaultInfo, FaultName};
use crate::in_flight::InFlight;
use crate::operator::{AdminCall, NotAccepted};
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
    call: AdminCall,
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
    pub(crate) fn new(leader: Vec<u16>, call: AdminCall, flight: InFlight, hit: bool) -> Self {
        Self {
            leader,
            call,
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
        let came = stage.operator.call(self.call, &self.flight).await;
        self.flight.over();
        match came {
            Ok(accepted) => {
                self.came = Came::Accepted(accepted.index);
                Ok(format!("{} was accepted: {}", self.call, accepted.answer))
            }
            Err(NotAccepted::Lost(error)) if self.hit => {
                self.came = Came::Lost;
                Ok(format!(
                    "{} was sent, and its answer was lost: {error}",
                    self.call
                ))
            }
            Err(NotAccepted::Lost(error) | NotAccepted::Refused(error)) => {
                Err(format!("{} was not done: {error}", self.call))
            }
        }
    }

    async fn check(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        match self.came {
            Came::Accepted(index) => stage.operator.applied(index).await,
            Came::Lost => Ok("it may have been committed".to_owned()),
            Came::Nothing => Err(format!("{} was not accepted", self.call)),
        }
    }

    async fn heal(&mut self, _: &Stage<'_>) -> Result<String, String> {
        Ok("nothing to undo: keys only ever go forward".to_owned())
    }
}
