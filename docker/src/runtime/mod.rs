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
    Ending, NodeLog, NodeSpec, NodeStatus, Runtime, RuntimeError, ThreadCensus, check_directory,
};
use nix::sys::signal::Signal;

use crate::agent::Agent;
use crate::engine::{ContainerSpec, Engine, Joins, Limits};
use crate::image::{Image, Images};
use crate::labels::RunLabels;
use node::NodeContainer;

/// How long a signal's effect is waited for.
const EFFECT_SECONDS: u64 = 10;

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

    /// Sends a signal to the node's first process.
    async fn signal(
        &self,
        node: &str,
        done: &'static str,
        signal: Signal,
    ) -> Result<Arc<NodeContainer>, RuntimeError> {
        let (container, _) = self.up(node, done)?;
        let sent = self.engine.signal(&container.id, signal.as_str()).await;
        if sent.map_err(refused(node, "signal"))? {
            return Ok(container);
        }
        // It has just ended by itself: say how.
        container
            .end_within(Duration::from_secs(EFFECT_SECONDS))
            .await;
        Err(RuntimeError::NotUp {
            node: node.to_owned(),
            done,
            status: self.status(node),
        })
    }

    /// Sends a signal to every process of the node, and waits until its threads show it.
    async fn signal_all(
        &self,
        node: &str,
        done: &'static str,
        signal: Signal,
        shows: impl Fn(&ThreadCensus) -> bool + Send,
    ) -> Result<ThreadCensus, RuntimeError> {
        let (container, place) = self.up(node, done)?;
        let deadline = Instant::now() + Duration::from_secs(EFFECT_SECONDS);
        let agent = |what| io(node, what);
        place.agent.signal(signal).await.map_err(agent("signal"))?;
        loop {
            let census = place
                .agent
                .census()
                .map_err(agent("count the threads of"))?;
            if census.threads > 0 && shows(&census) {
                return Ok(census);
            }
            if container.ending().is_some() || Instant::now() > deadline {
                return Err(RuntimeError::NoEffect {
                    node: node.to_owned(),
                    signal: signal.as_str(),
                    seconds: EFFECT_SECONDS,
                    seen: format!("it is {}: {census}", self.status(node)),
                });
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
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
        tokio::spawn(node::listen(output, log.clone()));
        let state = self.engine.state(&id).await.map_err(refused("look at"))?;
        log.note(&format!(
            "started {} as pid {}, release {}, in image {} ({})",
            spec.id, state.pid, spec.release, image.name, image.id
        ));
        let container = Arc::new(NodeContainer::new(id, fingerprint(&recipe), state.pid));
        self.nodes().insert(spec.id.clone(), container.clone());
        let engine = self.engine.clone();
        tokio::spawn(async move { container.watch(&engine, &log).await });
        Ok(state.pid)
    }

    async fn kill(&self, node: &str) -> Result<Ending, RuntimeError> {
        let container = self.signal(node, "killed", Signal::SIGKILL).await?;
        let effect = container.end_within(Duration::from_secs(EFFECT_SECONDS));
        effect.await.ok_or_else(|| RuntimeError::NoEffect {
            node: node.to_owned(),
            signal: Signal::SIGKILL.as_str(),
            seconds: EFFECT_SECONDS,
            seen: format!("it is {}", self.status(node)),
        })
    }

    async fn stop(&self, node: &str, grace: Duration) -> Result<Ending, RuntimeError> {
        let container = self.signal(node, "stopped", Signal::SIGTERM).await?;
        if let Some(place) = self.place(node) {
            // A paused process takes no notice of SIGTERM before it goes on.
            let _ = place.agent.signal(Signal::SIGCONT).await;
        }
        match container.end_within(grace).await {
            Some(ending) => Ok(ending),
            None => match self.kill(node).await {
                Err(RuntimeError::NotUp {
                    status: NodeStatus::Exited(ending),
                    ..
                }) => Ok(ending),
                killed => killed,
            },
        }
    }

    async fn pause(&self, node: &str) -> Result<ThreadCensus, RuntimeError> {
        self.signal_all(
            node,
            "paused",
            Signal::SIGSTOP,
            ThreadCensus::is_all_stopped,
        )
        .await
    }

    async fn resume(&self, node: &str) -> Result<ThreadCensus, RuntimeError> {
        self.signal_all(node, "resumed", Signal::SIGCONT, |census| {
            census.stopped == 0
        })
        .await
    }

    fn census(&self, node: &str) -> Result<ThreadCensus, RuntimeError> {
        let (_, place) = self.up(node, "looked at")?;
        place
            .agent
            .census()
            .map_err(io(node, "count the threads of"))
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
