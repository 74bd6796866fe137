//! A cluster of the reference store whose nodes die with the test.

use std::fs::create_dir_all;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyquake_cluster::{NetworkKind, NodeLog, NodeSpec};
use keyquake_rollout::{Call, FlagChange, Outcome};
use keyquake_systems::elastickv::encryption::{AdminClient, Caller, KeyFiles, Order, Reply};
use keyquake_systems::elastickv::key_files;
use keyquake_systems::{NodeChange, Programs, System, SystemName, SystemOptions, system_of};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long nodes may take to come up, to lead, or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Clusters take turns: two that look for free ports at once would find the same.
static TURN: Mutex<()> = Mutex::new(());

/// A process, and who writes down what it says.
struct Node {
    child: Child,
    words: JoinHandle<()>,
}

/// The cluster.
pub struct Lab {
    /// Removed with the lab.
    _dir: TempDir,
    pub system: Arc<dyn System>,
    pub specs: Vec<NodeSpec>,
    pub caller: Caller,
    nodes: Vec<Option<Node>>,
    _turn: MutexGuard<'static, ()>,
}

impl Lab {
    /// Three nodes, prepared and not started, with key files in place.
    pub fn prepared(options: SystemOptions) -> Lab {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().expect("a temporary folder");
        let network = NetworkKind::Loopback {
            why: "test".to_owned(),
        };
        let programs = Programs {
            other: Some(env!("CARGO_BIN_EXE_keyquake").into()),
            ..Programs::NONE
        };
        let system = system_of(SystemName::Reference, programs);
        let specs = system.prepare(3, dir.path(), &network, &options);
        let specs = specs.expect("three nodes and the spares");
        let files = KeyFiles::of_run(dir.path());
        let kek = files.make(specs.iter().map(|spec| spec.id.as_str()));
        let caller = Caller::new(&specs, kek.expect("key files"));
        let nodes = specs.iter().map(|_| None).collect();
        Lab {
            _dir: dir,
            system,
            specs,
            caller,
            nodes,
            _turn: turn,
        }
    }

    /// Three nodes with all flags of encryption, serving.
    pub async fn started(release: &str) -> Lab {
        Lab::of(SystemOptions {
            release: Some(release.to_owned()),
            encryption: true,
            ..SystemOptions::default()
        })
        .await
    }

    /// Three nodes that serve, and spares that are not started.
    pub async fn of(options: SystemOptions) -> Lab {
        let mut lab = Lab::prepared(options);
        for node in 0..3 {
            lab.start(node);
        }
        lab.serving().await;
        lab
    }

    pub fn start(&mut self, node: u16) {
        let place = usize::from(node);
        self.nodes[place] = Some(spawn(&self.specs[place]));
    }

    pub async fn kill(&mut self, node: u16) {
        if let Some(mut node) = self.nodes[usize::from(node)].take() {
            node.child.kill().await.expect("a kill");
        }
    }

    /// Waits until a node ends by itself; gives its exit code.
    pub async fn ended(&mut self, node: u16) -> Option<i32> {
        let node = self.nodes[usize::from(node)].take();
        let mut node = node.expect("a process");
        let ended = tokio::time::timeout(PATIENCE, node.child.wait()).await;
        let ended = ended.expect("it ends by itself").expect("a status");
        node.words.await.expect("its words are written down");
        ended.code()
    }

    /// What a node is started as from now on, with the key file that it will look for.
    pub fn roll(&mut self, node: u16, flags: FlagChange, release: Option<&str>) {
        let spec = &mut self.specs[usize::from(node)];
        let change = NodeChange {
            release: release.map(str::to_owned),
            flags,
        };
        *spec = self.system.changed(spec, &change).expect("a change");
        if let Some(kek) = flags.kek {
            key_files(spec).provide(kek).expect("a key file");
        }
    }

    /// Stops a node's clock, or lets it go on.
    pub fn signal(&self, node: u16, signal: Signal) {
        let node = self.nodes[usize::from(node)].as_ref();
        let pid = node.and_then(|node| node.child.id()).expect("a process");
        kill(Pid::from_raw(pid as i32), signal).expect("a signal");
    }

    /// Waits until somebody leads; gives whom.
    pub async fn serving(&self) -> u16 {
        let deadline = Instant::now() + PATIENCE;
        let leader = self.system.serving(&self.specs[..3], deadline).await;
        leader.expect("a cluster that serves")
    }

    /// Waits until a node is up and answers clients.
    pub async fn ready(&self, node: u16) {
        let spec = &self.specs[usize::from(node)];
        let ready = self.system.ready(spec, Instant::now() + PATIENCE).await;
        ready.expect("a node that is ready");
    }

    /// How many members whoever leads knows.
    pub async fn serving_members(&self) -> usize {
        let leader = &self.specs[usize::from(self.serving().await)];
        let address = format!("{}:{}", leader.addresses.ip, leader.addresses.ports["grpc"]);
        let members = AdminClient::new(address, PATIENCE).members().await;
        members.expect("a configuration").len()
    }

    /// Waits until somebody leads among those that answer.
    pub async fn leader(&self) -> u16 {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(leader) = self.system.leader(&self.specs).await {
                return leader;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nobody leads");
    }

    /// A call on whoever leads, as a plain step.
    pub async fn call(&self, call: Call) -> Reply {
        self.order(Order::once(call), None).await
    }

    pub async fn order(&self, order: Order, at: Option<u16>) -> Reply {
        let reply = self.caller.call(&order, at, None).await;
        println!("{order:?} at {at:?}: {reply:?}");
        reply
    }

    /// The call is accepted; gives its log index.
    pub async fn accepted(&self, call: Call) -> u64 {
        let reply = self.call(call).await;
        assert_eq!(reply.outcome, Outcome::Accepted, "{}", reply.said);
        reply.index.expect("an index")
    }
}

fn spawn(spec: &NodeSpec) -> Node {
    create_dir_all(&spec.data_dir).expect("a folder");
    create_dir_all(&spec.log_dir).expect("a folder");
    let mut child = Command::new(&spec.launch.program)
        .args(&spec.launch.args)
        .envs(spec.launch.env.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a process");
    let log = NodeLog::open(&spec.log_dir, &spec.id, std::time::Instant::now());
    let (log, said) = (log.expect("a log"), child.stderr.take().expect("a pipe"));
    let words = tokio::spawn(async move {
        let mut lines = BufReader::new(said).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            log.write("err", line.as_bytes());
        }
    });
    Node { child, words }
}

/// Where a node's words lie.
pub fn log_of(spec: &NodeSpec) -> PathBuf {
    spec.log_dir.join(format!("{}.log", spec.id))
}

/// The refusal of this name.
pub fn refused(name: &str) -> Outcome {
    Outcome::Refused(Some(name.to_owned()))
}
