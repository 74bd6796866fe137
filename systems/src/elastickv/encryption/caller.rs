//! Calls as an operator's step makes them: always sent, to one node or to whoever leads, and
//! again, for a bounded time, only as long as it is certain that nothing was done.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{join, join_all};
use keyquake_cluster::NodeSpec;
use keyquake_rollout::{Call, Send};
use tokio::time::Instant;

use super::node::{Node, leading};
use super::reply::{Reply, Tried};
use super::request::Request;
use super::{CallWatch, Kek, NotAccepted, Refusal, SidecarStateReport};

/// How long a leader that takes the call may be looked for.
const FIND_WITHIN: Duration = Duration::from_secs(20);
/// Between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// What is to be called, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Which call.
    pub call: Call,
    /// How often, and which request.
    pub send: Send,
    /// After this the answer is waited for no longer; `None` is an operator's usual patience.
    pub deadline: Option<Duration>,
    /// Of `register-writer`: the epoch to register in place of the node's own.
    pub epoch: Option<u32>,
}

impl Order {
    /// A request of its own, with the usual patience.
    pub const fn once(call: Call) -> Self {
        Self {
            call,
            send: Send::Once,
            deadline: None,
            epoch: None,
        }
    }
}

/// Calls the nodes of a cluster, and remembers what it sent.
pub struct Caller {
    nodes: Vec<Node>,
    kek: Kek,
    sent: Mutex<HashMap<Call, Request>>,
}

/// What a try says.
#[derive(Clone, Copy)]
enum Words<'a> {
    /// Made for the node that gets it.
    Own,
    /// These bytes.
    Same(&'a Request),
}

impl Caller {
    /// Calls these nodes, by their positions. New keys are wrapped under this KEK.
    pub fn new(nodes: &[NodeSpec], kek: Kek) -> Self {
        Self {
            nodes: nodes.iter().map(Node::of).collect(),
            kek,
            sent: Mutex::default(),
        }
    }

    /// Makes a call: on exactly the node `at` and once, or on whoever leads, where it is tried
    /// again as long as certainly nothing was done because nobody led, the leader was busy or
    /// had just changed, or a member was about to register. What else is refused is final.
    pub async fn call(
        &self,
        order: &Order,
        at: Option<u16>,
        watch: Option<Arc<dyn CallWatch>>,
    ) -> Reply {
        let line = Line {
            caller: self,
            order,
            at,
            watch,
        };
        match order.send {
            Send::Once => line.speak(Words::Own).await.0,
            Send::Concurrent => {
                let (one, two) = join(line.speak(Words::Own), line.speak(Words::Own)).await;
                one.0.with(two.0)
            }
            Send::Twice => {
                let (first, request) = line.speak(Words::Own).await;
                match request {
                    Some(request) => first.with(line.speak(Words::Same(&request)).await.0),
                    None => first,
                }
            }
            Send::Late => match self.last(order.call) {
                Some(request) => line.speak(Words::Same(&request)).await.0,
                None => Reply::failed(format!("no {} was sent before", order.call)),
            },
        }
    }

    /// The last request of a call that was sent.
    fn last(&self, call: Call) -> Option<Request> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.get(&call).cloned()
    }

    fn remember(&self, request: &Request) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.insert(request.call(), request.clone());
    }

    /// What a node says of its keys; `None` if it says nothing in a second, or has none.
    pub async fn state(&self, node: u16) -> Option<SidecarStateReport> {
        let node = self.nodes.get(usize::from(node))?;
        node.asked.sidecar_state().await.ok()
    }

    /// The log index that a node's keys have come to. Of a release that keeps none it is what the
    /// node has applied at all, which does not pass an entry that it halts at.
    async fn applied_index(&self, node: u16) -> Option<u64> {
        let state = self.state(node).await?;
        if !keeps_no_index(&state) {
            return Some(state.latest_applied_index);
        }
        let node = self.nodes.get(usize::from(node))?;
        Some(node.asked.raft_view().await.ok()?.applied_index)
    }

    /// Waits until the own key state of these nodes has come to a log index, at most until
    /// `deadline`; gives those of which it has.
    pub async fn caught_up(&self, index: u64, of: &[u16], deadline: Instant) -> Vec<u16> {
        loop {
            let indexes = join_all(of.iter().map(|&node| self.applied_index(node))).await;
            let there = |(&node, applied): (&u16, Option<u64>)| (applied? >= index).then_some(node);
            let there: Vec<u16> = of.iter().zip(indexes).filter_map(there).collect();
            if there.len() == of.len() || Instant::now() >= deadline {
                return there;
            }
            tokio::time::sleep_until(deadline.min(Instant::now() + TRY_AGAIN)).await;
        }
    }
}

/// Release 6B of elastickv leaves the index in its sidecar at 0, keys or not.
fn keeps_no_index(state: &SidecarStateReport) -> bool {
    state.latest_applied_index == 0 && state.active_storage_id != 0
}

/// One order on its way.
struct Line<'a> {
    caller: &'a Caller,
    order: &'a Order,
    at: Option<u16>,
    watch: Option<Arc<dyn CallWatch>>,
}

impl Line<'_> {
    /// Until an answer is final. Gives the request too, if one was sent.
    async fn speak(&self, words: Words<'_>) -> (Reply, Option<Request>) {
        let until = Instant::now() + FIND_WITHIN;
        let mut request = None;
        loop {
            let tried = self.once(words, &mut request).await;
            let again = self.at.is_none() && self.nothing_done_yet(&tried, words);
            if !again || Instant::now() >= until {
                return (Reply::of(&tried, request.as_ref()), request);
            }
            tokio::time::sleep_until(until.min(Instant::now() + TRY_AGAIN)).await;
        }
    }

    async fn once(&self, words: Words<'_>, sent: &mut Option<Request>) -> Tried {
        let node = match self.at {
            Some(at) => self.caller.nodes.get(usize::from(at)),
            None => leading(&self.caller.nodes).await,
        };
        let Some(node) = node else {
            return Tried::Unsent(match self.at {
                Some(at) => format!("there is no node at position {at}"),
                None => "no node says that it leads".to_owned(),
            });
        };
        let request = match words {
            Words::Same(request) => request.clone(),
            Words::Own => {
                let (call, epoch) = (self.order.call, self.order.epoch);
                match node.compose(call, epoch, &self.caller.kek).await {
                    Ok(request) => request,
                    Err(unmade) => return Tried::Unsent(unmade.to_string()),
                }
            }
        };
        let client = match &self.watch {
            Some(watch) => node.called.watched(watch.clone()),
            None => node.called.clone(),
        };
        let answer = client.send(&request, self.order.deadline).await;
        // A request that never left is none that could come late.
        if !matches!(answer, Err(NotAccepted::Failed { .. })) {
            self.caller.remember(&request);
            *sent = Some(request);
        }
        Tried::Answered {
            node: node.id.clone(),
            answer,
        }
    }

    /// Whether certainly nothing was done, and it may be possible a moment later.
    fn nothing_done_yet(&self, tried: &Tried, words: Words<'_>) -> bool {
        // Another try would say another epoch.
        let own_epoch = matches!(words, Words::Own) && self.order.epoch.is_none();
        let refusal = match tried {
            Tried::Unsent(_) => return true,
            Tried::Answered { answer, .. } => match answer {
                Err(NotAccepted::Failed { .. }) => return true,
                Err(NotAccepted::Refused { refusal, .. }) => *refusal,
                _ => return false,
            },
        };
        match refusal {
            Refusal::NotLeader
            | Refusal::LeaderNotVerified
            | Refusal::RacedRotation
            | Refusal::AnotherChangePending
            | Refusal::WritesNotDrained
            | Refusal::RotationPending => true,
            // A node that has just started registers its epoch anew.
            Refusal::EpochBehindRegistry
            | Refusal::EpochNotRegistered
            | Refusal::WriterNotRegistered
            | Refusal::MemberNotRegistered => own_epoch,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
