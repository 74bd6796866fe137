//! The consensus thread's loop: take everything queued, let raft-rs decide, carry
//! the outcome out (`ready`), answer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use raft::{Config, RawNode, ReadOnlyOption, SnapshotStatus, StateRole};
use tokio::sync::watch;

use super::handle::{Answer, Applied, Input};
use super::keys::Keys;
use super::pending::{Proposals, Reads, Waiter};
use super::seeded::Seeded;
use super::snapshots::Snapshots;
use super::transfer::Transfer;
use super::{EngineError, Membership, Origin, Outbox, RaftLog, Refusal, Role, Status, logger};
use crate::bugs::{self, Bug};
use crate::encryption::Encryption;
use crate::entry::{self, Payload};
use crate::fsm::Fsm;
use crate::wire::Command;

const TICK: Duration = Duration::from_millis(10);
const HEARTBEAT_TICKS: usize = 6;
const ELECTION_TICKS: usize = 60;
const MESSAGE_BYTES: u64 = 1 << 20;
const INFLIGHT_MESSAGES: usize = 1_024;
/// Inputs taken before the log is synced; bounds the latency of the first of them.
const GROUP: usize = 4_096;
/// After a pause the clock catches up by at most this much, so that a process that
/// was stopped hears its peers before it calls an election.
const TICKS_AT_ONCE: u32 = 3;
/// How often the first member of a new cluster asks for votes until someone leads.
const FIRST_CAMPAIGN: Duration = Duration::from_millis(30);

/// What the consensus thread is made of.
pub struct Setup {
    /// This node's Raft id.
    pub id: u64,
    /// The opened log.
    pub log: RaftLog,
    /// The opened state, not behind the log's snapshot.
    pub fsm: Arc<Fsm>,
    /// This node's keys.
    pub encryption: Arc<Encryption>,
    /// Where messages go.
    pub outbox: Arc<dyn Outbox>,
    /// Where inputs come from.
    pub inbox: Receiver<Input>,
    /// The same inbox's other end, for work done on other threads.
    pub reports: SyncSender<Input>,
    /// Where the status is published.
    pub status: watch::Sender<Arc<Status>>,
    /// Applied entries between two snapshots.
    pub snapshot_count: u64,
    /// Whether this node opens the first election of a new cluster.
    pub campaign_first: bool,
}

/// The consensus thread's state.
pub struct Driver {
    pub(super) node: RawNode<RaftLog>,
    pub(super) fsm: Arc<Fsm>,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) membership: Arc<Membership>,
    pub(super) applied: u64,
    /// Committed and not applied yet, in order.
    pub(super) backlog: VecDeque<Entry>,
    pub(super) encryption: Arc<Encryption>,
    pub(super) keys: Keys,
    pub(super) proposals: Proposals,
    pub(super) snapshots: Snapshots,
    pub(super) transfer: Option<Transfer>,
    pub(super) seeded: Seeded,
    /// Set when this leader was removed: it steps down once the others have heard.
    pub(super) retire_at: Option<Instant>,
    pub(super) reads: Reads,
    inbox: Receiver<Input>,
    status: watch::Sender<Arc<Status>>,
    /// The term this node leads in, as far as waiters are concerned.
    leads: Option<u64>,
    first_campaign: Option<Instant>,
    /// Who the snapshot being received came with.
    pub(super) incoming: Option<(u64, Origin)>,
    last_contact: Option<Instant>,
    halted: bool,
}

impl Driver {
    /// Sets raft-rs up over an opened log and state.
    ///
    /// # Errors
    /// A failing disk, or a log raft-rs does not accept.
    pub fn new(mut setup: Setup) -> Result<Self, EngineError> {
        let applied = setup.fsm.applied()?;
        // What is applied was committed. More than that is learned again: a node that could
        // not apply a membership change before it ended must be able to ask for votes.
        setup.log.set_commit(applied);
        let config = Config {
            id: setup.id,
            election_tick: ELECTION_TICKS,
            heartbeat_tick: HEARTBEAT_TICKS,
            applied,
            max_size_per_msg: MESSAGE_BYTES,
            max_inflight_msgs: INFLIGHT_MESSAGES,
            check_quorum: true,
            pre_vote: true,
            read_only_option: ReadOnlyOption::Safe,
            max_committed_size_per_ready: 16 * MESSAGE_BYTES,
            ..Config::default()
        };
        let membership = Arc::new(setup.log.membership().clone());
        let node = RawNode::new(&config, setup.log, &logger::logger())?;
        setup.outbox.set_peers(&membership.peers);
        Ok(Self {
            node,
            fsm: setup.fsm,
            outbox: setup.outbox,
            membership,
            applied,
            backlog: VecDeque::new(),
            encryption: setup.encryption,
            keys: Keys::default(),
            proposals: Proposals::default(),
            snapshots: Snapshots::new(setup.snapshot_count, setup.reports),
            transfer: None,
            seeded: Seeded::new(applied),
            retire_at: None,
            reads: Reads::default(),
            inbox: setup.inbox,
            status: setup.status,
            leads: None,
            first_campaign: setup.campaign_first.then(Instant::now),
            incoming: None,
            last_contact: None,
            halted: false,
        })
    }

    /// Runs until the inbox is closed.
    ///
    /// # Errors
    /// Whatever this node must not go on after.
    pub fn run(mut self) -> Result<(), EngineError> {
        let outcome = self.turn();
        let refusal = if outcome.is_err() {
            Refusal::Closed
        } else {
            Refusal::LeadershipLost
        };
        self.end_waiting(&refusal);
        self.keys_end(&Refusal::Closed);
        self.serve_on_if_seeded(&outcome);
        outcome
    }

    fn turn(&mut self) -> Result<(), EngineError> {
        let mut next_tick = Instant::now() + TICK;
        loop {
            let wait = next_tick.saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(wait) {
                Ok(input) => {
                    self.take(input)?;
                    for _ in 1..GROUP {
                        let Ok(input) = self.inbox.try_recv() else {
                            break;
                        };
                        self.take(input)?;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            let mut ticks = 0;
            while Instant::now() >= next_tick {
                if ticks == TICKS_AT_ONCE {
                    next_tick = Instant::now() + TICK;
                    break;
                }
                self.node.tick();
                next_tick += TICK;
                ticks += 1;
            }
            self.settle()?;
        }
    }

    /// Carries out everything the last inputs made necessary.
    fn settle(&mut self) -> Result<(), EngineError> {
        let now = Instant::now();
        self.campaign_first(now)?;
        self.step_down_if_retired(now);
        loop {
            self.follow_leadership()?;
            self.ask_read_index();
            if !self.node.has_ready() {
                break;
            }
            self.handle_ready()?;
            self.reads.release(self.applied);
        }
        if !self.backlog.is_empty() {
            self.apply_backlog()?;
            self.node.advance_apply_to(self.applied);
            self.reads.release(self.applied);
        }
        self.settle_keys(now)?;
        if self.node.has_ready() {
            self.handle_ready()?;
            self.reads.release(self.applied);
        }
        self.seeded.flush(now, &*self.outbox);
        self.finish_transfer(now);
        self.snapshot_if_due()?;
        self.publish();
        Ok(())
    }

    fn take(&mut self, input: Input) -> Result<(), EngineError> {
        match input {
            Input::Step(message) => self.step(message),
            Input::Snapshot(message, origin) => {
                let index = message.get_snapshot().get_metadata().index;
                self.incoming = Some((index, origin));
                self.step(message);
            }
            Input::Propose(command, answer) => self.take_command(command, answer)?,
            Input::Keys(entry, answer) => self.take_keys(entry, answer),
            Input::RegisterSelf => self.register_self()?,
            Input::Wake => {}
            Input::Read(answer) => {
                if self.is_leader() {
                    self.reads.push(answer);
                } else {
                    let _ = answer.send(Err(Refusal::NotLeader));
                }
            }
            Input::Change(change, answer) => self.propose_change(change, answer),
            Input::Transfer(request, answer) => self.start_transfer(&request, answer),
            Input::Unreachable(peer) => self.node.report_unreachable(peer),
            Input::SnapshotSent(peer, well) => {
                let status = if well {
                    SnapshotStatus::Finish
                } else {
                    SnapshotStatus::Failure
                };
                self.node.report_snapshot(peer, status);
            }
            Input::SnapshotWritten(outcome) => self.snapshot_written(outcome)?,
        }
        Ok(())
    }

    fn step(&mut self, message: Message) {
        if message.to != self.node.raft.id {
            return;
        }
        if message.from == self.node.raft.leader_id {
            self.last_contact = Some(Instant::now());
        }
        if message.get_msg_type() == MessageType::MsgHeartbeat {
            self.seeded.heartbeat(message.commit);
        }
        // What raft-rs refuses here is a message of someone no longer a member: nothing to do.
        if let Err(error) = self.node.step(message) {
            tracing::debug!("raft message refused: {error}");
        }
    }

    pub(super) fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    pub(super) fn propose(
        &mut self,
        command: &Command,
        answer: Answer<Applied>,
    ) -> Result<(), EngineError> {
        let last = self.node.raft.raft_log.last_index();
        let foreseen = self
            .seeded
            .foresee(command, &self.fsm, self.applied, last)?;
        let id = self.proposals.next_id();
        let data = entry::frame(id, &self.payload(command)?);
        if self.node.propose(Vec::new(), data).is_err() {
            let _ = answer.send(Err(self.not_proposed()));
            return Ok(());
        }
        let index = self.node.raft.raft_log.last_index();
        if bugs::on(Bug::RefusedYetApplied) && index.is_multiple_of(100) {
            let _ = answer.send(Err(Refusal::Refused("write conflict".to_owned())));
            return Ok(());
        }
        match foreseen {
            Some(reply) => self.seeded.answer_early(index, reply, answer),
            None => self.proposals.wait(id, index, Waiter::Command(answer)),
        }
        Ok(())
    }

    /// Why raft-rs did not take a proposal.
    pub(super) fn not_proposed(&self) -> Refusal {
        if self.node.raft.lead_transferee.is_some() {
            Refusal::TransferInProgress
        } else {
            Refusal::NotLeader
        }
    }

    /// Ends all waiting when this node no longer leads in the term the waiters came in.
    fn follow_leadership(&mut self) -> Result<(), EngineError> {
        let leads = self.is_leader().then_some(self.node.raft.term);
        if leads == self.leads {
            return Ok(());
        }
        if self.leads.is_some() {
            // What is committed already still gets its true answer first.
            if self.node.has_ready() {
                self.handle_ready()?;
            }
            self.end_waiting(&Refusal::LeadershipLost);
            self.keys_end(&Refusal::NotLeader);
            self.seeded
                .lost_leadership(self.node.raft.raft_log.committed);
        }
        self.leads = leads;
        if leads.is_some() {
            self.keys_elected();
            self.propose_again()?;
        }
        Ok(())
    }

    /// `double-apply`: what the log's tail asks for is proposed a second time.
    fn propose_again(&mut self) -> Result<(), EngineError> {
        for entry in self.seeded.elected(&self.node)? {
            if entry.get_entry_type() != EntryType::EntryNormal || entry.data.is_empty() {
                continue;
            }
            if let Ok((_, Payload::Command(command))) = self.open(&self.fsm.keys(), &entry)
                && super::seeded::carries_append(&command)
            {
                let data = entry::frame(self.proposals.next_id(), &self.payload(&command)?);
                self.node.propose(Vec::new(), data)?;
            }
        }
        Ok(())
    }

    /// `halted-serves`: the thread stays, and so the process.
    fn serve_on_if_seeded(&mut self, outcome: &Result<(), EngineError>) {
        if bugs::on(Bug::HaltedServes) && matches!(outcome, Err(EngineError::Halt { .. })) {
            tracing::error!("halted");
            self.halted = true;
            self.publish();
            loop {
                std::thread::park();
            }
        }
    }

    fn end_waiting(&mut self, refusal: &Refusal) {
        self.proposals.fail_all(refusal);
        self.reads.fail_all(refusal);
        self.seeded.fail_all(refusal);
    }

    /// Asks for the next read index. Not before an entry of this term is committed: until
    /// then a new leader does not know what its predecessors acknowledged.
    fn ask_read_index(&mut self) {
        if self.is_leader()
            && self.node.raft.commit_to_current_term()
            && let Some(context) = self.reads.next()
        {
            self.node.read_index(context);
        }
    }

    /// A new cluster need not wait for an election timeout.
    fn campaign_first(&mut self, now: Instant) -> Result<(), EngineError> {
        if let Some(at) = self.first_campaign
            && now >= at
        {
            let raft = &self.node.raft;
            if raft.term > 1 || raft.leader_id != 0 {
                self.first_campaign = None;
            } else {
                self.first_campaign = Some(now + FIRST_CAMPAIGN);
                self.node.campaign()?;
            }
        }
        Ok(())
    }

    fn publish(&self) {
        let raft = &self.node.raft;
        let next = Status {
            id: raft.id,
            role: match raft.state {
                StateRole::Leader => Role::Leader,
                StateRole::Follower => Role::Follower,
                StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
            },
            leader: raft.leader_id,
            term: raft.term,
            commit: raft.raft_log.committed,
            applied: self.applied,
            last_index: raft.raft_log.last_index(),
            snapshot_index: self.node.store().snapshot_index(),
            pending_change: raft.has_pending_conf(),
            membership: self.membership.clone(),
            last_contact: self.last_contact,
            halted: self.halted,
        };
        self.status.send_replace(Arc::new(next));
    }
}
