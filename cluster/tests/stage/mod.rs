//! A stage for scenarios that enter a network of their own: each runs in a
//! process of its own that has no threads yet, as root (if we are) and as
//! nobody (uid 65534, without any privilege).

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyquake_cluster::journal::Journal;
use keyquake_cluster::{
    Cluster, Disks, Groups, Launch, Network, NetworkKind, NetworkMode, NodeAddresses, NodeSpec,
    NodeStatus, OnDisk, ProcessRuntime, enter_own_network, node_name,
};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tempfile::TempDir;

const SCENARIO: &str = "KEYQUAKE_TEST_SCENARIO";
const NOBODY: u32 = 65534;
/// The variable that tells a part where its data lies.
pub const DATA: &str = "KEYQUAKE_TEST_DATA";

/// A name and what to do in a process of its own; it panics when it fails.
pub type Scenario = (&'static str, fn());

/// Runs one scenario, if this process was started for one; else all of them.
/// `parts` are further programs that scenarios start from this same file.
pub fn main(scenarios: &'static [Scenario], parts: &'static [Scenario]) -> ExitCode {
    if let Ok(name) = env::var(SCENARIO) {
        let mut known = scenarios.iter().chain(parts);
        let (_, play) = known
            .find(|(known, _)| *known == name)
            .expect("a known scenario");
        play();
        return ExitCode::SUCCESS;
    }
    // Nobody may not be able to go where this file lies.
    let place = open_tempdir();
    let program = place.path().join("scenarios");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let root = nix::unistd::geteuid().is_root();
    let actors: &[(&str, Option<u32>)] = if root {
        &[("root", None), ("nobody", Some(NOBODY))]
    } else {
        &[("self", None)]
    };
    let trials = scenarios
        .iter()
        .flat_map(|&(name, _)| actors.iter().map(move |&(actor, uid)| (name, actor, uid)))
        .map(|(name, actor, uid)| {
            let program = program.clone();
            Trial::test(format!("{name}::{actor}"), move || {
                perform(&program, name, uid)
            })
        })
        .collect();
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    drop(place);
    conclusion.exit_code()
}

fn perform(program: &Path, name: &str, uid: Option<u32>) -> Result<(), Failed> {
    let mut command = part(program, name);
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
    let output = command.output()?;
    let text = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    if output.status.success() {
        print!("{text}");
        Ok(())
    } else {
        Err(format!("{}\n{text}", output.status).into())
    }
}

/// The command that runs another scenario or part from `program`.
pub fn part(program: &Path, name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .env(SCENARIO, name.as_ref())
        .env("RUST_BACKTRACE", "0");
    command
}

/// A launch that runs a part of this same file.
pub fn launch_part(name: &str) -> Launch {
    Launch {
        program: env::current_exe().unwrap(),
        args: vec![],
        env: vec![(SCENARIO.into(), name.into())],
    }
}

/// A launch through the shell.
pub fn launch_shell(script: &str) -> Launch {
    Launch {
        program: PathBuf::from("/bin/sh"),
        args: vec!["-c".into(), script.into()],
        env: vec![],
    }
}

/// A directory that anybody can go into.
pub fn open_tempdir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// Enters a namespace, or fails the scenario.
pub fn enter_namespace() -> NetworkKind {
    let kind = enter_own_network(NetworkMode::Namespace).unwrap();
    assert_eq!(kind, NetworkKind::Namespace);
    kind
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

/// A cluster in a directory of its own.
pub struct Fixture {
    pub cluster: Arc<Cluster>,
    pub journal: Arc<Journal>,
    pub dir: TempDir,
    groups: Option<Arc<Groups>>,
    disks: Option<Arc<Disks>>,
}

/// What a fixture has beside its nodes.
#[derive(Default)]
struct Extras {
    groups: Option<Arc<Groups>>,
    disks: Option<Arc<Disks>>,
}

impl Fixture {
    /// Nodes that all run `launch`, not started yet.
    pub async fn new(kind: &NetworkKind, nodes: u16, launch: Launch) -> Self {
        Self::with(kind, nodes, launch, |_, _| Extras::default()).await
    }

    /// The same, with a control group for each.
    pub async fn grouped(kind: &NetworkKind, nodes: u16, launch: Launch) -> Self {
        let names: Vec<_> = (0..nodes).map(node_name).collect();
        Self::with(kind, nodes, launch, |journal, _| Extras {
            groups: Some(Arc::new(Groups::make(journal, &names).unwrap())),
            disks: None,
        })
        .await
    }

    /// The same, with a disk of so many bytes for each; mounts must be allowed.
    pub async fn on_disks(kind: &NetworkKind, nodes: u16, launch: Launch, bytes: u64) -> Self {
        let on_disk = |dir: &Path, index| OnDisk {
            node: node_name(index),
            data: data_of(dir, index),
            keys: data_of(dir, index).with_extension("keys"),
        };
        Self::with(kind, nodes, launch, |journal, dir| {
            let nodes = (0..nodes).map(|index| on_disk(dir, index)).collect();
            Extras {
                groups: None,
                disks: Some(Arc::new(Disks::make(journal, dir, nodes, bytes).unwrap())),
            }
        })
        .await
    }

    async fn with(
        kind: &NetworkKind,
        nodes: u16,
        launch: Launch,
        extras: impl FnOnce(&Journal, &Path) -> Extras,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Arc::new(Journal::open(&dir.path().join("journal"), "test").unwrap());
        let network = Arc::new(Network::build(kind, nodes).await.unwrap());
        let mut runtime =
            ProcessRuntime::new(Arc::clone(&network), journal.marker(), Instant::now()).unwrap();
        let Extras { groups, disks } = extras(&journal, dir.path());
        if let Some(groups) = &groups {
            runtime = runtime.grouped(Arc::clone(groups));
        }
        let specs = (0..nodes)
            .map(|index| spec(dir.path(), kind, index, launch.clone()))
            .collect();
        let mut cluster =
            Cluster::new(Arc::new(runtime), network, specs, Arc::clone(&journal)).unwrap();
        if let Some(disks) = &disks {
            cluster = cluster.with_disks(Arc::clone(disks));
        }
        Self {
            cluster: Arc::new(cluster),
            journal,
            dir,
            groups,
            disks,
        }
    }

    /// Stops what runs; the journal must be empty after that.
    pub async fn end(self) {
        self.cluster.shutdown(Duration::from_secs(5)).await.unwrap();
        if let Some(groups) = &self.groups {
            groups.clear(&self.journal).unwrap();
        }
        if let Some(disks) = &self.disks {
            disks.clear(&self.journal).unwrap();
        }
        self.journal.finish().unwrap();
    }

    /// What a node has written so far.
    pub fn log(&self, node: u16) -> String {
        fs::read_to_string(
            self.dir
                .path()
                .join("logs")
                .join(format!("{}.log", node_name(node))),
        )
        .unwrap_or_default()
    }
}

impl Drop for Fixture {
    /// What a scenario that failed has left.
    fn drop(&mut self) {
        if let Some(groups) = self.groups.take() {
            let nodes = 0..self.cluster.node_count();
            for pid in nodes.filter_map(|node| match self.cluster.status(node) {
                NodeStatus::Running { pid } | NodeStatus::Paused { pid } => Some(pid as i32),
                _ => None,
            }) {
                let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            let _ = groups.clear(&self.journal);
        }
    }
}

/// A node in `dir`.
pub fn spec(dir: &Path, kind: &NetworkKind, index: u16, launch: Launch) -> NodeSpec {
    NodeSpec {
        id: node_name(index),
        index,
        release: "test".into(),
        data_dir: data_of(dir, index),
        log_dir: dir.join("logs"),
        addresses: NodeAddresses {
            ip: kind.node_ip(index),
            ports: [("grpc".to_owned(), 50_051)].into(),
        },
        launch: Launch {
            env: [
                launch.env,
                vec![(DATA.into(), data_of(dir, index).display().to_string())],
            ]
            .concat(),
            ..launch
        },
    }
}

fn data_of(dir: &Path, index: u16) -> PathBuf {
    dir.join("nodes").join(node_name(index))
}
