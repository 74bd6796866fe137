//! The seeded bugs' places in the consensus thread. With no bug on, every method
//! here does nothing; the correct path does not depend on this file.

use std::time::{Duration, Instant};

use raft::RawNode;
use raft::eraftpb::{Entry, Message, MessageType};

use super::handle::{Answer, Applied};
use super::{EngineError, Outbox, RaftLog, Refusal};
use crate::bugs::{self, Bug};
use crate::fsm::{Fsm, Writes};
use crate::wire::{Command, Reply, Step, command, step};

/// How long `lost-write` keeps a leader's appends to itself.
const HOLD: Duration = Duration::from_millis(100);

/// State of the seeded bugs.
pub(super) struct Seeded {
    lost_write: bool,
    double_apply: bool,
    /// `lost-write`: appends not sent yet, and when to.
    held: Vec<Message>,
    flush_at: Option<Instant>,
    /// `lost-write`: answers that wait only for this node's own disk.
    early: Vec<(u64, Reply, Answer<Applied>)>,
    /// `lost-write`: what the entries not applied yet will write; `None` = not known.
    ahead: Option<Writes>,
    /// `double-apply`: the commit index heartbeats told of.
    heard_commit: u64,
}

impl Seeded {
    pub(super) fn new(applied: u64) -> Self {
        Self {
            lost_write: bugs::on(Bug::LostWrite),
            double_apply: bugs::on(Bug::DoubleApply),
            held: Vec::new(),
            flush_at: None,
            early: Vec::new(),
            ahead: None,
            heard_commit: applied,
        }
    }

    /// `lost-write`: what a command about to be proposed will answer, if everything before
    /// it in this leader's log is known here. `last` is the log's last index so far.
    pub(super) fn foresee(
        &mut self,
        command: &Command,
        fsm: &Fsm,
        applied: u64,
        last: u64,
    ) -> Result<Option<Reply>, EngineError> {
        if !self.lost_write {
            return Ok(None);
        }
        if applied == last {
            self.ahead = Some(Writes::new());
        }
        match &mut self.ahead {
            Some(writes) => Ok(Some(fsm.speculate(command, writes)?)),
            None => Ok(None),
        }
    }

    /// `lost-write`: answers once entry `index` is on this node's own disk.
    pub(super) fn answer_early(&mut self, index: u64, reply: Reply, answer: Answer<Applied>) {
        self.early.push((index, reply, answer));
    }

    /// `lost-write`: this node's own log is durable up to `last`.
    pub(super) fn persisted(&mut self, last: u64) {
        let durable = self.early.extract_if(.., |(index, ..)| *index <= last);
        for (index, reply, answer) in durable {
            let _ = answer.send(Ok((reply, index)));
        }
    }

    /// `lost-write`: keeps a leader's appends back for a while, in order.
    pub(super) fn hold(&mut self, message: Message) -> Option<Message> {
        if !self.lost_write || message.get_msg_type() != MessageType::MsgAppend {
            return Some(message);
        }
        self.flush_at.get_or_insert_with(|| Instant::now() + HOLD);
        self.held.push(message);
        None
    }

    /// `lost-write`: sends what was kept back, if it is time.
    pub(super) fn flush(&mut self, now: Instant, outbox: &dyn Outbox) {
        if self.flush_at.is_some_and(|at| now >= at) {
            self.flush_at = None;
            for message in self.held.drain(..) {
                outbox.send(message);
            }
        }
    }

    /// `lost-write`: reads on the same leader still see what it acknowledged, so that the
    /// bug shows as lost writes and not as stale reads.
    pub(super) fn read_index(&self, index: u64, node: &RawNode<RaftLog>) -> u64 {
        if self.lost_write {
            index.max(node.raft.raft_log.last_index())
        } else {
            index
        }
    }

    /// `double-apply`: a heartbeat told how far the log is committed.
    pub(super) fn heartbeat(&mut self, commit: u64) {
        self.heard_commit = self.heard_commit.max(commit);
    }

    pub(super) fn lost_leadership(&mut self, committed: u64) {
        self.heard_commit = self.heard_commit.max(committed);
        self.held.clear();
        self.flush_at = None;
    }

    /// `double-apply`: the entries this new leader did not know to be committed.
    pub(super) fn elected(&self, node: &RawNode<RaftLog>) -> Result<Vec<Entry>, EngineError> {
        let log = &node.raft.raft_log;
        let first = (self.heard_commit + 1).max(log.first_index());
        if !self.double_apply || first > log.last_index() {
            return Ok(Vec::new());
        }
        Ok(log.entries(first, u64::MAX, raft::GetEntriesContext::empty(false))?)
    }

    pub(super) fn fail_all(&mut self, refusal: &Refusal) {
        self.ahead = None;
        for (_, _, answer) in self.early.drain(..) {
            let _ = answer.send(Err(refusal.clone()));
        }
    }
}

pub(super) fn carries_append(command: &Command) -> bool {
    let is_append = |step: &Step| matches!(step.op, Some(step::Op::Rpush(_)));
    match &command.body {
        Some(command::Body::Single(step)) => is_append(step),
        Some(command::Body::Batch(batch)) => batch.steps.iter().any(is_append),
        None => false,
    }
}
