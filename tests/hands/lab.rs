//! A cluster of the reference store whose nodes die with the test.

use std::fs::{OpenOptions, create_dir_all};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyquake_cluster::{NetworkKind, NodeSpec};
use keyquake_rollout::{Call, Outcome};
use keyquake_systems::elastickv::encryption::{Caller, KeyFiles, Order, Reply};
use keyquake_systems::{Programs, System, SystemName, SystemOptions, system_of};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// How long nodes may take to come up, to lead, or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Clusters take turns: two that look for free ports at once would find the same.
static TURN: Mutex<()> = Mutex::new(());

/// The cluster.
pub struct Lab {
    /// Removed with the lab.
    _dir: TempDir,
    pub system: Arc<dyn System>,
    pub specs: Vec<NodeSpec>,
    pub caller: Caller,
    children: Vec<Option<Child>>,
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
        let specs = specs.expect("three nodes");
        let files = KeyFiles::of_run(dir.path());
        let kek = files.make(specs.iter().map(|spec| spec.id.as_str()));
        let caller = Caller::new(&specs, kek.expect("key files"));
        let children = specs.iter().map(|_| None).collect();
        Lab {
            _dir: dir,
            system,
            specs,
            caller,
            children,
            _turn: turn,
        }
    }

    /// Three nodes with all flags of encryption, serving.
    pub async fn started(release: &str) -> Lab {
        let mut lab = Lab::prepared(SystemOptions {
            release: Some(release.to_owned()),
            encryption: true,
            ..SystemOptions::default()
        });
        for node in 0..3 {
            lab.start(node);
        }
        lab.serving().await;
        lab
    }

    pub fn start(&mut self, node: u16) {
        let place = usize::from(node);
        self.children[place] = Some(spawn(&self.specs[place]));
    }

    pub async fn kill(&mut self, node: u16) {
        if let Some(mut child) = self.children[usize::from(node)].take() {
            child.kill().await.expect("a kill");
        }
    }

    /// Stops a node's clock, or lets it go on.
    pub fn signal(&self, node: u16, signal: Signal) {
        let child = self.children[usize::from(node)].as_ref();
        let pid = child.and_then(Child::id).expect("a process");
        kill(Pid::from_raw(pid as i32), signal).expect("a signal");
    }

    /// Waits until somebody leads; gives whom.
    pub async fn serving(&self) -> u16 {
        let deadline = Instant::now() + PATIENCE;
        let leader = self.system.serving(&self.specs, deadline).await;
        leader.expect("a cluster that serves")
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

fn spawn(spec: &NodeSpec) -> Child {
    create_dir_all(&spec.data_dir).expect("a folder");
    create_dir_all(&spec.log_dir).expect("a folder");
    let log = log_of(spec);
    let log = OpenOptions::new().create(true).append(true).open(log);
    let log = log.expect("a log");
    Command::new(&spec.launch.program)
        .args(&spec.launch.args)
        .envs(spec.launch.env.iter().cloned())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("a process")
}

/// Where a node's words lie.
pub fn log_of(spec: &NodeSpec) -> impl AsRef<Path> + use<> {
    spec.log_dir.join(format!("{}.log", spec.id))
}

/// The refusal of this name.
pub fn refused(name: &str) -> Outcome {
    Outcome::Refused(Some(name.to_owned()))
}
