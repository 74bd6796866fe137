//! The way into the consensus thread: an inbox that never blocks a caller, and
//! answers that arrive on channels.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use raft::eraftpb::{Message, SnapshotMetadata};
use tokio::sync::{oneshot, watch};

use super::{Change, Origin, Refusal, Status, TransferRequest};
use crate::encryption::KeyEntry;
use crate::wire::{Command, Reply};

/// What a proposal's waiter gets: the answer and the log index it was applied at.
pub type Applied = (Reply, u64);
/// What an encryption entry's proposer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysApplied {
    /// The log index it was applied at; for a cutover that was there already, its own.
    pub index: u64,
    /// Whether it said what was so already.
    pub already: bool,
}
/// Where an answer goes.
pub type Answer<T> = oneshot::Sender<Result<T, Refusal>>;

/// Everything the consensus thread reacts to besides time.
pub enum Input {
    /// A Raft message from another node.
    Step(Message),
    /// A Raft message whose snapshot file has arrived.
    Snapshot(Message, Origin),
    /// A command to put into the log.
    Propose(Command, Answer<Applied>),
    /// An encryption entry to put into the log, if nothing speaks against it.
    Keys(KeyEntry, Answer<KeysApplied>),
    /// This process is not registered under all keys: if it leads, it does so itself.
    RegisterSelf,
    /// Something outside this thread has changed: look again.
    Wake,
    /// A read: answered once this node's state is fresh enough.
    Read(Answer<()>),
    /// A membership change.
    Change(Change, Answer<u64>),
    /// Hand leadership over.
    Transfer(TransferRequest, Answer<()>),
    /// Messages to this peer are being lost.
    Unreachable(u64),
    /// Sending a snapshot to this peer ended; well or not.
    SnapshotSent(u64, bool),
    /// A snapshot file of this node's own state is durable, or why it is not.
    SnapshotWritten(Result<SnapshotMetadata, crate::fsm::FsmError>),
}

/// A handle to the consensus thread.
#[derive(Clone)]
pub struct Node {
    inbox: SyncSender<Input>,
    status: watch::Receiver<Arc<Status>>,
}

impl Node {
    /// A handle made of both ends.
    pub fn new(inbox: SyncSender<Input>, status: watch::Receiver<Arc<Status>>) -> Self {
        Self { inbox, status }
    }

    /// This node's view as last published.
    pub fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }

    /// The published views, to wait on.
    pub fn watch(&self) -> watch::Receiver<Arc<Status>> {
        self.status.clone()
    }

    /// Hands something over that needs no answer; `false` when the inbox is full or gone.
    pub fn notify(&self, input: Input) -> bool {
        self.inbox.try_send(input).is_ok()
    }

    async fn ask<T>(&self, input: impl FnOnce(Answer<T>) -> Input) -> Result<T, Refusal> {
        let (answer, waiter) = oneshot::channel();
        match self.inbox.try_send(input(answer)) {
            Ok(()) => waiter.await.unwrap_or(Err(Refusal::Closed)),
            Err(TrySendError::Full(_)) => Err(Refusal::Overloaded),
            Err(TrySendError::Disconnected(_)) => Err(Refusal::Closed),
        }
    }

    /// Puts a command into the log; answers when it is applied here.
    ///
    /// # Errors
    /// [`Refusal`]; see there which leave the outcome unknown.
    pub async fn propose(&self, command: Command) -> Result<Applied, Refusal> {
        self.ask(|answer| Input::Propose(command, answer)).await
    }

    /// Puts an encryption entry into the log; answers when it is applied here.
    ///
    /// # Errors
    /// [`Refusal`]; see there which leave the outcome unknown.
    pub async fn keys(&self, entry: KeyEntry) -> Result<KeysApplied, Refusal> {
        self.ask(|answer| Input::Keys(entry, answer)).await
    }

    /// Waits until this node's state holds everything acknowledged before the call, as
    /// confirmed by a majority.
    ///
    /// # Errors
    /// [`Refusal`] when this node does not lead, or stops leading while waiting.
    pub async fn read_barrier(&self) -> Result<(), Refusal> {
        self.ask(Input::Read).await
    }

    /// Changes the membership; answers the index it was applied at.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn change(&self, change: Change) -> Result<u64, Refusal> {
        self.ask(|answer| Input::Change(change, answer)).await
    }

    /// Hands leadership over; answers when the target leads.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn transfer(&self, request: TransferRequest) -> Result<(), Refusal> {
        self.ask(|answer| Input::Transfer(request, answer)).await
    }
}
