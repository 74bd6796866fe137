//! When a node is up, and who leads; all of it seen through the wire.

use std::time::Duration;

use elastickv_wire::raft_admin_client::RaftAdminClient;
use elastickv_wire::{RaftAdminState, RaftAdminStatusRequest, RaftAdminStatusResponse};
use futures_util::future::join_all;
use keyquake_cluster::NodeSpec;
use tokio::time::Instant;

use super::addresses::{self, DYNAMO, GRPC, RESP};
use super::errors;
use super::resp::Connection;
use super::{grpc, health};
use crate::system::SystemError;

/// One question to one node. Nodes answer in a millisecond or two; one that is paused or cut
/// off must not hold up who asks.
const ASK_TIMEOUT: Duration = Duration::from_millis(400);

/// Between two looks at a node that is coming up.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until the administration port answers and the Redis port, which opens last, too.
pub(super) async fn ready(node: &NodeSpec, deadline: Instant) -> Result<(), SystemError> {
    let (waiting_for, last) = loop {
        let seen = match status(node).await {
            Err(text) => ("its gRPC port does not answer RaftAdmin.Status", text),
            Ok(_) => match ping(node).await {
                Ok(()) => return Ok(()),
                Err(text) => ("its Redis port does not answer PING", text),
            },
        };
        if Instant::now() >= deadline {
            break seen;
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + LOOK_EVERY)).await;
    };
    Err(SystemError::NotReady {
        node: node.id.clone(),
        waiting_for,
        last,
        log: node.log_dir.join(format!("{}.log", node.id)),
    })
}

/// Waits until all nodes are ready, exactly one leads, and it is confirmed by a majority.
pub(super) async fn serving(nodes: &[NodeSpec], deadline: Instant) -> Result<u16, SystemError> {
    for result in join_all(nodes.iter().map(|node| ready(node, deadline))).await {
        result?;
    }
    let client = health::client(ASK_TIMEOUT).map_err(SystemError::NoLeader)?;
    loop {
        let reason = match leaders(nodes).await.as_slice() {
            [] => "no node says that it leads".to_owned(),
            [(leader, _)] => {
                let node = &nodes[usize::from(*leader)];
                let address = addresses::of(node, DYNAMO);
                match health::is_verified_leader(&client, address).await {
                    Ok(true) => return Ok(*leader),
                    Ok(false) => format!("{} leads, but no majority confirms it", node.id),
                    Err(text) => format!("{} leads, but its health is unknown: {text}", node.id),
                }
            }
            several => format!("{} nodes say that they lead", several.len()),
        };
        if Instant::now() >= deadline {
            return Err(SystemError::NoLeader(reason));
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + LOOK_EVERY)).await;
    }
}

/// The node that says it leads, of the highest term where there are several.
pub(super) async fn leader(nodes: &[NodeSpec]) -> Option<u16> {
    let leaders = leaders(nodes).await;
    leaders
        .into_iter()
        .max_by_key(|(_, term)| *term)
        .map(|(leader, _)| leader)
}

/// All nodes that say they lead, with their terms.
async fn leaders(nodes: &[NodeSpec]) -> Vec<(u16, u64)> {
    let answers = join_all(nodes.iter().map(status)).await;
    (0..)
        .zip(answers)
        .filter_map(|(index, answer)| {
            let status = answer.ok()?;
            (status.state() == RaftAdminState::Leader).then_some((index, status.term))
        })
        .collect()
}

/// One node's own view, over a connection made for it: one that a fault has cut would stay
/// silent for a while after the fault.
async fn status(node: &NodeSpec) -> Result<RaftAdminStatusResponse, String> {
    in_time(async {
        let channel = grpc::channel(addresses::of(node, GRPC)).await?;
        let answer = RaftAdminClient::new(channel)
            .status(RaftAdminStatusRequest {})
            .await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| errors::chain(&status))
    })
    .await
}

async fn ping(node: &NodeSpec) -> Result<(), String> {
    in_time(async {
        let mut connection = Connection::open(addresses::of(node, RESP)).await?;
        match connection.command(&redis::cmd("PING")).await {
            Ok(redis::Value::SimpleString(text)) if text == "PONG" => Ok(()),
            Ok(other) => Err(format!("PING was answered {other:?}")),
            Err(error) => Err(errors::chain(&error)),
        }
    })
    .await
}

async fn in_time<T>(question: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(ASK_TIMEOUT, question)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {ASK_TIMEOUT:?}")))
}
