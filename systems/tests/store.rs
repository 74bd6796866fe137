//! The adapter against a real store: three nodes on loopback, both protocols, both workloads,
//! a node killed and started again under load.
//!
//! Needs `KEYQUAKE_STORE_BINARY=PATH` (and `KEYQUAKE_STORE=elastickv|reference`, by default
//! elastickv; for the reference store PATH is the `keyquake` executable). Without it the test
//! says that it was skipped. `--nocapture` shows what came back.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elle_rs::history::file::load;
use elle_rs::history::{Action, Event, Kind, Op, Phase, Step};
use keyquake_cluster::{NetworkKind, NodeSpec};
use keyquake_systems::{
    Canary, LeaderWatch, Programs, System, SystemName, SystemOptions, system_of,
};
use keyquake_workloads::{
    LeaderHint, Protocol, Recorder, Setup, Target, WorkloadName, WorkloadOptions, final_reads, run,
};
use tokio::process::{Child, Command};
use tokio::sync::watch;

const NODES: u16 = 3;

/// The store to test, if one was given.
fn store() -> Option<(SystemName, PathBuf)> {
    let Some(binary) = std::env::var_os("KEYQUAKE_STORE_BINARY") else {
        println!("skipped: KEYQUAKE_STORE_BINARY names no store's program");
        return None;
    };
    let name = std::env::var("KEYQUAKE_STORE").unwrap_or_else(|_| "elastickv".to_owned());
    Some((name.parse().unwrap(), binary.into()))
}

/// Nodes as children of the test; they die with it.
struct Nodes {
    specs: Vec<NodeSpec>,
    children: Vec<Child>,
}

impl Nodes {
    fn start(specs: Vec<NodeSpec>) -> Self {
        let children = specs.iter().map(spawn).collect();
        Self { specs, children }
    }

    async fn kill(&mut self, node: u16) {
        self.children[usize::from(node)].kill().await.unwrap();
    }

    fn restart(&mut self, node: u16) {
        let place = usize::from(node);
        self.children[place] = spawn(&self.specs[place]);
    }
}

fn spawn(spec: &NodeSpec) -> Child {
    std::fs::create_dir_all(&spec.data_dir).unwrap();
    std::fs::create_dir_all(&spec.log_dir).unwrap();
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(spec.log_dir.join(format!("{}.log", spec.id)))
        .unwrap();
    Command::new(&spec.launch.program)
        .args(&spec.launch.args)
        .envs(spec.launch.env.iter().cloned())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn start(name: SystemName, binary: &Path, dir: &Path) -> (Arc<dyn System>, Nodes) {
    let programs = Programs {
        other: Some(binary.to_owned()),
        ..Programs::NONE
    };
    let system = system_of(name, programs);
    let options = SystemOptions::default();
    let network = NetworkKind::Loopback {
        why: "test".to_owned(),
    };
    let specs = system.prepare(NODES, dir, &network, &options).unwrap();
    let nodes = Nodes::start(specs);
    let began = Instant::now();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let leader = system.serving(&nodes.specs, deadline).await.unwrap();
    println!("{name}: leader {leader} serves after {:?}", began.elapsed());
    (system, nodes)
}

fn workloads() -> Vec<WorkloadOptions> {
    let register = WorkloadOptions::of(WorkloadName::Register);
    let append = WorkloadOptions::of(WorkloadName::Append);
    vec![
        WorkloadOptions {
            cas: true,
            ..register.clone()
        },
        WorkloadOptions {
            protocol: Protocol::Grpc,
            target: Target::Leader,
            rate: 150.0,
            ..register.clone()
        },
        WorkloadOptions {
            target: Target::Each,
            ..append
        },
    ]
}

/// Runs all workloads for `time` while the leader is killed and started again, and reads the
/// history back.
async fn history_with_a_kill(name: SystemName, binary: &Path, time: Duration) -> Vec<Op> {
    let folder = tempfile::tempdir().unwrap();
    let (system, mut nodes) = start(name, binary, folder.path()).await;
    let watch = Arc::new(LeaderWatch::start(system.clone(), nodes.specs.clone()));
    let path = folder.path().join("history.kqh");
    let recorder = Recorder::create(&path, Instant::now()).unwrap();
    let setup = Setup {
        options: workloads(),
        seed: 1,
        connect: system.connect(&nodes.specs, Canary::of_seed(1)),
        leader: watch.clone(),
        nodes: NODES,
        recorder: recorder.clone(),
    };
    recorder.phase(Phase::Main).unwrap();
    let (_stop, stopped) = watch::channel(false);
    let load = tokio::spawn({
        let setup = setup.clone();
        async move { run(&setup, stopped, time).await }
    });
    tokio::time::sleep(time / 4).await;
    let victim = system.leader(&nodes.specs).await.expect("a leader");
    assert_eq!(watch.leader(), Some(victim));
    nodes.kill(victim).await;
    println!(
        "{:?}: killed {}",
        recorder.elapsed(),
        nodes.specs[usize::from(victim)].id
    );
    tokio::time::sleep(time / 4).await;
    nodes.restart(victim);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    system.serving(&nodes.specs, deadline).await.unwrap();
    println!("{:?}: serves again", recorder.elapsed());
    let summary = load.await.unwrap().unwrap();
    println!("{summary:#?}");
    recorder.phase(Phase::Final).unwrap();
    let last = final_reads(&setup, &summary, Duration::from_secs(20))
        .await
        .unwrap();
    println!("{last:?}");
    assert!(last.keys_unread.is_empty(), "{last:?}");
    recorder.phase(Phase::End).unwrap();
    println!("{:#?}", recorder.close().await.unwrap());
    assert!(
        summary
            .workloads
            .iter()
            .all(|workload| workload.client_bugs == 0)
    );
    let (events, torn) = load_all(&path);
    assert!(!torn);
    events
}

fn load_all(path: &Path) -> (Vec<Op>, bool) {
    let (events, torn) = load(path).unwrap();
    let ops = events.into_iter().filter_map(|event| match event {
        Event::Op(op) => Some(op),
        _ => None,
    });
    (ops.collect(), torn.is_some())
}

/// What did not come back `ok`, by kind and text, with how often.
fn show_errors(ops: &[Op]) {
    let mut texts = BTreeMap::<String, u32>::new();
    for op in ops {
        if let Some(error) = &op.error {
            let what = match &op.action {
                Action::Txn { .. } => "txn",
                Action::Read { .. } => "read",
                _ => "write",
            };
            let text: String = error
                .chars()
                .map(|character| {
                    if character.is_ascii_digit() {
                        '#'
                    } else {
                        character
                    }
                })
                .collect();
            *texts
                .entry(format!("{:?} {what} {text}", op.kind))
                .or_default() += 1;
        }
    }
    for (text, count) in texts {
        println!("{count:6}  {text}");
    }
}

/// Values by key that this operation read.
fn values_read(op: &Op) -> Vec<(u64, u64)> {
    match &op.action {
        Action::Read { key, value } => value.iter().map(|value| (*key, *value)).collect(),
        Action::Swap { key, old, .. } => old.iter().map(|value| (*key, *value)).collect(),
        Action::Txn { steps } => steps
            .iter()
            .flat_map(|step| match step {
                Step::Read { key, list } => {
                    list.iter().flatten().map(|value| (*key, *value)).collect()
                }
                Step::Append { .. } => Vec::new(),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Values by key that this operation writes.
fn values_written(action: &Action) -> Vec<(u64, u64)> {
    match action {
        Action::Read { .. } => Vec::new(),
        Action::Write { key, value }
        | Action::Swap { key, value, .. }
        | Action::Cas { key, value, .. } => vec![(*key, *value)],
        Action::Txn { steps } => steps
            .iter()
            .filter_map(|step| match step {
                Step::Append { key, value } => Some((*key, *value)),
                Step::Read { .. } => None,
            })
            .collect(),
    }
}

/// The error table is true of this store: what it calls definite was never seen to take effect,
/// and nothing was read that no one asked to write.
fn assert_failures_had_no_effect(ops: &[Op]) {
    let written = |kind: Kind| -> HashSet<(u64, u64)> {
        let of_kind = ops.iter().filter(|op| op.kind == kind);
        of_kind.flat_map(|op| values_written(&op.action)).collect()
    };
    let (asked, failed) = (written(Kind::Invoke), written(Kind::Fail));
    println!(
        "{} values written, {} of them in vain",
        asked.len(),
        failed.len()
    );
    for op in ops.iter().filter(|op| op.kind == Kind::Ok) {
        for read in values_read(op) {
            assert!(asked.contains(&read), "{read:?} from thin air: {op:?}");
            assert!(!failed.contains(&read), "{read:?} had failed: {op:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_store_is_driven_through_a_kill_of_its_leader() {
    let Some((name, binary)) = store() else {
        return;
    };
    let ops = history_with_a_kill(name, &binary, Duration::from_secs(24)).await;
    show_errors(&ops);
    let ok: Vec<&Op> = ops.iter().filter(|op| op.kind == Kind::Ok).collect();
    let count = |is: fn(&Action) -> bool| ok.iter().filter(|op| is(&op.action)).count();
    assert!(count(|action| matches!(action, Action::Read { value: Some(_), .. })) > 100);
    assert!(count(|action| matches!(action, Action::Write { .. })) > 100);
    assert!(count(|action| matches!(action, Action::Swap { old: Some(_), .. })) > 100);
    assert!(count(|action| matches!(action, Action::Cas { swapped: true, .. })) > 10);
    assert!(count(|action| matches!(action, Action::Txn { .. })) > 100);
    assert_failures_had_no_effect(&ops);
    for node in 0..NODES {
        assert!(
            ok.iter().any(|op| op.node == Some(node)),
            "no answer of node {node}"
        );
    }
}
