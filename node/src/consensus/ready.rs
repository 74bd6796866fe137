//! Carrying out what raft-rs decided: make it durable with one sync, send, apply.
//!
//! Order within one Ready: a leader's appends go out first (they may run beside its
//! own sync), then committed entries are applied (all of them already synced here),
//! then the sync, then whatever depends on it.

use std::sync::Arc;

use raft::eraftpb::{HardState, Message, MessageType, Snapshot};

use super::apply::halt;
use super::driver::Driver;
use super::{EngineError, Origin};
use crate::encryption::ApplyError;
use crate::fsm::FsmError;

impl Driver {
    pub(super) fn handle_ready(&mut self) -> Result<(), EngineError> {
        let mut ready = self.node.ready();
        self.send(ready.take_messages());
        if !ready.snapshot().is_empty() {
            self.install(ready.snapshot(), ready.hs())?;
        }
        self.backlog.extend(ready.take_committed_entries());
        self.apply_backlog()?;
        let entries = ready.take_entries();
        let hard_state = ready.hs().cloned();
        let log = self.node.mut_store();
        log.append(entries, hard_state.as_ref())?;
        self.seeded.persisted(self.node.store().last());
        self.send(ready.take_persisted_messages());
        let read_states = ready.take_read_states();

        let mut light = self.node.advance_append(ready);
        if let Some(commit) = light.commit_index() {
            self.node.mut_store().set_commit(commit);
        }
        self.send(light.take_messages());
        self.backlog.extend(light.take_committed_entries());
        self.apply_backlog()?;
        self.node.advance_apply_to(self.applied);

        for state in read_states {
            let index = self.seeded.read_index(state.index, &self.node);
            self.reads.confirm(&state.request_ctx, index);
        }
        Ok(())
    }

    fn install(
        &mut self,
        snapshot: &Snapshot,
        hard_state: Option<&HardState>,
    ) -> Result<(), EngineError> {
        let metadata = snapshot.get_metadata();
        let origin = match self.incoming.take() {
            Some((index, origin)) if index == metadata.index => origin,
            _ => Origin {
                peers: self.membership.peers.clone(),
                configuration_index: metadata.index,
            },
        };
        tracing::info!(index = metadata.index, "installing a snapshot");
        // Keys first: whatever is behind the snapshot may need them.
        match self.fsm.adopt_snapshot(metadata.index) {
            Ok(()) => {}
            Err(ApplyError::Halt(reason)) => return Err(halt(metadata.index, reason)),
            Err(ApplyError::Fsm(error)) => return Err(error.into()),
        }
        self.backlog.clear();
        self.node
            .mut_store()
            .restore(metadata, origin, hard_state)?;
        self.fsm.install(metadata.index)?;
        self.applied = metadata.index;
        self.members_changed();
        self.fsm
            .files()
            .prune(metadata.index)
            .map_err(FsmError::from)?;
        Ok(())
    }

    /// The stored membership is new: everyone who keeps a copy is told.
    pub(super) fn members_changed(&mut self) {
        self.membership = Arc::new(self.node.store().membership().clone());
        self.outbox.set_peers(&self.membership.peers);
    }

    fn send(&mut self, messages: Vec<Message>) {
        for message in messages {
            if message.get_msg_type() == MessageType::MsgSnapshot {
                let index = message.get_snapshot().get_metadata().index;
                let origin = Origin {
                    peers: self.membership.peers.clone(),
                    // Changes behind the snapshot will reach the receiver as entries.
                    configuration_index: self.membership.index.min(index),
                };
                self.outbox.send_snapshot(message, origin);
            } else if let Some(message) = self.seeded.hold(message) {
                self.outbox.send(message);
            }
        }
    }
}
