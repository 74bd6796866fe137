//! `admin`: a call of the store's encryption administration. A step: it stays.

use async_trait::async_trait;

use super::{Fault, Stage};
use crate::catalogue::{FaultInfo, FaultName};
use crate::operator::AdminCall;
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::Admin,
    does: "makes a call of the encryption administration on the leader: bootstrap, enable-storage-envelope, enable-raft-envelope, rotate-storage or rotate-raft; it stays",
    needs: "a plan that names it, and nodes that have KEK, sidecar and flag",
    proves: "the leader accepted it and named its log index, and a majority of the nodes shows in its own key state that it applied it",
    nodes_min: 1,
    needs_links: false,
    step: true,
};

pub(crate) struct Admin {
    /// Who led when it was aimed.
    leader: Vec<u16>,
    call: AdminCall,
    /// The log index, once it was accepted.
    index: Option<u64>,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    match target {
        Target::Leader => Ok(()),
        _ => Err("\"leader\", which may be left out"),
    }
}

impl Admin {
    pub(super) fn new(leader: Vec<u16>, call: AdminCall) -> Self {
        Self {
            leader,
            call,
            index: None,
        }
    }
}

#[async_trait]
impl Fault for Admin {
    fn nodes(&self) -> Vec<u16> {
        self.leader.clone()
    }

    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let accepted = stage.operator.call(self.call).await;
        let accepted = accepted.map_err(|error| format!("{} was not done: {error}", self.call))?;
        self.index = Some(accepted.index);
        Ok(format!("{} was accepted: {}", self.call, accepted.answer))
    }

    async fn check(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        match self.index {
            Some(index) => stage.operator.applied(index).await,
            None => Err(format!("{} was not accepted", self.call)),
        }
    }

    async fn heal(&mut self, _: &Stage<'_>) -> Result<String, String> {
        Ok("nothing to undo: keys only ever go forward".to_owned())
    }
}
