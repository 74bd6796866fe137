//! Carries a client's command out: here if this node leads, else by one call to the
//! leader. Waits for a leader only while nothing was sent or proposed; after that
//! whatever happens goes back to the client, once, and nothing is ever tried again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::bugs::{self, Bug};
use crate::command;
use crate::consensus::{Node, Refusal};
use crate::fsm::{Fsm, FsmError};
use crate::transport::{MESSAGE_LIMIT, connect};
use crate::wire::forward_client::ForwardClient;
use crate::wire::{Command, ExecuteRequest, Reply};

/// How long a command may take in all.
pub const BUDGET: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(25);

/// Why a command has no answer.
#[derive(Debug, Error)]
pub enum ExecuteError {
    /// Refused, or lost, with elastickv's text.
    #[error("{0}")]
    Refused(String),
    /// No leader showed within the budget; nothing was sent.
    #[error("leader not found")]
    NoLeader,
    /// The budget ran out after the command was handed over.
    #[error("context deadline exceeded")]
    Deadline,
    /// The call to the leader broke: the outcome is unknown.
    #[error("rpc error: code = {code:?} desc = {text}")]
    Call {
        /// The call's code.
        code: Code,
        /// The call's text.
        text: String,
    },
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] FsmError),
}

impl From<Refusal> for ExecuteError {
    fn from(refusal: Refusal) -> Self {
        ExecuteError::Refused(refusal.to_string())
    }
}

impl From<Status> for ExecuteError {
    /// However the call broke, all that is known is that no answer came.
    fn from(status: Status) -> Self {
        ExecuteError::Call {
            code: match status.code() {
                Code::InvalidArgument => Code::InvalidArgument,
                _ => Code::Unavailable,
            },
            text: status.message().to_owned(),
        }
    }
}

/// An answer and the log index it was given at (0 for reads).
pub type Executed = Result<(Reply, u64), ExecuteError>;

/// Carries commands out. Cheap to clone.
#[derive(Clone)]
pub struct Executor {
    node: Node,
    fsm: Arc<Fsm>,
    channels: Arc<Mutex<HashMap<String, Channel>>>,
}

impl Executor {
    /// An executor on this node.
    pub fn new(node: Node, fsm: Arc<Fsm>) -> Self {
        Self {
            node,
            fsm,
            channels: Arc::default(),
        }
    }

    /// Carries a command out, wherever the leader is.
    ///
    /// # Errors
    /// [`ExecuteError`]; only [`ExecuteError::NoLeader`] is certain to have had no effect.
    pub async fn execute(&self, command: Command) -> Executed {
        let deadline = Instant::now() + BUDGET;
        let stale = bugs::on(Bug::StaleRead) || self.node.status().halted;
        if stale && command::is_read(&command) {
            return Ok((self.fsm.read(&command)?, 0));
        }
        loop {
            let status = self.node.status();
            if status.is_leader() {
                match self.here(command.clone(), deadline).await {
                    Err(Local::NotLeader) => {}
                    Err(Local::Ended(error)) => return Err(error),
                    Ok(executed) => return Ok(executed),
                }
            } else if let Some(leader) = status.leader_peer() {
                let address = leader.address.clone();
                if let Some(channel) = self.channel(&address, deadline).await {
                    return self.there(&address, channel, command, deadline).await;
                }
            }
            if Instant::now() + POLL >= deadline {
                return Err(ExecuteError::NoLeader);
            }
            sleep(POLL).await;
        }
    }

    /// Carries a command out on this node only: what a forwarded command gets.
    ///
    /// # Errors
    /// [`ExecuteError`].
    pub async fn execute_here(&self, command: Command, budget: Duration) -> Executed {
        let deadline = Instant::now() + budget.min(BUDGET);
        self.here(command, deadline).await.map_err(|end| match end {
            Local::NotLeader => Refusal::NotLeader.into(),
            Local::Ended(error) => error,
        })
    }

    /// Whether a majority confirms that this node leads, within `patience`.
    pub async fn verify_leader(&self, patience: Duration) -> bool {
        self.node.status().is_leader()
            && matches!(
                tokio::time::timeout(patience, self.node.read_barrier()).await,
                Ok(Ok(()))
            )
    }

    async fn here(&self, command: Command, deadline: Instant) -> Result<(Reply, u64), Local> {
        let read = command::is_read(&command);
        let work = async {
            if read {
                self.node.read_barrier().await?;
                let reply = self.fsm.read(&command).map_err(ExecuteError::from)?;
                Ok((reply, 0))
            } else {
                Ok(self.node.propose(command).await?)
            }
        };
        match timeout_at(deadline, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Local::Ended(ExecuteError::Deadline)),
        }
    }

    /// A standing connection to the leader; `None` if nobody answers there now.
    async fn channel(&self, address: &str, deadline: Instant) -> Option<Channel> {
        if let Some(channel) = self.channels.lock().await.get(address) {
            return Some(channel.clone());
        }
        let channel = timeout_at(deadline, connect(address)).await.ok()?.ok()?;
        let mut channels = self.channels.lock().await;
        Some(
            channels
                .entry(address.to_owned())
                .or_insert(channel)
                .clone(),
        )
    }

    async fn there(
        &self,
        address: &str,
        channel: Channel,
        command: Command,
        deadline: Instant,
    ) -> Executed {
        let mut client = ForwardClient::new(channel)
            .max_encoding_message_size(MESSAGE_LIMIT)
            .max_decoding_message_size(MESSAGE_LIMIT);
        let left = deadline.saturating_duration_since(Instant::now());
        let request = ExecuteRequest {
            command: Some(command),
            budget_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        };
        match timeout_at(deadline, client.execute(request)).await {
            Ok(Ok(response)) => {
                let response = response.into_inner();
                if response.error.is_empty() {
                    Ok((response.reply.unwrap_or_default(), response.index))
                } else {
                    Err(ExecuteError::Refused(response.error))
                }
            }
            Ok(Err(status)) => {
                // The connection may be broken: the next command makes its own.
                self.channels.lock().await.remove(address);
                Err(status.into())
            }
            Err(_) => {
                self.channels.lock().await.remove(address);
                Err(ExecuteError::Deadline)
            }
        }
    }
}

/// How a command ended on this node.
enum Local {
    /// Nothing was proposed.
    NotLeader,
    Ended(ExecuteError),
}

impl From<Refusal> for Local {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotLeader => Local::NotLeader,
            other => Local::Ended(other.into()),
        }
    }
}

impl From<ExecuteError> for Local {
    fn from(error: ExecuteError) -> Self {
        Local::Ended(error)
    }
}
