//! One logical client: a process of the history, with a connection to each node it talks to.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use elle_rs::history::Action;
use futures_util::FutureExt;

use crate::client::{Client, Connect, Outcome};
use crate::generator::Seen;
use crate::options::Protocol;
use crate::recorder::{RecordError, Recorder};
use crate::validated::Validated;

/// A client whose operation did not end `ok` rests this long. Else clients of a node that is
/// dead or has no leader, which fail at once, would take the arrivals away from the others.
const REST: Duration = Duration::from_millis(50);

/// What all clients of one workload share.
pub(crate) struct Wiring {
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) recorder: Recorder,
    pub(crate) protocol: Protocol,
    pub(crate) op_timeout: Duration,
    /// Position of the workload in the plan.
    pub(crate) workload: u16,
    pub(crate) nodes: u16,
}

/// A client that does one operation after the other.
pub(crate) struct LogicalClient {
    wiring: Arc<Wiring>,
    /// Position among the workload's clients.
    pub(crate) position: u32,
    process: u32,
    connections: Vec<Option<Validated<Box<dyn Client>>>>,
    /// What it knows of registers.
    pub(crate) seen: Seen,
    /// The first thing a client implementation did wrong since this was last taken.
    pub(crate) bug: Option<String>,
}

impl LogicalClient {
    pub(crate) fn new(wiring: Arc<Wiring>, position: u32) -> Self {
        Self {
            position,
            process: wiring.recorder.fresh_process(),
            connections: (0..wiring.nodes).map(|_| None).collect(),
            seen: Seen::default(),
            bug: None,
            wiring,
        }
    }

    /// Does one operation and records it. Returns whether it came back `ok`.
    ///
    /// The invocation stands in the history before the request is sent, the completion after
    /// the answer is in hand. After `info` the old process is over: whatever it asked for may
    /// still happen, so a fresh process on a fresh connection goes on.
    pub(crate) async fn perform(&mut self, action: Action, node: u16) -> Result<bool, RecordError> {
        let recorder = &self.wiring.recorder;
        let connection = self.connections[usize::from(node)].get_or_insert_with(|| {
            Validated(self.wiring.connect.connect(self.wiring.protocol, node))
        });
        let invocation = recorder.invoke(self.wiring.workload, self.process, action, Some(node))?;
        let attempt = AssertUnwindSafe(connection.invoke(invocation.action())).catch_unwind();
        let outcome = match tokio::time::timeout(self.wiring.op_timeout, attempt).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Outcome::Info(format!("client-bug: panicked: {}", words(&*panic))),
            Err(_) => Outcome::Info(format!(
                "timeout: no answer within {}",
                humantime::format_duration(self.wiring.op_timeout)
            )),
        };
        let ok = self.take_note(&outcome, node);
        let is_info = matches!(outcome, Outcome::Info(_));
        self.wiring.recorder.complete(invocation, outcome)?;
        if is_info {
            self.process = self.wiring.recorder.fresh_process();
        }
        if !ok {
            tokio::time::sleep(REST).await;
        }
        Ok(ok)
    }

    /// Draws the consequences of an outcome. Returns whether it was `ok`.
    fn take_note(&mut self, outcome: &Outcome, node: u16) -> bool {
        match outcome {
            Outcome::Ok(action) => {
                self.seen.note(action);
                true
            }
            Outcome::Corrupt { .. } => true,
            Outcome::Fail(_) => false,
            Outcome::Info(text) => {
                self.connections[usize::from(node)] = None;
                if text.starts_with("client-bug: ") {
                    self.bug.get_or_insert_with(|| text.clone());
                }
                false
            }
        }
    }
}

/// The message of a panic.
fn words(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}
