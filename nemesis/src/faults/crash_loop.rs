//! `crash-loop`: SIGKILL, a start, SIGKILL, a start, for as long as it is held.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use keyquake_cluster::{Cluster, Ending};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::down::bring_up_all;
use super::{Fault, Stage, fits_nodes, join};
use crate::catalogue::{FaultInfo, FaultName};
use crate::target::Target;

pub(crate) const INFO: FaultInfo = FaultInfo {
    name: FaultName::CrashLoop,
    does: "sends a node SIGKILL and starts it again, over and over: it lives for 50 to 700 ms each time; it is left up when healed",
    needs: "nothing beyond a cluster",
    proves: "how often the node ended by our signal 9, and that it kept ending so as long as it was held; healed: it serves again",
    nodes_min: 1,
    needs_links: false,
    step: false,
};

/// How long the node lives between two kills, over and over: some too short to read its own
/// log, some long enough to catch up and lead.
const LIVES_MS: [u64; 4] = [50, 400, 150, 700];
/// A loop that has not killed for so long has stopped: the longest life and a slow start.
const STALLED_AFTER: Duration = Duration::from_secs(10);
/// How often the first end is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub(crate) struct CrashLoop {
    nodes: Vec<u16>,
    loops: Vec<Loop>,
}

/// The loop of one node.
struct Loop {
    node: u16,
    kills: Arc<AtomicU32>,
    /// The kills at the last look, and when there was one more.
    seen: (u32, Instant),
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), String>>,
}

pub(super) fn fits(target: &Target) -> Result<(), &'static str> {
    fits_nodes(target)
}

impl CrashLoop {
    pub(super) fn new(nodes: Vec<u16>) -> Self {
        Self {
            nodes,
            loops: Vec::new(),
        }
    }
}

impl Loop {
    fn begin(cluster: Arc<Cluster>, node: u16) -> Self {
        let kills = Arc::new(AtomicU32::new(0));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(crash(cluster, node, kills.clone(), stopped));
        Self {
            node,
            kills,
            seen: (0, Instant::now()),
            stop,
            task,
        }
    }

    async fn look(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let name = stage.cluster.id(self.node);
        let begun = Instant::now();
        loop {
            let kills = self.kills.load(Ordering::Relaxed);
            if self.task.is_finished() {
                let why = (&mut self.task).await;
                let why = why.unwrap_or_else(|error| Err(error.to_string()));
                let why = why.err().unwrap_or_else(|| "it was stopped".to_owned());
                return Err(format!(
                    "the loop of {name} has ended after {kills} kills: {why}"
                ));
            }
            if kills > self.seen.0 {
                self.seen = (kills, Instant::now());
            }
            if self.seen.1.elapsed() > STALLED_AFTER {
                let seconds = STALLED_AFTER.as_secs();
                return Err(format!(
                    "{name} was killed {kills} times, but not once in the last {seconds} s"
                ));
            }
            // Before the first there is nothing to show; then the pace is the loop's.
            if kills > 0 || begun.elapsed() > STALLED_AFTER {
                return Ok(format!("{name} was killed {kills} times by our signal 9"));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Lets the loop finish what it does.
    async fn end(&mut self) {
        self.stop.send_replace(true);
        if !self.task.is_finished() {
            // What it has to say was asked for while it was held.
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Kills and starts a node until it is told to stop; whatever else ends the node is an error.
async fn crash(
    cluster: Arc<Cluster>,
    node: u16,
    kills: Arc<AtomicU32>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    for life in LIVES_MS.into_iter().cycle() {
        match cluster.kill(node).await {
            Ok(Ending::Signal(9)) => kills.fetch_add(1, Ordering::Relaxed),
            Ok(ending) => return Err(format!("it got SIGKILL, but {ending}")),
            Err(error) => return Err(error.to_string()),
        };
        if *stop.borrow() {
            break;
        }
        let started = cluster.start(node).await;
        started.map_err(|error| error.to_string())?;
        let lived = tokio::time::sleep(Duration::from_millis(life));
        tokio::select! {
            biased;
            _ = stop.wait_for(|&stop| stop) => break,
            () = lived => {}
        }
    }
    Ok(())
}

#[async_trait]
impl Fault for CrashLoop {
    fn nodes(&self) -> Vec<u16> {
        self.nodes.clone()
    }

    async fn apply(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let begin = |&node: &u16| Loop::begin(Arc::clone(stage.cluster), node);
        self.loops = self.nodes.iter().map(begin).collect();
        let before = self.nodes.iter().map(|&node| stage.cluster.id(node));
        Ok(format!(
            "{}: killed and started again, over and over",
            before.collect::<Vec<_>>().join(", ")
        ))
    }

    async fn check(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        let mut seen = Vec::new();
        for crashing in &mut self.loops {
            seen.push(crashing.look(stage).await);
        }
        join(seen)
    }

    async fn heal(&mut self, stage: &Stage<'_>) -> Result<String, String> {
        for crashing in &mut self.loops {
            crashing.end().await;
        }
        bring_up_all(stage, &self.nodes).await
    }
}
