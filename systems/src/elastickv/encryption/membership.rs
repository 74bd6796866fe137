//! Changes of the membership, and of who leads: asked of whoever leads, and waited for until they
//! are in force.

use std::time::Duration;

use elastickv_wire::raft_admin_client::RaftAdminClient;
use elastickv_wire::{
    RaftAdminAddLearnerRequest, RaftAdminAddVoterRequest, RaftAdminPromoteLearnerRequest,
    RaftAdminRemoveServerRequest, RaftAdminTransferLeadershipRequest,
};
use keyquake_cluster::NodeSpec;
use keyquake_rollout::{MemberChange, Outcome};
use tokio::time::Instant;
use tonic::transport::Channel;

use super::admin::Manner;
use super::node::{Node, leading};
use super::refusal::Answer;
use super::{AdminClient, NotAccepted, Refusal, Reply, outcome_of};

/// How long a leader that makes the change may be looked for, and a newcomer may catch up.
const CHANGE_WITHIN: Duration = Duration::from_secs(20);
/// How long an accepted change may take until a leader shows it.
const SHOW_WITHIN: Duration = Duration::from_secs(10);
/// How long a transfer may take, all tries together.
const TRANSFER_WITHIN: Duration = Duration::from_secs(10);
/// Between two tries, or two looks.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// Who is, or may be, in the cluster.
pub struct Membership {
    nodes: Vec<Node>,
}

impl Membership {
    /// Of these nodes, by their positions, members or not.
    pub fn of(nodes: &[NodeSpec]) -> Self {
        Self {
            nodes: nodes.iter().map(Node::of).collect(),
        }
    }

    /// Asks whoever leads for the change, and waits until a leader shows it. It is asked again, for
    /// a bounded time, as long as certainly nothing was done and it may be possible a moment later.
    pub async fn change(&self, change: MemberChange, node: u16) -> Reply {
        let Some(node) = self.nodes.get(usize::from(node)) else {
            return Reply::failed(format!("there is no node at position {node}"));
        };
        let until = Instant::now() + CHANGE_WITHIN;
        let (leader, index) = loop {
            let (leader, answer) = match leading(&self.nodes).await {
                Some(leader) => (&leader.id, ask(leader, change, node).await),
                None => (&node.id, Err(nobody_leads())),
            };
            match answer {
                Ok(index) => break (leader, index),
                Err(error) if nothing_done_yet(&error) && Instant::now() < until => {
                    tokio::time::sleep_until(until.min(Instant::now() + TRY_AGAIN)).await;
                }
                Err(error) => {
                    return Reply {
                        outcome: outcome_of(&error),
                        index: None,
                        said: format!("{leader}: {error}"),
                    };
                }
            }
        };
        self.show(change, node, leader, index).await
    }

    /// Waits until a leader shows the change.
    async fn show(&self, change: MemberChange, node: &Node, leader: &str, index: u64) -> Reply {
        let until = Instant::now() + SHOW_WITHIN;
        let mut seen = "nobody leads".to_owned();
        loop {
            if let Some(leader) = leading(&self.nodes).await
                && let Ok(members) = leader.asked.members().await
            {
                let member = members.iter().find(|member| member.id == node.id);
                let suffrage = member.map(|member| member.suffrage.as_str());
                let shown = suffrage.unwrap_or("no member");
                seen = format!("{} shows {} as {shown}", leader.id, node.id);
                if suffrage == wanted(change) {
                    return Reply {
                        outcome: Outcome::Accepted,
                        index: Some(index),
                        said: format!("at index {index}: {seen}"),
                    };
                }
            }
            if Instant::now() >= until {
                return Reply {
                    outcome: Outcome::Indeterminate,
                    index: Some(index),
                    said: format!("{leader} accepted it at index {index}, but {seen}"),
                };
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    /// Hands the leadership to a node, and waits until it says itself that it leads.
    pub async fn transfer(&self, to: u16) -> Reply {
        let Some(to) = self.nodes.get(usize::from(to)) else {
            return Reply::failed(format!("there is no node at position {to}"));
        };
        let until = Instant::now() + TRANSFER_WITHIN;
        let mut last = nobody_leads();
        loop {
            match leading(&self.nodes).await {
                Some(leader) if leader.id == to.id => {
                    return Reply {
                        outcome: Outcome::Accepted,
                        index: None,
                        said: format!("{} leads", to.id),
                    };
                }
                Some(leader) if Instant::now() < until => {
                    if let Err(error) = hand_over(leader, to).await {
                        last = error;
                    }
                }
                _ => {}
            }
            if Instant::now() >= until {
                // What came of the request itself is no matter: it does not lead.
                let outcome = match outcome_of(&last) {
                    Outcome::Indeterminate => Outcome::Failed,
                    outcome => outcome,
                };
                return Reply {
                    outcome,
                    index: None,
                    said: format!("{} does not lead: {last}", to.id),
                };
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }
}

/// What a leader shows of the node once the change is in force; `None`: it is no member.
fn wanted(change: MemberChange) -> Option<&'static str> {
    match change {
        MemberChange::AddLearner => Some("learner"),
        MemberChange::AddVoter | MemberChange::Promote | MemberChange::Replace => Some("voter"),
        MemberChange::Remove => None,
    }
}

fn nobody_leads() -> NotAccepted {
    NotAccepted::Failed {
        text: "no node says that it leads".to_owned(),
    }
}

/// One request; gives the index of the new configuration.
async fn ask(leader: &Node, change: MemberChange, node: &Node) -> Answer<u64> {
    let (id, address) = (node.id.clone(), node.address.to_string());
    // What the leader has applied now is what a learner must have before it gets a vote.
    let min_applied_index = leader.asked.raft_view().await?.applied_index;
    let answer = exchange(&leader.called, async |mut client| match change {
        MemberChange::AddLearner => {
            let request = RaftAdminAddLearnerRequest {
                id,
                address,
                previous_index: 0,
            };
            client.add_learner(request).await
        }
        MemberChange::AddVoter | MemberChange::Replace => {
            let request = RaftAdminAddVoterRequest {
                id,
                address,
                previous_index: 0,
            };
            client.add_voter(request).await
        }
        MemberChange::Promote => {
            let request = RaftAdminPromoteLearnerRequest {
                id,
                previous_index: 0,
                min_applied_index,
                skip_min_applied_check: false,
            };
            client.promote_learner(request).await
        }
        MemberChange::Remove => {
            let request = RaftAdminRemoveServerRequest {
                id,
                previous_index: 0,
            };
            client.remove_server(request).await
        }
    });
    Ok(answer.await?.index)
}

async fn hand_over(leader: &Node, to: &Node) -> Answer<()> {
    let request = RaftAdminTransferLeadershipRequest {
        target_id: to.id.clone(),
        target_address: to.address.to_string(),
        ..RaftAdminTransferLeadershipRequest::default()
    };
    let done = exchange(&leader.called, async |mut client| {
        client.transfer_leadership(request).await
    });
    done.await.map(drop)
}

async fn exchange<T>(
    client: &AdminClient,
    ask: impl AsyncFnOnce(RaftAdminClient<Channel>) -> Result<tonic::Response<T>, tonic::Status>,
) -> Answer<T> {
    let manner = Manner {
        changes: true,
        watched: false,
        patience: None,
    };
    client
        .exchange(manner, async |channel| {
            ask(RaftAdminClient::new(channel)).await
        })
        .await
}

/// Whether certainly nothing was done, and it may be possible a moment later.
fn nothing_done_yet(error: &NotAccepted) -> bool {
    match error {
        NotAccepted::Failed { .. } => true,
        NotAccepted::Refused { refusal, .. } => matches!(
            refusal,
            Refusal::NotLeader
                | Refusal::LeaderNotVerified
                | Refusal::AnotherChangePending
                | Refusal::ConfigurationChanged
                | Refusal::NotCaughtUp
                | Refusal::RotationPending
                // A newcomer that is starting does not answer yet.
                | Refusal::MemberUnreachable
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_possible_later_is_asked_again() {
        let refused = |refusal| NotAccepted::Refused {
            refusal,
            text: String::new(),
        };
        let text = String::new;
        for again in [
            refused(Refusal::NotCaughtUp),
            refused(Refusal::AnotherChangePending),
            NotAccepted::Failed { text: text() },
        ] {
            assert!(nothing_done_yet(&again), "{again}");
        }
        for last in [
            refused(Refusal::MemberNotCapable),
            refused(Refusal::NodeIdCollision),
            refused(Refusal::NotALearner),
            NotAccepted::Indeterminate { text: text() },
        ] {
            assert!(!nothing_done_yet(&last), "{last}");
        }
    }

    #[test]
    fn each_change_shows_in_the_configuration() {
        let shown = MemberChange::ALL.map(wanted);
        let voter = Some("voter");
        assert_eq!(shown, [Some("learner"), voter, voter, None, voter]);
    }
}
