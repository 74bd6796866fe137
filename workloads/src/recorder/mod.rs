//! Puts every event of a run into one order and onto the disk.
//!
//! Index and time are assigned under one short lock at the moment of recording; a thread of its
//! own encodes, compresses and writes. What was recorded reaches the kernel within 100 ms, so a
//! `kill -9` of the suite loses no more than that. Memory is bounded: when the disk can't keep
//! up for 65,536 events, recording waits for it. A disk that fails is reported by every later
//! call, and by [`Recorder::failed`]: a run must not go on without its history.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use elle_rs::history::{
    Action, Event, ExitEvent, FaultEvent, FaultStep, Kind, Op, OutageEvent, OutcomeEvent, Phase,
    PhaseEvent,
};
use tokio::sync::watch;

use crate::client::Outcome;

mod live;
mod writer;

pub use live::{KindLive, Latency, Live, OpName, WorkloadLive};

/// Events that may wait for the disk.
const WAITING_MAX: usize = 65_536;

/// The one place where a run's history is made. Clones are handles of the same recorder.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

/// An operation that was invoked and not yet completed.
///
/// Completing takes it away, so that no operation completes twice or without an invocation.
#[must_use = "an operation that is never completed stays open in the history"]
#[derive(Debug)]
pub struct Invocation {
    workload: u16,
    process: u32,
    node: Option<u16>,
    action: Action,
    index: u64,
    time_ns: u64,
}

impl Invocation {
    /// What was asked.
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// The invocation's position in the history.
    pub fn index(&self) -> u64 {
        self.index
    }
}

/// A step of a fault, before it has its place in the history. Fields as in
/// [`elle_rs::history::FaultEvent`].
#[derive(Clone, Debug)]
pub struct FaultRecord {
    /// Position of the fault in the plan, from 0.
    pub fault: u32,
    /// The fault's name in the plan.
    pub name: String,
    /// The nodes it was aimed at.
    pub nodes: Vec<u16>,
    /// Which step.
    pub step: FaultStep,
    /// What was seen.
    pub evidence: String,
}

/// What a closed recorder has to say.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Events in the history.
    pub events: u64,
    /// Bytes of the history on disk.
    pub bytes: u64,
    /// Counters and latencies at the end.
    pub live: Live,
}

/// Why an event could not be recorded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RecordError {
    /// The disk refused; events recorded in the last moments may be lost.
    #[error(
        "failed to write the history: {0}; the run can't go on without it: free or replace the disk under the run folder and run again"
    )]
    Write(String),
    /// The recorder was closed before.
    #[error("the history is closed: nothing can be recorded after the end of a run")]
    Closed,
}

struct Shared {
    order: Mutex<Order>,
    /// Signalled when the writer has something urgent to do.
    work: Condvar,
    /// Signalled when the writer took what waited.
    room: Condvar,
    live: Mutex<live::Counters>,
    start: Instant,
    next_process: AtomicU32,
    completed: AtomicU64,
    failure: watch::Sender<Option<RecordError>>,
    thread: Mutex<Option<JoinHandle<io::Result<u64>>>>,
    summary: Mutex<Option<Summary>>,
}

/// What the one lock guards.
#[derive(Default)]
struct Order {
    next_index: u64,
    waiting: Vec<Event>,
    closed: bool,
    failed: Option<String>,
}

impl Order {
    fn refuse_if_over(&self) -> Result<(), RecordError> {
        match &self.failed {
            Some(reason) => Err(RecordError::Write(reason.clone())),
            None if self.closed => Err(RecordError::Closed),
            None => Ok(()),
        }
    }
}

/// The suite must not lose a history to a panic elsewhere: what a lock guards stays usable, as
/// nothing here leaves it half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// Starts a history in a new file. `start` is the run's time zero. A file that is already
    /// there is an error: a history is never written over.
    pub fn create(path: &Path, start: Instant) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("failed to create the history {}: {error}", path.display()),
                )
            })?;
        Self::to_file(file, start)
    }

    /// Starts a history in an open file.
    pub fn to_file(file: File, start: Instant) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            order: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            live: Mutex::default(),
            start,
            next_process: AtomicU32::new(0),
            completed: AtomicU64::new(0),
            failure: watch::Sender::new(None),
            thread: Mutex::new(None),
            summary: Mutex::new(None),
        });
        let thread = std::thread::Builder::new()
            .name("keyquake-recorder".to_owned())
            .spawn({
                let shared = shared.clone();
                move || writer::run(&shared, file)
            })?;
        *lock(&shared.thread) = Some(thread);
        Ok(Self { shared })
    }

    /// A process number that no one in this run has had.
    pub fn fresh_process(&self) -> u32 {
        self.shared.next_process.fetch_add(1, Ordering::Relaxed)
    }

    /// Records that `process` is about to send `action` to `node`, for the workload at position
    /// `workload` of the plan.
    pub fn invoke(
        &self,
        workload: u16,
        process: u32,
        action: Action,
        node: Option<u16>,
    ) -> Result<Invocation, RecordError> {
        let (index, time_ns) = self.shared.record(|index, time_ns| {
            Event::Op(Op {
                index,
                time_ns,
                process,
                kind: Kind::Invoke,
                action: action.clone(),
                node,
                error: None,
            })
        })?;
        lock(&self.shared.live).invoked(workload);
        Ok(Invocation {
            workload,
            process,
            node,
            action,
            index,
            time_ns,
        })
    }

    /// Records how an operation ended; to be called with the answer in hand. Returns the
    /// position of the completion in the history.
    pub fn complete(&self, invocation: Invocation, outcome: Outcome) -> Result<u64, RecordError> {
        let (kind, answer, error) = match outcome {
            Outcome::Ok(action) => (Kind::Ok, Some(action), None),
            Outcome::Corrupt { action, note } => (Kind::Ok, Some(action), Some(note)),
            Outcome::Fail(text) => (Kind::Fail, None, Some(text)),
            Outcome::Info(text) => (Kind::Info, None, Some(text)),
        };
        let name = OpName::of(&invocation.action);
        let (index, time_ns) = self.shared.record(|index, time_ns| {
            Event::Op(Op {
                index,
                time_ns,
                process: invocation.process,
                kind,
                action: answer.unwrap_or(invocation.action),
                node: invocation.node,
                error,
            })
        })?;
        self.shared.completed.fetch_add(1, Ordering::Relaxed);
        let latency_ns = time_ns - invocation.time_ns;
        lock(&self.shared.live).completed(invocation.workload, name, kind, latency_ns);
        Ok(index)
    }

    /// Records a step of a fault.
    pub fn record_fault(&self, fault: FaultRecord) -> Result<u64, RecordError> {
        let recorded = self.shared.record(|index, time_ns| {
            Event::Fault(FaultEvent {
                index,
                time_ns,
                fault: fault.fault,
                name: fault.name,
                nodes: fault.nodes,
                step: fault.step,
                evidence: fault.evidence,
            })
        });
        recorded.map(|(index, _)| index)
    }

    /// Records that a node ended which no fault had killed.
    pub fn record_exit(&self, node: u16, ending: String) -> Result<u64, RecordError> {
        let recorded = self.shared.record(|index, time_ns| {
            Event::Exit(ExitEvent {
                index,
                time_ns,
                node,
                ending,
            })
        });
        recorded.map(|(index, _)| index)
    }

    /// Records what came of an operator's step; index and time are given here.
    pub fn record_outcome(&self, outcome: OutcomeEvent) -> Result<u64, RecordError> {
        let recorded = self.shared.record(|index, time_ns| {
            Event::Outcome(OutcomeEvent {
                index,
                time_ns,
                ..outcome
            })
        });
        recorded.map(|(index, _)| index)
    }

    /// Records that the cluster can't serve by design from now on, or can again.
    pub fn record_outage(&self, begins: bool, reason: String) -> Result<u64, RecordError> {
        let recorded = self.shared.record(|index, time_ns| {
            Event::Outage(OutageEvent {
                index,
                time_ns,
                begins,
                reason,
            })
        });
        recorded.map(|(index, _)| index)
    }

    /// Records that the run enters another phase.
    pub fn phase(&self, phase: Phase) -> Result<u64, RecordError> {
        let recorded = self.shared.record(|index, time_ns| {
            Event::Phase(PhaseEvent {
                index,
                time_ns,
                phase,
            })
        });
        recorded.map(|(index, _)| index)
    }

    /// Takes note of how late an operation was sent, beside its due time.
    pub(crate) fn late(&self, workload: u16, lag: Duration) {
        lock(&self.shared.live).late(workload, lag);
    }

    /// How many operations were completed so far, however they ended. Cheap: may be asked often.
    pub fn completed(&self) -> u64 {
        self.shared.completed.load(Ordering::Relaxed)
    }

    /// Counters and latencies of this moment.
    pub fn snapshot(&self) -> Live {
        lock(&self.shared.live).snapshot()
    }

    /// Time since the run began.
    pub fn elapsed(&self) -> Duration {
        self.shared.start.elapsed()
    }

    /// Waits until the history can't be written any more, and says why. For ever, while all is
    /// well.
    pub async fn failed(&self) -> RecordError {
        let mut failure = self.shared.failure.subscribe();
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(RecordError::Closed),
            // The sender lives in `self.shared`, so this is not reached.
            Err(_) => RecordError::Closed,
        }
    }

    /// Writes what waits, syncs the file and ends the recorder. Closing again gives the same
    /// summary.
    pub async fn close(&self) -> io::Result<Summary> {
        let recorder = self.clone();
        tokio::task::spawn_blocking(move || recorder.close_now())
            .await
            .map_err(io::Error::other)?
    }

    /// As [`close`](Self::close), for a thread that may block.
    pub fn close_now(&self) -> io::Result<Summary> {
        let mut thread = lock(&self.shared.thread);
        lock(&self.shared.order).closed = true;
        self.shared.work.notify_all();
        if let Some(thread) = thread.take() {
            let bytes = thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the thread that writes it panicked")))?;
            *lock(&self.shared.summary) = Some(Summary {
                events: lock(&self.shared.order).next_index,
                bytes,
                live: self.snapshot(),
            });
        }
        lock(&self.shared.summary).clone().ok_or_else(|| {
            let order = lock(&self.shared.order);
            io::Error::other(order.failed.clone().unwrap_or_default())
        })
    }
}

impl Shared {
    /// Gives an event its place: position, then time, both growing alike.
    fn record(&self, event: impl FnOnce(u64, u64) -> Event) -> Result<(u64, u64), RecordError> {
        let mut order = lock(&self.order);
        while order.waiting.len() >= WAITING_MAX && order.failed.is_none() {
            self.work.notify_one();
            order = self
                .room
                .wait(order)
                .unwrap_or_else(PoisonError::into_inner);
        }
        order.refuse_if_over()?;
        let index = order.next_index;
        let time_ns = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        order.next_index += 1;
        order.waiting.push(event(index, time_ns));
        if order.waiting.len() == WAITING_MAX / 2 {
            self.work.notify_one();
        }
        Ok((index, time_ns))
    }
}
