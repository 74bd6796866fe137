//! Everything of one run that an engine holds: made here, and removed here.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyquake_cluster::journal::{Journal, Undo, UndoId};
use keyquake_cluster::{Network, NetworkKind, node_name};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};

use crate::agent::{Agent, SOCKETS};
use crate::engine::{ContainerSpec, Engine, Joins, Limits};
use crate::error::{DockerError, io};
use crate::heal;
use crate::image::{Images, OWN};
use crate::labels::RunLabels;
use crate::links::ContainerLinks;
use crate::runtime::{ContainerRuntime, Place};
use crate::suite::own_container;

/// The folder of the agents' sockets, in the run's folder.
const AGENTS: &str = "agents";
/// How long an agent may take to answer first.
const AGENT_WITHIN: Duration = Duration::from_secs(20);
/// How often a new agent is tried.
const TRY_AGAIN: Duration = Duration::from_millis(10);
/// What it takes to change a neighbour table.
const NET_ADMIN: &str = "NET_ADMIN";

/// What has to be known of a run.
#[derive(Clone, Debug)]
pub struct RunOf {
    /// Its id.
    pub id: String,
    /// Its folder, which all containers see at the same path; absolute.
    pub folder: PathBuf,
    /// How many nodes it has.
    pub nodes: u16,
    /// Its network's first address; see [`Engine::free_subnet`].
    pub subnet: Ipv4Addr,
    /// Time zero of the nodes' logs.
    pub begun: Instant,
}

/// The network and the containers of a run.
pub struct Containers {
    engine: Engine,
    labels: RunLabels,
    sockets: PathBuf,
    journal: Arc<Journal>,
    /// What is being made. It has a task of its own, which goes on when nobody waits for it any
    /// more, so that removal comes after it and not in the middle.
    making: Mutex<Option<JoinHandle<Result<Made, DockerError>>>>,
    undo: Arc<Mutex<Option<UndoId>>>,
}

/// What a cluster is made of.
pub struct Made {
    /// What runs the nodes.
    pub runtime: Arc<ContainerRuntime>,
    /// Their network.
    pub network: Arc<Network>,
}

impl Containers {
    /// A run that has nothing yet.
    pub fn of(engine: Engine, run: &RunOf, journal: Arc<Journal>) -> Self {
        Self {
            engine,
            labels: RunLabels {
                run: run.id.clone(),
                marker: journal.marker().to_owned(),
            },
            sockets: run.folder.join(AGENTS),
            journal,
            making: Mutex::default(),
            undo: Arc::default(),
        }
    }

    /// Makes the network and a pause container for each node, and waits until all are
    /// connected. The undo is on disk before anything is made.
    ///
    /// # Errors
    /// With what was refused; what had been made by then is there until [`Containers::clear`].
    pub async fn raise(&self, images: Images, run: &RunOf) -> Result<Made, DockerError> {
        let mut making = self.making.lock().await;
        let undo = Undo::Containers {
            engine: self.engine.endpoint().to_owned(),
            sockets: self.sockets.clone(),
        };
        let (journal, written) = (self.journal.clone(), self.undo.clone());
        let (engine, labels) = (self.engine.clone(), self.labels.clone());
        let (sockets, run) = (self.sockets.clone(), run.clone());
        let task = tokio::spawn(async move {
            *written.lock().await = Some(record(&journal, undo).await?);
            make(&engine, images, &run, &labels, &sockets).await
        });
        let made = making.insert(task).await;
        *making = None;
        made.map_err(|_| DockerError::Ending)?
    }

    /// Removes all of it, nodes included. Nothing happens if nothing was made.
    ///
    /// # Errors
    /// With what could not be removed; the undo stays in the journal then.
    pub async fn clear(&self) -> Result<(), DockerError> {
        if let Some(making) = self.making.lock().await.take() {
            // Nobody waits for it any more, so its outcome is nobody's.
            let _ = making.await;
        }
        let mut undo = self.undo.lock().await;
        let Some(id) = *undo else {
            return Ok(());
        };
        heal::remove(&self.engine, &self.labels.marker, &self.sockets).await?;
        done(&self.journal, id).await?;
        *undo = None;
        Ok(())
    }
}

async fn record(journal: &Arc<Journal>, undo: Undo) -> Result<UndoId, DockerError> {
    let journal = Arc::clone(journal);
    let recorded = tokio::task::spawn_blocking(move || journal.record(undo)).await;
    Ok(recorded.map_err(|_| DockerError::Ending)??)
}

async fn done(journal: &Arc<Journal>, undo: UndoId) -> Result<(), DockerError> {
    let journal = Arc::clone(journal);
    let noted = tokio::task::spawn_blocking(move || journal.done(undo)).await;
    Ok(noted.map_err(|_| DockerError::Ending)??)
}

async fn make(
    engine: &Engine,
    images: Images,
    run: &RunOf,
    labels: &RunLabels,
    sockets: &Path,
) -> Result<Made, DockerError> {
    fs::create_dir_all(sockets).map_err(io(|| format!("make the folder {}", sockets.display())))?;
    let name = labels.name("net");
    let at = |host: u32| Ipv4Addr::from(u32::from(run.subnet) + host);
    // As in namespaces: nodes count from 1, the machine's end of the bridge comes last.
    let (gateway, guest) = (at(254), at(253));
    engine
        .create_network(&name, run.subnet, gateway, labels.of_run())
        .await?;
    let suite = match own_container(engine).await? {
        Some(own) => {
            engine.connect(&name, &own, guest).await?;
            guest
        }
        None => gateway,
    };
    let kind = NetworkKind::Container { subnet: run.subnet };
    let mut pauses = JoinSet::new();
    let mut addresses = Vec::new();
    for index in 0..run.nodes {
        let std::net::IpAddr::V4(ip) = kind.node_ip(index) else {
            continue;
        };
        addresses.push(ip);
        let spec = pause(&node_name(index), ip, &name, labels, &images, sockets);
        let (engine, sockets) = (engine.clone(), sockets.to_owned());
        pauses.spawn(async move { raise_pause(&engine, index, &spec, &sockets).await });
    }
    let mut places = Vec::new();
    while let Some(made) = pauses.join_next().await {
        places.push(made.map_err(|_| DockerError::Ending)??);
    }
    places.sort_by_key(|(index, _)| *index);
    let places: Vec<Place> = places.into_iter().map(|(_, place)| place).collect();
    let agents = places.iter().map(|place| place.agent.clone()).collect();
    let links = ContainerLinks::open(agents, addresses, suite).await?;
    let runtime = ContainerRuntime::new(
        engine.clone(),
        images,
        labels.clone(),
        run.folder.clone(),
        places,
        run.begun,
    );
    let network = Network::Containers(Arc::new(links));
    Ok(Made {
        runtime: Arc::new(runtime),
        network: Arc::new(network),
    })
}

fn pause(
    node: &str,
    ip: Ipv4Addr,
    network: &str,
    labels: &RunLabels,
    images: &Images,
    sockets: &Path,
) -> ContainerSpec {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    ContainerSpec {
        name: labels.name(&format!("{node}-pause")),
        image: images.agent.name.clone(),
        command: [OWN, "agent", node, &ip.to_string()]
            .into_iter()
            .map(str::to_owned)
            .chain([uid.to_string(), gid.to_string()])
            .collect(),
        env: Vec::new(),
        user: None,
        labels: labels.of_node(node, "pause", &images.content),
        folders: vec![(sockets.to_owned(), PathBuf::from(SOCKETS))],
        joins: Joins::Network {
            name: network.to_owned(),
            ip,
            hostname: node.to_owned(),
        },
        capabilities: vec![NET_ADMIN.to_owned()],
        limits: Limits::default(),
    }
}

/// Starts a pause container, and waits until its agent answers.
async fn raise_pause(
    engine: &Engine,
    index: u16,
    spec: &ContainerSpec,
    sockets: &Path,
) -> Result<(u16, Place), DockerError> {
    let node = node_name(index);
    let id = engine.create(spec).await?;
    engine.start(&id).await?;
    let deadline = Instant::now() + AGENT_WITHIN;
    loop {
        let last = match Agent::greet(sockets, &node).await {
            Ok(agent) => return Ok((index, Place { pause: id, agent })),
            Err(error) => error,
        };
        let alive = engine.state(&id).await?.running;
        if !alive || Instant::now() > deadline {
            let words = engine.last_words(&id).await.unwrap_or_default();
            let words = words.trim();
            return Err(DockerError::NoAgent {
                node,
                seconds: AGENT_WITHIN.as_secs(),
                last: if alive {
                    last.to_string()
                } else {
                    "it has ended".to_owned()
                },
                words: if words.is_empty() {
                    String::new()
                } else {
                    format!(", its last words: {words}")
                },
            });
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}
