//! The client loop: open-loop arrivals, spread over logical clients.
//!
//! Operations arrive at moments drawn from the seed, whether or not earlier ones are done. One
//! that finds every client busy waits for one, and how late it ran is measured. Each workload is
//! one task; answers are served before new operations are sent, as an answer that waits makes
//! its operation look longer, and so more concurrent, than it was.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use elle_rs::history::Key;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Connect, LeaderHint};
use crate::generator::{Generator, Purpose, stream};
use crate::logical_client::{LogicalClient, Wiring};
use crate::options::{OptionsError, WorkloadName, WorkloadOptions};
use crate::recorder::{Latency, RecordError, Recorder};
use crate::target::node_for;

/// Which workloads run, against what, and where it is written down.
#[derive(Clone)]
pub struct Setup {
    /// The workloads; an operation names its workload by the position in here.
    pub options: Vec<WorkloadOptions>,
    /// Where all chance comes from.
    pub seed: u64,
    /// The store's clients.
    pub connect: Arc<dyn Connect>,
    /// Where the leader is.
    pub leader: Arc<dyn LeaderHint>,
    /// How many nodes there are; at least 1.
    pub nodes: u16,
    /// The run's history.
    pub recorder: Recorder,
}

/// Why a workload could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The options can't be used with this store.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The history can't be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// There is nothing to talk to.
    #[error("a workload needs at least one node and at least one client")]
    NoNodes,
    /// All keys are used up.
    #[error(
        "workload {0} has used up its {count} keys: run shorter, slower, or with more appends-per-key",
        count = crate::generator::KEYS_PER_WORKLOAD
    )]
    OutOfKeys(WorkloadName),
    /// A task ended by a panic: a bug of the suite.
    #[error("a workload ended by a bug of the suite: {0}")]
    Bug(String),
}

/// What ran, by the workloads' positions.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// One per workload.
    pub workloads: Vec<WorkloadSummary>,
}

/// What one workload did.
#[derive(Clone, Debug)]
pub struct WorkloadSummary {
    /// Which workload.
    pub name: WorkloadName,
    /// The keys its operations can have touched.
    pub keys: Range<Key>,
    /// Operations sent.
    pub operations: u64,
    /// About how many operations arrived and found no idle client before the end.
    pub unserved: u64,
    /// How late operations were sent.
    pub lag: Latency,
    /// Times that a client implementation panicked or answered what it was not asked. Those
    /// operations stand as `info` in the history.
    pub client_bugs: u64,
    /// The first of them.
    pub first_client_bug: Option<String>,
}

impl Setup {
    /// Refuses what can't be run.
    pub fn check(&self) -> Result<(), RunError> {
        if self.nodes == 0 {
            return Err(RunError::NoNodes);
        }
        for options in &self.options {
            options.check_against(self.connect.capabilities(options.protocol))?;
        }
        Ok(())
    }

    /// What the clients of the workload at `position` share.
    pub(crate) fn wiring(&self, position: u16) -> Arc<Wiring> {
        let options = &self.options[usize::from(position)];
        Arc::new(Wiring {
            connect: self.connect.clone(),
            recorder: self.recorder.clone(),
            protocol: options.protocol,
            op_timeout: options.op_timeout,
            workload: position,
            nodes: self.nodes,
        })
    }

    /// Positions of the workloads.
    pub(crate) fn positions(&self) -> Range<u16> {
        0..u16::try_from(self.options.len()).unwrap_or(u16::MAX)
    }
}

/// Runs all workloads for the time `until`, counted from now, or until `stop` turns true.
///
/// Returns when every operation that was sent has completed, which is at most `op_timeout`
/// later. Records operations only: phases are the caller's to record. Ends early with an error
/// when the history can't be written.
pub async fn run(
    setup: &Setup,
    stop: watch::Receiver<bool>,
    until: Duration,
) -> Result<RunSummary, RunError> {
    setup.check()?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for position in setup.positions() {
        let driver = Driver::new(setup, position, start, start + until);
        let stop = stop.clone();
        tasks.spawn(async move { (position, driver.drive(stop).await) });
    }
    let mut summaries = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        let (position, summary) = joined.map_err(|error| RunError::Bug(error.to_string()))?;
        summaries.push((position, summary?));
    }
    summaries.sort_by_key(|(position, _)| *position);
    Ok(RunSummary {
        workloads: summaries.into_iter().map(|(_, summary)| summary).collect(),
    })
}

type Performing = BoxFuture<'static, (LogicalClient, Result<bool, RecordError>)>;

/// Drives one workload.
struct Driver {
    options: WorkloadOptions,
    leader: Arc<dyn LeaderHint>,
    wiring: Arc<Wiring>,
    generator: Generator,
    node_draws: ChaCha8Rng,
    arrivals: Arrivals,
    end: Instant,
    idle: VecDeque<LogicalClient>,
    open: FuturesUnordered<Performing>,
    operations: u64,
    client_bugs: u64,
    first_client_bug: Option<String>,
}

impl Driver {
    fn new(setup: &Setup, position: u16, start: Instant, end: Instant) -> Self {
        let options = setup.options[usize::from(position)].clone();
        let wiring = setup.wiring(position);
        let capabilities = setup.connect.capabilities(options.protocol);
        Self {
            leader: setup.leader.clone(),
            generator: Generator::new(&options, capabilities, setup.seed, position),
            node_draws: stream(setup.seed, position, Purpose::Nodes),
            arrivals: Arrivals::new(
                start,
                options.rate,
                stream(setup.seed, position, Purpose::Arrivals),
            ),
            end,
            idle: (0..options.clients)
                .map(|client| LogicalClient::new(wiring.clone(), client))
                .collect(),
            open: FuturesUnordered::new(),
            operations: 0,
            client_bugs: 0,
            first_client_bug: None,
            options,
            wiring,
        }
    }

    async fn drive(mut self, mut stop: watch::Receiver<bool>) -> Result<WorkloadSummary, RunError> {
        let wiring = self.wiring.clone();
        loop {
            while let Some(Some(done)) = self.open.next().now_or_never() {
                self.serve(done)?;
            }
            let now = Instant::now();
            if now >= self.end || *stop.borrow() {
                break;
            }
            let due = self.arrivals.due.min(self.end);
            if due <= now && !self.idle.is_empty() {
                self.send(now)?;
                // An in-process client may never wait: let others have their turn.
                tokio::task::coop::consume_budget().await;
                continue;
            }
            tokio::select! {
                biased;
                Some(done) = self.open.next(), if !self.open.is_empty() => self.serve(done)?,
                error = wiring.recorder.failed() => return Err(error.into()),
                () = stopped(&mut stop) => {}
                () = tokio::time::sleep_until(if self.idle.is_empty() { self.end } else { due }) => {}
            }
        }
        let over = Instant::now();
        while let Some(done) = self.open.next().await {
            self.serve(done)?;
        }
        Ok(self.summary(over))
    }

    /// Sends the operation that is due.
    fn send(&mut self, now: Instant) -> Result<(), RunError> {
        let Some(mut client) = self.idle.pop_front() else {
            return Ok(());
        };
        let lag = now.saturating_duration_since(self.arrivals.due);
        self.arrivals.advance();
        let action = self
            .generator
            .next(&client.seen)
            .ok_or(RunError::OutOfKeys(self.options.name))?;
        let node = node_for(
            self.options.target,
            client.position,
            self.wiring.nodes,
            self.leader.leader(),
            self.node_draws.next_u64(),
        );
        self.wiring.recorder.late(self.wiring.workload, lag);
        self.operations += 1;
        self.open.push(
            async move {
                let result = client.perform(action, node).await;
                (client, result)
            }
            .boxed(),
        );
        Ok(())
    }

    /// Takes a client back that has done its operation.
    fn serve(
        &mut self,
        (mut client, result): (LogicalClient, Result<bool, RecordError>),
    ) -> Result<(), RunError> {
        result?;
        if let Some(bug) = client.bug.take() {
            tracing::error!("{bug}");
            self.client_bugs += 1;
            self.first_client_bug.get_or_insert(bug);
        }
        self.idle.push_back(client);
        Ok(())
    }

    fn summary(self, over: Instant) -> WorkloadSummary {
        // By the rate: to draw each of them could take longer than the run.
        let backlog = over
            .min(self.end)
            .saturating_duration_since(self.arrivals.due);
        let unserved = (backlog.as_secs_f64() * self.options.rate).round() as u64;
        let live = self.wiring.recorder.snapshot();
        WorkloadSummary {
            name: self.options.name,
            keys: self.generator.keys(),
            operations: self.operations,
            unserved,
            lag: live
                .workloads
                .get(usize::from(self.wiring.workload))
                .map(|workload| workload.lag)
                .unwrap_or_default(),
            client_bugs: self.client_bugs,
            first_client_bug: self.first_client_bug,
        }
    }
}

/// Waits until `stop` is true; for ever if its sender has gone without.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The moments at which operations are due: a Poisson process, as of many independent users.
struct Arrivals {
    due: Instant,
    mean_s: f64,
    rng: ChaCha8Rng,
}

impl Arrivals {
    fn new(start: Instant, rate: f64, rng: ChaCha8Rng) -> Self {
        Self {
            due: start,
            mean_s: 1.0 / rate,
            rng,
        }
    }

    fn advance(&mut self) {
        // In (0, 1]: the logarithm is finite.
        let uniform = ((self.rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        self.due += Duration::from_secs_f64(-uniform.ln() * self.mean_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_come_at_the_rate_asked_for() {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(start, 300.0, stream(3, 0, Purpose::Arrivals));
        for _ in 0..30_000 {
            arrivals.advance();
        }
        let took_s = (arrivals.due - start).as_secs_f64();
        assert!((98.0..102.0).contains(&took_s), "30,000 at 300/s: {took_s}");
    }
}
