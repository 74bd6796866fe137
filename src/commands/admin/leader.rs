//! Who to ask, and what has to be known before something is proposed.
//!
//! A store may take a request that none of its replicas can apply, and halt. So whatever can
//! be seen beforehand is looked at here, and refused before it is sent.

use anyhow::anyhow;
use futures_util::future::join_all;
use keyquake_systems::elastickv::encryption::{
    AdminClient, Answer, Member, NotAccepted, Proposer, Purpose, RaftView, Refusal,
    SidecarStateReport, full_node_id,
};

use super::answer::{Ended, refused_here};
use crate::exit::input;

/// The leader, as it was a moment ago.
pub struct Leader {
    pub client: AdminClient,
    pub members: Vec<Member>,
    pub full_node_id: u64,
    /// Its keys; `None` if it has no sidecar to speak of.
    pub state: Option<SidecarStateReport>,
}

/// Finds the node that leads among the endpoints.
pub async fn find(clients: &[AdminClient]) -> Result<Leader, Ended> {
    let views = join_all(clients.iter().map(AdminClient::raft_view)).await;
    let leaders = clients.iter().zip(&views).filter_map(|(client, view)| {
        let view = view.as_ref().ok().filter(|view| view.leads)?;
        Some((client, view))
    });
    let Some((client, view)) = leaders.max_by_key(|(_, view)| view.term) else {
        return Err(nobody_leads(views));
    };
    let members = client.members().await?;
    let own = full_node_id(&view.leader_id);
    let state = match client.sidecar_state().await {
        Ok(state) => Some(state),
        Err(NotAccepted::Refused {
            refusal: Refusal::SidecarMissing | Refusal::SidecarPathNotConfigured,
            ..
        }) => None,
        Err(other) => return Err(other.into()),
    };
    Ok(Leader {
        client: client.clone(),
        members,
        full_node_id: own,
        state,
    })
}

fn nobody_leads(views: Vec<Answer<RaftView>>) -> Ended {
    let known = views
        .iter()
        .flatten()
        .find(|view| !view.leader_id.is_empty());
    if let Some(view) = known {
        let text = format!(
            "none of the endpoints leads; the leader is {} at {}",
            view.leader_id, view.leader_address
        );
        return refused_here(Refusal::NotLeader.name(), text);
    }
    match views.into_iter().find_map(Result::err) {
        Some(error) => error.into(),
        None => refused_here(
            Refusal::NotLeader.name(),
            "none of the endpoints leads, and none knows who does".to_owned(),
        ),
    }
}

impl Leader {
    /// The id of the active key; 0 if there is none.
    pub fn active(&self, purpose: Purpose) -> u32 {
        self.state.as_ref().map_or(0, |state| match purpose {
            Purpose::Storage => state.active_storage_id,
            Purpose::Raft => state.active_raft_id,
        })
    }

    /// The leader as proposer, with the epoch it has registered under the active key.
    pub fn proposer(&self, purpose: Purpose, given: Option<u16>) -> Result<Proposer, Ended> {
        let id = self.active(purpose);
        let registered = self
            .state
            .as_ref()
            .and_then(|state| state.writer_registry_for_caller.get(&id).copied());
        let local_epoch = match (given, registered) {
            (Some(given), Some(registered)) if u32::from(given) < registered => {
                let text = format!(
                    "epoch {given} is behind epoch {registered} that the leader registered"
                );
                return Err(refused_here("epoch-behind-registry", text));
            }
            (Some(given), _) => given.into(),
            (None, Some(registered)) => registered,
            // Without keys nothing is registered, and the store refuses by itself.
            (None, None) if id == 0 => 0,
            (None, None) => {
                return Err(Ended::Failure(input(anyhow!(
                    "the leader does not say its epoch under key {id}; read local_epoch in its \
                     sidecar and give it with --proposer-epoch"
                ))));
            }
        };
        Ok(Proposer {
            full_node_id: self.full_node_id,
            local_epoch,
        })
    }
}
