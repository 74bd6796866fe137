//! A cluster: nodes, the network between them, and the journal of both.

mod freeze;

use std::sync::Arc;
use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::cgroup::Allowance;
use crate::disk::{Disk, Disks};
use crate::journal::{Journal, JournalError, UndoId};
use crate::matrix::Matrix;
use crate::network::{Capabilities, LinkRule, Network, NetworkError};
use crate::runtime::{Running, Runtime, RuntimeError, ThreadCensus};
use crate::spec::NodeSpec;
use crate::status::{Ending, NodeStatus};

pub use freeze::Frozen;

/// What went wrong with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// With one of its nodes.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// With its network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// With the heal journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The specs don't fit together.
    #[error(
        "the nodes of a cluster must stand at positions 0, 1, 2, … of a network of the same size: {0}"
    )]
    Specs(String),
    /// A task of the runtime was cancelled.
    #[error("failed to write the heal journal: the suite is ending")]
    Ending,
}

/// Nodes that can be started, broken and healed. Nodes are named by position,
/// from 0. All methods take `&self`: share it in an [`Arc`].
pub struct Cluster {
    runtime: Arc<dyn Runtime>,
    network: Arc<Network>,
    journal: Arc<Journal>,
    disks: Option<Arc<Disks>>,
    nodes: Vec<Mutex<Node>>,
    ids: Vec<String>,
    /// What the links should be.
    wanted: StdMutex<Matrix>,
}

/// Locked while something is done to the node, so that two hands never mix.
struct Node {
    spec: NodeSpec,
    undo: Option<UndoId>,
}

impl Cluster {
    /// A cluster of nodes that are yet to be started.
    ///
    /// # Errors
    /// When the specs are not at positions 0, 1, 2, … of `network`.
    pub fn new(
        runtime: Arc<dyn Runtime>,
        network: Arc<Network>,
        specs: Vec<NodeSpec>,
        journal: Arc<Journal>,
    ) -> Result<Self, ClusterError> {
        let positions = specs.iter().map(|spec| spec.index).collect::<Vec<_>>();
        if positions != (0..network.node_count()).collect::<Vec<_>>() {
            let text = format!(
                "positions {positions:?}, network of {}",
                network.node_count()
            );
            return Err(ClusterError::Specs(text));
        }
        Ok(Self {
            ids: specs.iter().map(|spec| spec.id.clone()).collect(),
            wanted: StdMutex::new(Matrix::all_open(network.node_count())),
            nodes: specs
                .into_iter()
                .map(|spec| Mutex::new(Node { spec, undo: None }))
                .collect(),
            runtime,
            network,
            journal,
            disks: None,
        })
    }

    /// The same, each node with a disk of its own.
    pub fn with_disks(mut self, disks: Arc<Disks>) -> Self {
        self.disks = Some(disks);
        self
    }

    /// The disk of a node, if it has one of its own.
    pub fn disk(&self, node: u16) -> Option<&Disk> {
        self.disks.as_ref()?.of(node)
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> u16 {
        self.network.node_count()
    }

    /// The id of a node (`n1`), or `n?` where there is none.
    pub fn id(&self, node: u16) -> &str {
        self.ids.get(usize::from(node)).map_or("n?", String::as_str)
    }

    /// The position of a node by its id.
    pub fn position(&self, id: &str) -> Option<u16> {
        self.ids
            .iter()
            .position(|known| known == id)
            .map(|position| position as u16)
    }

    /// What can be broken.
    pub fn capabilities(&self) -> Capabilities {
        self.network.capabilities()
    }

    /// The network, for those who want to stand in it.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// What a node is now.
    ///
    /// # Errors
    /// When there is no such node.
    pub async fn spec(&self, node: u16) -> Result<NodeSpec, ClusterError> {
        Ok(self.node(node)?.lock().await.spec.clone())
    }

    /// Starts every node, all at once.
    ///
    /// # Errors
    /// With the first that can't be started; those that could are up.
    pub async fn start_all(self: &Arc<Self>) -> Result<(), ClusterError> {
        self.start_first(self.node_count()).await
    }

    /// Starts the nodes at the first so many positions, all at once.
    ///
    /// # Errors
    /// As [`Cluster::start_all`].
    pub async fn start_first(self: &Arc<Self>, count: u16) -> Result<(), ClusterError> {
        let mut starts = tokio::task::JoinSet::new();
        for node in 0..count {
            let cluster = Arc::clone(self);
            starts.spawn(async move { cluster.start(node).await });
        }
        while let Some(started) = starts.join_next().await {
            started.map_err(|_| ClusterError::Ending)??;
        }
        Ok(())
    }

    /// Starts a node; gives its process id. Its undo is on disk before that.
    ///
    /// # Errors
    /// When it is up, can't be started, or the journal can't be written.
    pub async fn start(&self, node: u16) -> Result<u32, ClusterError> {
        let mut node = self.node(node)?.lock().await;
        self.start_locked(&mut node).await
    }

    /// Stops a node if it is up, and starts it as `spec` says: with other
    /// flags, or another release.
    ///
    /// # Errors
    /// As [`Cluster::start`]; also when `spec` is not for this position.
    pub async fn restart(&self, node: u16, spec: NodeSpec) -> Result<u32, ClusterError> {
        let mut locked = self.node(node)?.lock().await;
        if spec.index != node || spec.id != locked.spec.id {
            let text = format!(
                "a spec for {} at {} was given to {} at {node}",
                spec.id, spec.index, locked.spec.id
            );
            return Err(ClusterError::Specs(text));
        }
        self.stop_locked(&mut locked, Duration::from_secs(5))
            .await?;
        locked.spec = spec;
        self.start_locked(&mut locked).await
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// When the node isn't up, or can't be killed.
    pub async fn kill(&self, node: u16) -> Result<Ending, ClusterError> {
        let mut node = self.node(node)?.lock().await;
        let ending = self.runtime.kill(&node.spec.id).await?;
        self.settle(&mut node).await?;
        Ok(ending)
    }

    /// SIGTERM, after `grace` SIGKILL, and waits for the end. Does nothing to a
    /// node that isn't up.
    ///
    /// # Errors
    /// When it can't be killed.
    pub async fn stop(&self, node: u16, grace: Duration) -> Result<NodeStatus, ClusterError> {
        let mut locked = self.node(node)?.lock().await;
        self.stop_locked(&mut locked, grace).await?;
        Ok(self.runtime.status(&locked.spec.id))
    }

    /// Stops every node, all at once: the end of a run. The network goes when it
    /// is dropped.
    ///
    /// # Errors
    /// With the first node that can't be stopped; the others are tried too.
    pub async fn shutdown(self: &Arc<Self>, grace: Duration) -> Result<(), ClusterError> {
        let mut stops = tokio::task::JoinSet::new();
        for node in 0..self.node_count() {
            let cluster = Arc::clone(self);
            stops.spawn(async move { cluster.stop(node, grace).await });
        }
        let mut outcome = Ok(());
        while let Some(stopped) = stops.join_next().await {
            let stopped = stopped
                .map_err(|_| ClusterError::Ending)
                .and_then(|stopped| stopped.map(drop));
            outcome = outcome.and(stopped);
        }
        outcome
    }

    /// Stops every thread of a node, and has seen it.
    ///
    /// # Errors
    /// When it isn't up, or doesn't stop.
    pub async fn pause(&self, node: u16) -> Result<ThreadCensus, ClusterError> {
        let node = self.node(node)?.lock().await;
        Ok(self.runtime.pause(&node.spec.id).await?)
    }

    /// Lets a paused node go on, and has seen it.
    ///
    /// # Errors
    /// When it isn't up, or stays stopped.
    pub async fn resume(&self, node: u16) -> Result<ThreadCensus, ClusterError> {
        let node = self.node(node)?.lock().await;
        Ok(self.runtime.resume(&node.spec.id).await?)
    }

    /// The threads of a node as the kernel shows them now.
    ///
    /// # Errors
    /// When it isn't up.
    pub fn census(&self, node: u16) -> Result<ThreadCensus, ClusterError> {
        Ok(self.runtime.census(self.id(node))?)
    }

    /// What a node runs, as the kernel or the engine shows it.
    ///
    /// # Errors
    /// When it isn't up.
    pub async fn running(&self, node: u16) -> Result<Running, ClusterError> {
        Ok(self.runtime.running(self.id(node)).await?)
    }

    /// Gives a node so many processor cores, or all of them again; see [`Runtime::limit_cpu`].
    ///
    /// # Errors
    /// When it can't be limited.
    pub async fn limit_cpu(
        &self,
        node: u16,
        cores: Option<f64>,
    ) -> Result<Option<f64>, ClusterError> {
        let node = self.node(node)?.lock().await;
        Ok(self.runtime.limit_cpu(&node.spec.id, cores).await?)
    }

    /// Gives a node so many bytes of memory, or all again; see [`Runtime::limit_memory`].
    ///
    /// # Errors
    /// When it can't be limited.
    pub async fn limit_memory(
        &self,
        node: u16,
        bytes: Option<u64>,
    ) -> Result<Option<u64>, ClusterError> {
        let node = self.node(node)?.lock().await;
        Ok(self.runtime.limit_memory(&node.spec.id, bytes).await?)
    }

    /// What a node may use, and what came of that.
    ///
    /// # Errors
    /// When nobody counts it.
    pub async fn allowance(&self, node: u16) -> Result<Allowance, ClusterError> {
        Ok(self.runtime.allowance(self.id(node)).await?)
    }

    /// How a node is now.
    pub fn status(&self, node: u16) -> NodeStatus {
        self.runtime.status(self.id(node))
    }

    /// Waits until a node has ended; at once if it has.
    ///
    /// # Errors
    /// When it was never started.
    pub async fn wait_exit(&self, node: u16) -> Result<Ending, ClusterError> {
        Ok(self.runtime.wait_exit(self.id(node)).await?)
    }

    /// Opens or cuts one direction between two nodes.
    ///
    /// # Errors
    /// On the loopback network, and with what the kernel refused.
    pub async fn set_link(&self, from: u16, to: u16, rule: LinkRule) -> Result<(), ClusterError> {
        self.network.set_link(from, to, rule).await?;
        self.wanted().set(from, to, rule == LinkRule::Open);
        Ok(())
    }

    /// Opens every link, whatever was believed about it.
    ///
    /// # Errors
    /// On the loopback network, and with what the kernel refused.
    pub async fn heal_links(&self) -> Result<(), ClusterError> {
        for (from, to) in Matrix::all_open(self.node_count()).pairs() {
            self.set_link(from, to, LinkRule::Open).await?;
        }
        Ok(())
    }

    /// What the links should be, by all that was set.
    pub fn links(&self) -> Matrix {
        self.wanted().clone()
    }

    /// What the links are, measured: at most 250 ms.
    ///
    /// # Errors
    /// On the loopback network, and with what a socket refused.
    pub async fn probe_matrix(&self) -> Result<Matrix, ClusterError> {
        let expected = self.links();
        Ok(self.network.probe(&expected).await?)
    }

    fn wanted(&self) -> std::sync::MutexGuard<'_, Matrix> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self, index: u16) -> Result<&Mutex<Node>, NetworkError> {
        self.nodes
            .get(usize::from(index))
            .ok_or(NetworkError::NoSuchNode {
                index,
                nodes: self.node_count(),
            })
    }

    async fn start_locked(&self, node: &mut Node) -> Result<u32, ClusterError> {
        if node.undo.is_none()
            && let Some(undo) = self.runtime.undo(&node.spec)
        {
            let journal = Arc::clone(&self.journal);
            let recorded = tokio::task::spawn_blocking(move || journal.record(undo)).await;
            node.undo = Some(recorded.map_err(|_| ClusterError::Ending)??);
        }
        Ok(self.runtime.start(&node.spec).await?)
    }

    async fn stop_locked(&self, node: &mut Node, grace: Duration) -> Result<(), ClusterError> {
        match self.runtime.stop(&node.spec.id, grace).await {
            Ok(_) | Err(RuntimeError::NotUp { .. }) => self.settle(node).await,
            Err(error) => Err(error.into()),
        }
    }

    /// The node is gone: so is its undo.
    async fn settle(&self, node: &mut Node) -> Result<(), ClusterError> {
        let Some(id) = node.undo.take() else {
            return Ok(());
        };
        let journal = Arc::clone(&self.journal);
        let noted = tokio::task::spawn_blocking(move || journal.done(id)).await;
        Ok(noted.map_err(|_| ClusterError::Ending)??)
    }
}
