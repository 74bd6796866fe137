//! A cluster of containers in a folder of its own, which leaves nothing whatever happens.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use keyquake_cluster::journal::{Journal, Undo, Undoer};
use keyquake_cluster::{
    Cluster, Disks, Launch, NetworkKind, NodeAddresses, NodeSpec, OnDisk, node_name,
};
use keyquake_docker::{
    ContainerRuntime, ContainerUndoer, Containers, Engine, Images, RunOf, Wanted,
};
use tempfile::TempDir;

use crate::parts::{DATA, PART};

/// The releases of the test's own images.
pub const RELEASES: [&str; 2] = ["one", "two"];

pub struct Fixture {
    pub cluster: Arc<Cluster>,
    pub runtime: Arc<ContainerRuntime>,
    pub engine: Engine,
    pub journal: Arc<Journal>,
    containers: Containers,
    disks: Option<Arc<Disks>>,
    sweeper: Sweeper,
}

/// Removes what a test that failed has left.
pub struct Sweeper {
    pub dir: TempDir,
    marker: String,
    engine: String,
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        let what = Undo::Containers {
            engine: self.engine.clone(),
            sockets: self.dir.path().join("agents"),
        };
        let marker = self.marker.clone();
        // On a thread of its own: this one may be inside an async runtime.
        let swept = std::thread::spawn(move || ContainerUndoer.undo(&marker, &what));
        if let Ok(Some(Err(error))) = swept.join() {
            eprintln!("left behind: {error}");
        }
    }
}

/// Runs to the end on a runtime with two threads.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// Polls until `ready` says so; fails the scenario after a generous while.
pub async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ready() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Images of this executable.
pub fn own() -> Wanted {
    Wanted {
        built_in: RELEASES.map(str::to_owned).into(),
        ..Wanted::default()
    }
}

/// A run in this folder.
pub async fn run_in(dir: &Path, engine: &Engine, nodes: u16) -> RunOf {
    RunOf {
        id: "test".into(),
        folder: dir.to_owned(),
        nodes,
        subnet: engine.free_subnet().await.unwrap(),
        begun: Instant::now(),
    }
}

/// Runs of one process must differ by name: their markers name it and the process.
pub fn open_journal(dir: &Path) -> Arc<Journal> {
    static RUNS: AtomicU32 = AtomicU32::new(1);
    let run = format!("test{}", RUNS.fetch_add(1, Ordering::Relaxed));
    Arc::new(Journal::open(&dir.join("journal"), &run).unwrap())
}

/// A node that plays a part.
pub fn spec(dir: &Path, run: &RunOf, index: u16, part: &str) -> NodeSpec {
    let id = node_name(index);
    let data_dir = dir.join("nodes").join(&id);
    NodeSpec {
        index,
        release: RELEASES[0].into(),
        log_dir: dir.join("logs"),
        addresses: NodeAddresses {
            ip: NetworkKind::Container { subnet: run.subnet }.node_ip(index),
            ports: Default::default(),
        },
        launch: Launch {
            program: "/keyquake".into(),
            args: vec![],
            env: vec![
                (PART.into(), part.into()),
                (DATA.into(), data_dir.display().to_string()),
            ],
        },
        data_dir,
        id,
    }
}

impl Fixture {
    /// Nodes that all play one part, not started yet.
    pub async fn new(nodes: u16, part: &str) -> Self {
        Self::with(nodes, part, &own()).await
    }

    pub async fn with(nodes: u16, part: &str, wanted: &Wanted) -> Self {
        Self::made(nodes, part, wanted, None).await
    }

    /// The same, with a disk of so many bytes for each.
    pub async fn on_disks(nodes: u16, part: &str, bytes: u64) -> Self {
        Self::made(nodes, part, &own(), Some(bytes)).await
    }

    async fn made(nodes: u16, part: &str, wanted: &Wanted, disk: Option<u64>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::find().await.unwrap();
        let images = Images::prepare(&engine, wanted).await.unwrap();
        let run = run_in(dir.path(), &engine, nodes).await;
        let journal = open_journal(dir.path());
        let sweeper = Sweeper {
            marker: journal.marker().to_owned(),
            engine: engine.endpoint().to_owned(),
            dir,
        };
        let containers = Containers::of(engine.clone(), &run, journal.clone());
        let made = containers.raise(images, &run).await.unwrap();
        let specs: Vec<_> = (0..nodes)
            .map(|index| spec(sweeper.dir.path(), &run, index, part))
            .collect();
        let on_disk = specs.iter().map(|spec| OnDisk {
            node: spec.id.clone(),
            data: spec.data_dir.clone(),
            keys: spec.data_dir.with_extension("keys"),
        });
        let disks = disk.map(|bytes| {
            let disks = Disks::make(&journal, sweeper.dir.path(), on_disk.collect(), bytes);
            Arc::new(disks.unwrap())
        });
        let runtime = made.runtime.clone();
        let mut cluster = Cluster::new(made.runtime, made.network, specs, journal.clone()).unwrap();
        if let Some(disks) = &disks {
            cluster = cluster.with_disks(disks.clone());
        }
        Self {
            cluster: Arc::new(cluster),
            runtime,
            engine,
            journal,
            containers,
            disks,
            sweeper,
        }
    }

    /// Stops what runs; the journal must be empty after that, and nothing be left.
    pub async fn end(self) {
        self.cluster.shutdown(Duration::from_secs(1)).await.unwrap();
        self.containers.clear().await.unwrap();
        if let Some(disks) = &self.disks {
            disks.clear(&self.journal).unwrap();
        }
        self.journal.finish().unwrap();
        let left = self.engine.of_run(self.journal.marker()).await.unwrap();
        assert_eq!(left, [] as [String; 0]);
        assert!(!self.path("agents").exists());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.sweeper.dir.path().join(name)
    }

    /// What a node has written so far.
    pub fn log(&self, node: u16) -> String {
        let path = self.path("logs").join(format!("{}.log", node_name(node)));
        fs::read_to_string(path).unwrap_or_default()
    }

    /// Starts a node and waits until it says that it is up.
    pub async fn start(&self, node: u16) {
        let before = self.log(node).matches(" out up").count();
        self.cluster.start(node).await.unwrap();
        self.up_again(node, before).await;
    }

    pub async fn up_again(&self, node: u16, before: usize) {
        until("the node is up", || {
            self.log(node).matches(" out up").count() > before
        })
        .await;
    }

    /// How often a node has begun, by its data.
    pub fn starts(&self, node: u16) -> usize {
        let path = self.path("nodes").join(node_name(node)).join("notes");
        fs::read_to_string(path).unwrap_or_default().lines().count()
    }
}
