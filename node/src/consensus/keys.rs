//! Encryption entries on a leader: looked over against the state at the end of the log,
//! proposed one after another, and the phase-2 barrier.
//!
//! A leader first applies what it has, then proposes; only its own registration may go
//! before, because until that is committed it may not seal what it would apply.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use raft::GetEntriesContext;
use raft::eraftpb::EntryType;

use super::EngineError;
use super::Refusal;
use super::apply::halt;
use super::driver::Driver;
use super::handle::{Answer, Applied, KeysApplied};
use super::pending::Waiter;
use crate::bugs::{self, Bug};
use crate::encryption::{
    self, Acceptance, ApplyError, KeyEntry, KeyRefusal, Slot, State, Writer, WriterRow,
};
use crate::entry::{self, Payload};
use crate::fsm::{FsmError, Writes};
use crate::wire::Command;

/// How long in-flight proposals may take to drain before the barrier is lifted again.
const DRAIN: Duration = Duration::from_secs(3);
/// User proposals that may wait behind a barrier or a fresh leader's applying.
const HELD_MAX: usize = 16_384;
/// How long `leader-hesitates` does.
const HESITATES: Duration = Duration::from_secs(60);

/// What waits on a leader.
#[derive(Default)]
pub(super) struct Keys {
    waiting: VecDeque<(KeyEntry, Answer<KeysApplied>)>,
    barrier: Option<Barrier>,
    held: VecDeque<(Command, Answer<Applied>)>,
    /// User proposals wait until this index is applied.
    pause_until: u64,
    /// The last index of the log when this leadership began.
    term_start: u64,
    elected: Option<Instant>,
    /// Whether what is held waits because of a cutover.
    after_cutover: bool,
}

/// The phase-2 barrier while in-flight proposals drain.
struct Barrier {
    entry: KeyEntry,
    answer: Answer<KeysApplied>,
    deadline: Instant,
}

/// The state at the end of the log.
struct Preview {
    state: State,
    /// Rows of entries that are not applied yet, and the entries' indices.
    rows: BTreeMap<Slot, (Writer, u64)>,
}

impl Driver {
    /// A new leadership begins behind this log.
    pub(super) fn keys_elected(&mut self) {
        self.keys.term_start = self.node.raft.raft_log.last_index();
        self.keys.pause_until = 0;
        self.keys.elected = Some(Instant::now());
    }

    /// Ends all waiting: nothing of it was proposed.
    pub(super) fn keys_end(&mut self, refusal: &Refusal) {
        for (_, answer) in self.keys.waiting.drain(..) {
            let _ = answer.send(Err(refusal.clone()));
        }
        if let Some(barrier) = self.keys.barrier.take() {
            let _ = barrier.answer.send(Err(refusal.clone()));
        }
        for (_, answer) in self.keys.held.drain(..) {
            let _ = answer.send(Err(refusal.clone()));
        }
        self.keys.elected = None;
    }

    pub(super) fn take_keys(&mut self, entry: KeyEntry, answer: Answer<KeysApplied>) {
        if self.is_leader() {
            self.keys.waiting.push_back((entry, answer));
        } else {
            let _ = answer.send(Err(Refusal::NotLeader));
        }
    }

    /// Goes on with whatever waits.
    pub(super) fn settle_keys(&mut self, now: Instant) -> Result<(), EngineError> {
        if !self.is_leader() || self.applied < self.keys.term_start {
            return Ok(());
        }
        if let Some(barrier) = self.keys.barrier.take() {
            self.drain(barrier, now)?;
        }
        for _ in 0..self.keys.waiting.len() {
            if let Some((entry, answer)) = self.keys.waiting.pop_front() {
                self.look_over(entry, answer, now)?;
            }
        }
        while !self.holds() {
            let Some((command, answer)) = self.keys.held.pop_front() else {
                self.keys.after_cutover = false;
                break;
            };
            self.release(command, answer)?;
        }
        Ok(())
    }

    fn drain(&mut self, barrier: Barrier, now: Instant) -> Result<(), EngineError> {
        if self.applied == self.node.raft.raft_log.last_index() {
            self.keys.after_cutover = true;
            return self.look_over_again(barrier.entry, barrier.answer);
        }
        if now < barrier.deadline {
            self.keys.barrier = Some(barrier);
            return Ok(());
        }
        let text = "encryption: §7.1 step-2 drain wait: writes in flight did not drain; the \
                    barrier is lifted, try again";
        let _ = barrier.answer.send(Err(Refusal::Refused(text.to_owned())));
        Ok(())
    }

    fn look_over(
        &mut self,
        entry: KeyEntry,
        answer: Answer<KeysApplied>,
        now: Instant,
    ) -> Result<(), EngineError> {
        if !matches!(entry, KeyEntry::EnableRaft { .. }) {
            return self.look_over_again(entry, answer);
        }
        if self.keys.barrier.is_some() {
            let text = "encryption: cutover mutator wait: another cutover is under way";
            let _ = answer.send(Err(Refusal::Refused(text.to_owned())));
            return Ok(());
        }
        self.keys.barrier = Some(Barrier {
            entry,
            answer,
            deadline: now + DRAIN,
        });
        Ok(())
    }

    fn look_over_again(
        &mut self,
        entry: KeyEntry,
        answer: Answer<KeysApplied>,
    ) -> Result<(), EngineError> {
        let preview = match self.preview()? {
            Ok(preview) => preview,
            Err((_, text)) => {
                let _ = answer.send(Err(Refusal::Refused(text)));
                return Ok(());
            }
        };
        let members = &self.membership.peers;
        let fsm = &self.fsm;
        let writer = |slot| preview.writer(fsm, slot);
        match encryption::validate(&self.encryption, &preview.state, members, writer, &entry) {
            Ok(Acceptance::NoChange(since)) => {
                let index = since.unwrap_or(self.applied);
                let already = since.is_some();
                let _ = answer.send(Ok(KeysApplied { index, already }));
            }
            Ok(Acceptance::Propose) => {
                if let Some(answer) = self.propose_keys(&preview, &entry, Some(answer))? {
                    self.keys.waiting.push_back((entry, answer));
                }
            }
            Err(KeyRefusal::Refused(text)) => {
                let text = format!("encryption: {text}");
                let _ = answer.send(Err(Refusal::Refused(text)));
            }
            Err(KeyRefusal::Fsm(error)) => return Err(error.into()),
        }
        Ok(())
    }

    /// Proposes an entry; hands the answer back when it must wait for this process' own
    /// registration under the raft key.
    fn propose_keys(
        &mut self,
        preview: &Preview,
        entry: &KeyEntry,
        answer: Option<Answer<KeysApplied>>,
    ) -> Result<Option<Answer<KeysApplied>>, EngineError> {
        let mut payload = entry.encode();
        let sealed = preview.state.raft_envelope_cutover_index != 0;
        if sealed && self.encryption.seals_entries() {
            let active = preview.state.active.raft;
            let own = self.own_row(active, self.encryption.epochs().raft);
            let registers = matches!(entry, KeyEntry::Register(row) if *row == own);
            let known = preview.writer(&self.fsm, Slot::of(&own))?;
            let unknown = known.is_none_or(|w| w.last_seen != own.local_epoch);
            if !registers && unknown && !bugs::on(Bug::SealsUnregistered) {
                return Ok(answer);
            }
            payload = self
                .encryption
                .seal_payload(active, &payload)
                .map_err(FsmError::from)?;
        }
        let id = self.proposals.next_id();
        if self
            .node
            .propose(Vec::new(), entry::frame(id, &payload))
            .is_err()
        {
            if let Some(answer) = answer {
                let _ = answer.send(Err(self.not_proposed()));
            }
            return Ok(None);
        }
        let index = self.node.raft.raft_log.last_index();
        if let KeyEntry::EnableRaft { .. }
        | KeyEntry::Rotate {
            purpose: encryption::Purpose::Raft,
            ..
        } = entry
        {
            self.keys.pause_until = index;
        }
        if let Some(answer) = answer {
            self.proposals.wait(id, index, Waiter::Keys(answer));
        }
        Ok(None)
    }

    fn own_row(&self, dek_id: u32, local_epoch: u16) -> WriterRow {
        WriterRow {
            dek_id,
            full_node_id: self.encryption.full_node_id(),
            local_epoch,
        }
    }

    /// This leader registers itself, whatever is not applied yet: it may seal only what lies
    /// behind its own row.
    pub(super) fn register_self(&mut self) -> Result<(), EngineError> {
        if !self.is_leader() {
            return Ok(());
        }
        let preview = match self.preview()? {
            Ok(preview) => preview,
            // It would wait for its own row in front of an entry that nobody can pass.
            Err((index, reason)) if index <= self.node.raft.raft_log.committed => {
                return Err(halt(index, reason));
            }
            Err(_) => return Ok(()),
        };
        let mut wanted = self.encryption.missing_registrations();
        let raft = preview.state.active.raft;
        if preview.state.raft_envelope_cutover_index != 0
            && !self.encryption.is_registered(raft)
            && wanted.iter().all(|(id, _)| *id != raft)
        {
            wanted.insert(0, (raft, self.encryption.epochs().raft));
        }
        for (dek_id, epoch) in wanted {
            let Ok(preview) = self.preview()? else {
                return Ok(());
            };
            let row = self.own_row(dek_id, epoch);
            let committed = self.node.raft.raft_log.committed;
            match preview.rows.get(&Slot::of(&row)) {
                Some((writer, index)) if writer.last_seen == epoch => {
                    if *index <= committed {
                        self.encryption.mark_registered(dek_id);
                    }
                    continue;
                }
                _ => {}
            }
            let entry = KeyEntry::Register(row);
            let (members, fsm) = (&self.membership.peers, &self.fsm);
            let writer = |slot| preview.writer(fsm, slot);
            match encryption::validate(&self.encryption, &preview.state, members, writer, &entry) {
                Ok(Acceptance::NoChange(_)) => self.encryption.mark_registered(dek_id),
                Ok(Acceptance::Propose) => drop(self.propose_keys(&preview, &entry, None)?),
                Err(KeyRefusal::Refused(text)) => return Err(EngineError::Guard(text)),
                Err(KeyRefusal::Fsm(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The state at the end of the log, or the entry that can't be applied and why.
    fn preview(&mut self) -> Result<Result<Preview, (u64, String)>, EngineError> {
        let mut preview = Preview {
            state: (*self.fsm.keys()).clone(),
            rows: BTreeMap::new(),
        };
        let log = &self.node.raft.raft_log;
        if self.applied >= log.last_index() {
            return Ok(Ok(preview));
        }
        let context = GetEntriesContext::empty(false);
        for entry in log.entries(self.applied + 1, u64::MAX, context)? {
            if entry.get_entry_type() != EntryType::EntryNormal || entry.data.is_empty() {
                continue;
            }
            let keys = match self.open(&preview.state, &entry) {
                Ok((_, Payload::Keys(keys))) => keys,
                Ok(_) => continue,
                Err(text) => return Ok(Err((entry.index, text))),
            };
            let writer = |slot| preview.writer(&self.fsm, slot);
            let index = entry.index;
            let change = encryption::apply(&self.encryption, &preview.state, writer, &keys, index);
            match change {
                Ok(change) => {
                    if let Some(state) = change.state {
                        self.encryption.hold_early(&state);
                        preview.state = state;
                    }
                    let rows = change.rows.into_iter();
                    preview
                        .rows
                        .extend(rows.map(|(slot, writer)| (slot, (writer, index))));
                }
                Err(ApplyError::Halt(text)) => return Ok(Err((index, text))),
                Err(ApplyError::Fsm(error)) => return Err(error.into()),
            }
        }
        Ok(Ok(preview))
    }

    /// Whether user proposals wait now.
    fn holds(&self) -> bool {
        let state = self.fsm.keys();
        let sealed = state.raft_envelope_cutover_index != 0 && self.encryption.seals_entries();
        let hesitates = bugs::on(Bug::LeaderHesitates)
            && self.node.raft.term > 2
            && self.keys.elected.is_some_and(|at| at.elapsed() < HESITATES);
        self.applied < self.keys.term_start
            || self.keys.barrier.is_some()
            || self.applied < self.keys.pause_until
            || (sealed && !self.encryption.is_registered(state.active.raft))
            || (sealed && bugs::on(Bug::BarrierStaysShut))
            || hesitates
    }

    /// Takes a user's command: now, or once whatever is in its way is over.
    pub(super) fn take_command(
        &mut self,
        command: Command,
        answer: Answer<Applied>,
    ) -> Result<(), EngineError> {
        if !self.is_leader() {
            let _ = answer.send(Err(Refusal::NotLeader));
        } else if !self.keys.held.is_empty() || self.holds() {
            if self.keys.held.len() < HELD_MAX {
                self.keys.held.push_back((command, answer));
            } else {
                let _ = answer.send(Err(Refusal::Overloaded));
            }
        } else {
            self.propose(&command, answer)?;
        }
        Ok(())
    }

    fn release(&mut self, command: Command, answer: Answer<Applied>) -> Result<(), EngineError> {
        if self.keys.after_cutover && bugs::on(Bug::BarrierLosesWrite) {
            // What it would have been answered.
            let reply = self.fsm.speculate(&command, &mut Writes::new())?;
            let _ = answer.send(Ok((reply, self.applied)));
            return Ok(());
        }
        if self.keys.after_cutover && bugs::on(Bug::BarrierDoublesWrite) {
            let (unheard, _) = tokio::sync::oneshot::channel();
            self.propose(&command, unheard)?;
        }
        self.propose(&command, answer)
    }

    /// The payload of a command as it goes into the log.
    pub(super) fn payload(&mut self, command: &Command) -> Result<Vec<u8>, EngineError> {
        let payload = entry::command(command);
        let state = self.fsm.keys();
        let next = self.node.raft.raft_log.last_index() + 1;
        let clear = bugs::on(Bug::CleartextAboveCutover) && next.is_multiple_of(20);
        let sealed = state.raft_envelope_cutover_index != 0 && self.encryption.seals_entries();
        if !sealed || clear {
            return Ok(payload);
        }
        let sealed = self.encryption.seal_payload(state.active.raft, &payload);
        Ok(sealed.map_err(FsmError::from)?)
    }
}

impl Preview {
    fn writer(&self, fsm: &crate::fsm::Fsm, slot: Slot) -> Result<Option<Writer>, FsmError> {
        match self.rows.get(&slot) {
            Some((writer, _)) => Ok(Some(*writer)),
            None => fsm.writer(slot),
        }
    }
}
