//! From a run or a folder to what the auditor is to look at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use elle_rs::history::{Event, FaultStep, Op};
use keyquake_audit::{Answered, Canaries, Canary, MayStand, NodeDisks, Subject};
use keyquake_cluster::node_name;
use keyquake_nemesis::{Call, CallRequest, Details, is_struck};
use keyquake_results::RunFolder;
use keyquake_systems::elastickv::encryption::{KeyFiles, twin_of};

use super::past;
use super::words::AuditArgs;
use crate::judging::History;
use crate::plan::{Encryption, Plan};

/// What a data directory has in it, and nothing else does.
const TABLES: &str = "fsm.db";
/// What the data directory of a node with several groups has in it instead.
const GROUP: &str = "group-";

/// The disks of a stored run, and every value it may have written.
pub fn of_run(run: &RunFolder) -> anyhow::Result<Subject> {
    let plan = Plan::parse(&run.read_plan()?)
        .with_context(|| format!("the plan {} can't be used", run.plan().display()))?;
    of_plan(run, &plan, &History::read(&run.history())?)
}

/// The same, of a run whose plan and history are known.
pub fn of_plan(run: &RunFolder, plan: &Plan, history: &History) -> anyhow::Result<Subject> {
    let files = KeyFiles::of_run(run.path());
    let cluster = &plan.cluster;
    let node = |index: u16| {
        let id = node_name(index);
        // Data lies, and nonces are made, under the id in the Raft group.
        let name = match cluster.collide && index == cluster.nodes {
            true => twin_of(&node_name(0), &id),
            false => id.clone(),
        };
        NodeDisks {
            data_dir: run.nodes().join(&name),
            sidecar: Some(files.sidecar(&id)),
            logs: existing(run.logs().join(format!("{id}.log"))),
            name,
        }
    };
    let canary = Canary::of_seed(plan.seed);
    Ok(Subject {
        kek: existing(files.kek()).pop(),
        nodes: (0..plan.all_nodes())
            .map(node)
            // A spare that was never started has no disk.
            .filter(|node| node.data_dir.exists())
            .collect(),
        former_members: Vec::new(),
        answered: answered(run)?,
        canaries: Some(planted(canary, &history.events, plan)),
        past: run.read_evidence()?.map(|index| {
            let name = |id: &str| match index_of(id) {
                Some(index) => node(index).name,
                None => id.to_owned(),
            };
            past::of_run(run, &index, plan, &history.events, name)
        }),
    })
}

/// The position of a node by its name: 0 for n1.
fn index_of(name: &str) -> Option<u16> {
    name.strip_prefix('n')?.parse::<u16>().ok()?.checked_sub(1)
}

/// What the store answered when the run's cluster was cut over before its workloads.
fn answered(run: &RunFolder) -> anyhow::Result<Answered> {
    let encryption = run.read_run()?.encryption;
    let index = |change: Call| {
        let steps = encryption.iter().flat_map(|encryption| &encryption.steps);
        let mut steps = steps.filter(|step| step.change == change.to_string());
        steps.next().map(|step| step.applied_index)
    };
    Ok(Answered {
        storage: index(Call::EnableStorageEnvelope),
        raft: index(Call::EnableRaftEnvelope),
    })
}

/// The values of a run's history: those asked for after a cutover took effect must not stand
/// in the clear where it reaches.
fn planted(canary: Canary, events: &[Event], plan: &Plan) -> Canaries {
    // The answer of a call that was hit in flight may be lost, and the cutover with it: only one
    // that nothing can have hit is known to be in force.
    let was_hit = |number: usize| is_struck(&plan.faults, number);
    let cutover = |call| {
        let effective = events.iter().find_map(|event| match event {
            Event::Fault(fault) if fault.step == FaultStep::Effective => {
                let number = fault.fault as usize;
                let planned = plan.faults.get(number)?;
                let is_it = |request: &CallRequest| request.call == call;
                let made = matches!(&planned.details, Details::Admin(request) if is_it(request))
                    && !was_hit(number)
                    && past::was_accepted(events, fault.fault);
                made.then_some(fault.index)
            }
            _ => None,
        });
        effective.unwrap_or(u64::MAX)
    };
    let storage = cutover(Call::EnableStorageEnvelope);
    let raft = cutover(Call::EnableRaftEnvelope);
    let at_start = |level: &[Encryption]| level.contains(&plan.cluster.encryption);
    Canaries::of_history(canary, events, |op: &Op| {
        let sealed_rows = op.index > storage || at_start(&[Encryption::Storage, Encryption::Raft]);
        let sealed_log = op.index > raft || at_start(&[Encryption::Raft]);
        match (sealed_rows, sealed_log) {
            (true, true) => MayStand::Nowhere,
            (true, false) => MayStand::InLog,
            // Nothing refuses phase 2 before phase 1, and then values stand in the tables.
            (false, _) => MayStand::Anywhere,
        }
    })
}

fn at_start(level: Encryption) -> MayStand {
    match level {
        Encryption::Off | Encryption::Keys => MayStand::Anywhere,
        Encryption::Storage => MayStand::InLog,
        Encryption::Raft => MayStand::Nowhere,
    }
}

/// A run names its keys and its history itself.
pub fn refuse_folder_words(args: &AuditArgs) -> anyhow::Result<()> {
    let given = args.kek.is_some() || !args.sidecars.is_empty() || args.history.is_some();
    ensure!(
        !given,
        "--kek, --sidecar and --history are for a folder of data directories; a run has its own"
    );
    Ok(())
}

/// The data directories in a folder, or below its folders.
pub fn of_folder(folder: &Path, args: &AuditArgs) -> anyhow::Result<Subject> {
    let mut sidecars = BTreeMap::new();
    for word in &args.sidecars {
        let Some((node, file)) = word.split_once('=') else {
            bail!("--sidecar {word:?} names no node; write NODE=FILE");
        };
        ensure!(Path::new(file).is_file(), "there is no sidecar {file}");
        sidecars.insert(node.to_owned(), PathBuf::from(file));
    }
    let mut found = BTreeMap::new();
    data_dirs(folder, 2, &mut found)?;
    ensure!(
        !found.is_empty(),
        "{} is no run, and neither it nor its folders hold a data directory (one with {TABLES} in it)",
        folder.display()
    );
    let nodes = found.into_iter().map(|(name, data_dir)| NodeDisks {
        sidecar: sidecars.remove(&name),
        logs: Vec::new(),
        data_dir,
        name,
    });
    let nodes: Vec<_> = nodes.collect();
    if let Some(stranger) = sidecars.keys().next() {
        bail!("--sidecar names {stranger}, which has no data directory here");
    }
    let canaries = match (&args.history, args.seed) {
        (Some(history), Some(seed)) => {
            let history = History::read(history)?;
            let level = at_start(args.encryption);
            let canary = Canary::of_seed(seed);
            Some(Canaries::of_history(canary, &history.events, |_| level))
        }
        _ => None,
    };
    Ok(Subject {
        kek: args.kek.clone(),
        nodes,
        former_members: Vec::new(),
        answered: Answered::default(),
        canaries,
        past: None,
    })
}

/// Data directories by their name, which is the node's Raft id.
fn data_dirs(
    folder: &Path,
    depth: u32,
    found: &mut BTreeMap<String, PathBuf>,
) -> anyhow::Result<()> {
    let name = folder.file_name().map(|name| name.to_string_lossy());
    if let Some(name) = name.filter(|_| is_data_dir(folder)) {
        let before = found.insert(name.clone().into_owned(), folder.to_owned());
        ensure!(
            before.is_none(),
            "there are two data directories of {name} below one folder; give one cluster's"
        );
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    let listed = std::fs::read_dir(folder);
    let listed = listed.with_context(|| format!("failed to read {}", folder.display()))?;
    for entry in listed {
        let path = entry?.path();
        if path.is_dir() {
            data_dirs(&path, depth - 1, found)?;
        }
    }
    Ok(())
}

fn is_data_dir(folder: &Path) -> bool {
    let has_groups = || {
        let listed = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names = listed.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.any(|name| name.starts_with(GROUP) && folder.join(name).join(TABLES).is_dir())
    };
    folder.join(TABLES).is_dir() || has_groups()
}

fn existing(path: PathBuf) -> Vec<PathBuf> {
    Vec::from_iter(Some(path).filter(|path| path.exists()))
}
