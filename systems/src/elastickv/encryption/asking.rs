//! Asking the same node the same again and again: what moments are seen by.
//!
//! One connection is kept per node, since a question every few milliseconds is too often to
//! connect for each. It is made again by itself after a node was down; all calls only ask.

use std::time::Duration;

use elastickv_wire::encryption_admin_client::EncryptionAdminClient;
use elastickv_wire::raft_admin_client::RaftAdminClient;
use elastickv_wire::{CapabilityReport, Empty, RaftAdminStatusRequest, SidecarStateReport};
use keyquake_cluster::NodeSpec;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

use super::RaftView;
use crate::elastickv::addresses::{self, GRPC};
use crate::elastickv::errors;

/// A node that can't be connected to within this is not there.
const CONNECT_WITHIN: Duration = Duration::from_millis(250);

/// Asks one node.
#[derive(Clone, Debug)]
pub struct Asking {
    channel: Channel,
}

/// An answer: `None` if the node answered that it has none.
pub type Given<T> = Result<Option<T>, String>;

impl Asking {
    /// Of this node. Nothing is connected yet; it needs a tokio runtime around it.
    ///
    /// # Errors
    /// When its address is none.
    pub fn of(node: &NodeSpec) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(format!("http://{}", addresses::of(node, GRPC)));
        let endpoint = endpoint.map_err(|error| errors::chain(&error))?;
        Ok(Self {
            channel: endpoint.connect_timeout(CONNECT_WITHIN).connect_lazy(),
        })
    }

    /// Its keys and flags; `None` without a sidecar.
    ///
    /// # Errors
    /// When it gives no answer. How long that may take is for the caller to say.
    pub async fn sidecar_state(&self) -> Given<SidecarStateReport> {
        let mut client = EncryptionAdminClient::new(self.channel.clone());
        given(client.get_sidecar_state(Empty {}).await)
    }

    /// What it says that it can do; `None` if it knows of no such thing.
    ///
    /// # Errors
    /// As [`sidecar_state`](Self::sidecar_state).
    pub async fn capability(&self) -> Given<CapabilityReport> {
        let mut client = EncryptionAdminClient::new(self.channel.clone());
        given(client.get_capability(Empty {}).await)
    }

    /// Its view of its Raft group.
    ///
    /// # Errors
    /// As [`sidecar_state`](Self::sidecar_state).
    pub async fn raft_view(&self) -> Given<RaftView> {
        let mut client = RaftAdminClient::new(self.channel.clone());
        let view = given(client.status(RaftAdminStatusRequest {}).await)?;
        Ok(view.map(RaftView::from))
    }
}

fn given<T>(answer: Result<Response<T>, Status>) -> Given<T> {
    match answer {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) => match status.code() {
            Code::FailedPrecondition | Code::Unimplemented | Code::NotFound => Ok(None),
            _ => Err(errors::chain(&status)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_have_none_is_an_answer_and_silence_is_not() {
        let none = given::<()>(Err(Status::failed_precondition("no sidecar")));
        assert_eq!(none, Ok(None));
        assert!(given::<()>(Err(Status::unavailable("refused"))).is_err());
        assert_eq!(given(Ok(Response::new(7))), Ok(Some(7)));
    }
}
