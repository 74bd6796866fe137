//! Taking snapshots of this node's own state, on a thread of their own, and
//! cutting the log behind them.

use std::sync::mpsc::SyncSender;
use std::thread;

use raft::eraftpb::SnapshotMetadata;

use super::EngineError;
use super::driver::Driver;
use super::handle::Input;
use crate::fsm::FsmError;

/// When a snapshot is due, and whether one is being written.
pub(super) struct Snapshots {
    every: u64,
    reports: SyncSender<Input>,
    writing: bool,
    /// A member was added: it can only start from a snapshot that knows it.
    pub(super) forced: bool,
}

impl Snapshots {
    pub(super) fn new(every: u64, reports: SyncSender<Input>) -> Self {
        Self {
            every,
            reports,
            writing: false,
            forced: false,
        }
    }
}

impl Driver {
    pub(super) fn snapshot_if_due(&mut self) -> Result<(), EngineError> {
        let snapshot_index = self.node.store().snapshot_index();
        if self.node.store().take_wanted() {
            self.snapshots.forced = true;
        }
        let behind = self.applied - snapshot_index;
        let due = behind >= self.snapshots.every || self.snapshots.forced;
        // After a restart the stored membership may be ahead of what is applied.
        let members_ahead = self.membership.index > self.applied;
        if !due || behind == 0 || self.snapshots.writing || members_ahead {
            return Ok(());
        }
        let mut metadata = SnapshotMetadata {
            index: self.applied,
            term: self.node.raft.raft_log.term(self.applied)?,
            ..SnapshotMetadata::default()
        };
        metadata.set_conf_state(self.membership.state.clone());
        self.snapshots.forced = false;
        self.snapshots.writing = true;
        let (fsm, moment) = (self.fsm.clone(), self.fsm.moment());
        let reports = self.snapshots.reports.clone();
        thread::spawn(move || {
            // The state is synced too: a restart must find it at or past the snapshot.
            let outcome = fsm
                .write_snapshot(&moment, metadata.index)
                .and_then(|()| fsm.sync())
                .map(|()| metadata);
            // A closed inbox means the node is ending; the file stays and does no harm.
            let _ = reports.send(Input::SnapshotWritten(outcome));
        });
        Ok(())
    }

    pub(super) fn snapshot_written(
        &mut self,
        outcome: Result<SnapshotMetadata, FsmError>,
    ) -> Result<(), EngineError> {
        self.snapshots.writing = false;
        let metadata = outcome?;
        let index = metadata.index;
        self.node.mut_store().compact(metadata)?;
        let needed = self.node.store().snapshot_index();
        self.fsm.files().prune(needed).map_err(FsmError::from)?;
        tracing::debug!(index, "snapshot written, log cut");
        Ok(())
    }
}
