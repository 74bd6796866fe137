//! Nodes as containers that share the network and the process ids of their pause containers.

mod limits;
mod node;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use keyquake_cluster::journal::{NODE_VARIABLE, RUN_VARIABLE, Undo};
use keyquake_cluster::{
    Allowance, EFFECT_SECONDS, Ending, NodeLog, NodeSpec, NodeStatus, Running, Runtime,
    RuntimeError, ThreadCensus, check_directory, done_by,
};
use nix::sys::signal::Signal;

use crate::agent::Agent;
use crate::engine::{ContainerSpec, Engine, Joins, Limits};
use crate::image::{Image, Images};
use crate::labels::RunLabels;
use node::NodeContainer;

/// What outlives every start of a node: its network and process ids, held by the pause
/// container, and the agent in it.
pub(crate) struct Place {
    pub(crate) pause: String,
    pub(crate) agent: Agent,
}

/// Runs nodes as containers.
pub struct ContainerRuntime {
    engine: Engine,
    images: Images,
    labels: RunLabels,
    /// The run's folder: containers see it at the same path.
    folder: PathBuf,
    places: Vec<Place>,
    begun: Instant,
    nodes: Mutex<HashMap<String, Arc<NodeContainer>>>,
    /// By node; they stay when its container is replaced.
    limits: Mutex<HashMap<String, Limits>>,
}

impl ContainerRuntime {
    pub(crate) fn new(
        engine: Engine,
        images: Images,
        labels: RunLabels,
        folder: PathBuf,
        places: Vec<Place>,
        begun: Instant,
    ) -> Self {
        Self {
            engine,
            images,
            labels,
            folder,
            places,
            begun,
            nodes: Mutex::default(),
            limits: Mutex::default(),
        }
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<String, Arc<NodeContainer>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn container(&self, node: &str) -> Option<Arc<NodeContainer>> {
        self.nodes().get(node).cloned()
    }

    /// The container and place of a node that is up.
    fn up(
        &self,
        node: &str,
        done: &'static str,
    ) -> Result<(Arc<NodeContainer>, &Place), RuntimeError> {
        let status = self.status(node);
        let container = self.container(node).filter(|_| status.is_up());
        container
            .zip(self.place(node))
            .ok_or_else(|| RuntimeError::NotUp {
                node: node.to_owned(),
                done,
                status,
            })
    }

    fn place(&self, node: &str) -> Option<&Place> {
        (0u16..)
            .zip(&self.places)
            .find(|(index, _)| keyquake_cluster::node_name(*index) == node)
            .map(|(_, place)| place)
    }

    fn recipe(&self, spec: &NodeSpec, image: &Image, place: &Place) -> ContainerSpec {
        let own = [
            (RUN_VARIABLE, &self.labels.marker),
            (NODE_VARIABLE, &spec.id),
        ];
        let own = own.map(|(name, value)| format!("{name}={value}"));
        let env = spec.launch.env.iter();
        let env = env.map(|(name, value)| format!("{name}={value}"));
        // What the node writes must be the suite's to read and to remove.
        let user = format!("{}:{}", nix::unistd::geteuid(), nix::unistd::getegid());
        ContainerSpec {
            name: self.labels.name(&spec.id),
            image: image.id.clone(),
            command: std::iter::once(&image.program)
                .chain(&spec.launch.args)
                .cloned()
                .collect(),
            env: env.chain(own).collect(),
            user: Some(user),
            labels: self.labels.of_node(&spec.id, "node", &self.images.content),
            folders: vec![(self.folder.clone(), self.folder.clone())],
            joins: Joins::Container(place.pause.clone()),
            capabilities: Vec::new(),
            limits: self.limits_of(&spec.id),
        }
    }

    /// A container that is ready to be started: the last one, if nothing has changed.
    async fn ready(&self, spec: &NodeSpec, recipe: &ContainerSpec) -> Result<String, RuntimeError> {
        let refused = |what| refused(&spec.id, what);
        if let Some(last) = self.container(&spec.id) {
            if last.recipe == fingerprint(recipe) {
                return Ok(last.id.clone());
            }
            let removed = self.engine.remove(&last.id).await;
            removed.map_err(refused("replace the container of"))?;
        }
        let made = self.engine.create(recipe).await;
        made.map_err(refused("make a container for"))
    }
}

/// All that makes one container differ from another of the same node.
fn fingerprint(recipe: &ContainerSpec) -> Vec<String> {
    let mut parts = vec![recipe.image.clone(), recipe.command.len().to_string()];
    parts.extend_from_slice(&recipe.command);
    parts.extend_from_slice(&recipe.env);
    parts
}

fn refused(
    node: &str,
    what: &'static str,
) -> impl FnOnce(crate::DockerError) -> RuntimeError + use<> {
    let node = node.to_owned();
    move |error| RuntimeError::Engine {
        node,
        what,
        source: Box::new(error),
    }
}

fn io(node: &str, what: &'static str) -> impl FnOnce(std::io::Error) -> RuntimeError + use<> {
    let node = node.to_owned();
    move |source| RuntimeError::Io { node, what, source }
}

#[async_trait]
impl Runtime for ContainerRuntime {
    /// All of the run's containers have one undo, which was written when its network was made.
    fn undo(&self, _: &NodeSpec) -> Option<Undo> {
        None
    }

    async fn start(&self, spec: &NodeSpec) -> Result<u32, RuntimeError> {
        let status = self.status(&spec.id);
        if status.is_up() {
            return Err(RuntimeError::AlreadyUp {
                node: spec.id.clone(),
                status,
            });
        }
        let refused = |what| refused(&spec.id, what);
        let place = self
            .places
            .get(usize::from(spec.index))
            .ok_or_else(|| io(&spec.id, "find a place for")(std::io::ErrorKind::NotFound.into()))?;
        check_directory(spec, "data", &spec.data_dir)?;
        check_directory(spec, "log", &spec.log_dir)?;
        let log = NodeLog::open(&spec.log_dir, &spec.id, self.begun);
        let log = log.map_err(io(&spec.id, "write the log of"))?;
        let image = self.images.of(&spec.release);
        let image = image.map_err(refused("start"))?;
        let recipe = self.recipe(spec, image, place);
        let id = self.ready(spec, &recipe).await?;
        let output = self.engine.attach(&id).await;
        let output = output.map_err(refused("read the output of"))?;
        self.engine.start(&id).await.map_err(refused("start"))?;
        let state = self.engine.state(&id).await.map_err(refused("look at"))?;
        log.note(&format!(
            "started {} as pid {}, release {}, in image {} ({})",
            spec.id, state.pid, spec.release, image.name, image.id
        ));
        // Only now, so that what it says stands behind the line that says that it was started.
        tokio::spawn(node::listen(output, log.clone()));
        let container = Arc::new(NodeContainer::new(id, fingerprint(&recipe), state.pid));
        self.nodes().insert(spec.id.clone(), container.clone());
        let engine = self.engine.clone();
        tokio::spawn(async move { container.watch(&engine, &log).await });
        Ok(state.pid)
    }

    async fn signal(&self, node: &str, signal: Signal) -> Result<(), RuntimeError> {
        let done = done_by(signal);
        let (container, place) = self.up(node, done)?;
        if matches!(signal, Signal::SIGSTOP | Signal::SIGCONT) {
            // The engine would reach the first process only.
            return place.agent.signal(signal).await.map_err(io(node, "signal"));
        }
        let sent = self.engine.signal(&container.id, signal.as_str()).await;
        if sent.map_err(refused(node, "signal"))? {
            return Ok(());
        }
        // It has just ended by itself: say how.
        let limit = Duration::from_secs(EFFECT_SECONDS);
        let _ = tokio::time::timeout(limit, container.end()).await;
        Err(RuntimeError::NotUp {
            node: node.to_owned(),
            done,
            status: self.status(node),
        })
    }

    fn census(&self, node: &str) -> Result<ThreadCensus, RuntimeError> {
        let (_, place) = self.up(node, "looked at")?;
        place
            .agent
            .census()
            .map_err(io(node, "count the threads of"))
    }

    async fn running(&self, node: &str) -> Result<Running, RuntimeError> {
        let (container, _) = self.up(node, "looked at")?;
        let state = self.engine.state(&container.id).await;
        let state = state.map_err(refused(node, "look at"))?;
        Ok(Running::Image(state.image))
    }

    fn status(&self, node: &str) -> NodeStatus {
        let Some(container) = self.container(node) else {
            return NodeStatus::NeverStarted;
        };
        if let Some(ending) = container.ending() {
            return NodeStatus::Exited(ending);
        }
        let pid = container.pid;
        let census = self.place(node).map(|place| place.agent.census());
        match census {
            Some(Ok(census)) if census.is_all_stopped() => NodeStatus::Paused { pid },
            _ => NodeStatus::Running { pid },
        }
    }

    async fn limit_cpu(&self, node: &str, cores: Option<f64>) -> Result<Option<f64>, RuntimeError> {
        self.set_cores(node, cores).await
    }

    async fn limit_memory(
        &self,
        node: &str,
        bytes: Option<u64>,
    ) -> Result<Option<u64>, RuntimeError> {
        self.set_memory(node, bytes).await
    }

    async fn allowance(&self, node: &str) -> Result<Allowance, RuntimeError> {
        self.read_allowance(node).await
    }

    async fn wait_exit(&self, node: &str) -> Result<Ending, RuntimeError> {
        let never = || RuntimeError::NotUp {
            node: node.to_owned(),
            done: "waited for",
            status: NodeStatus::NeverStarted,
        };
        let container = self.container(node).ok_or_else(never)?;
        container.end().await.ok_or_else(never)
    }
}
