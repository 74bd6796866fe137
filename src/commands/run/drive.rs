//! The run itself: workloads and nemesis at once, then everything is read back.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use elle_rs::history::Phase;
use keyquake_cluster::{Cluster, Ending};
use keyquake_nemesis::{ActiveFault, ActiveFaults, FaultName, Operator, Rollout, Surroundings};
use keyquake_systems::{Canary, LeaderWatch};
use keyquake_workloads::{LeaderHint, Recorder, RunSummary, Setup};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::evidence::{Collecting, Evidence, Requests};
use super::stage::Stage;
use crate::progress::{Moment, Progress};
use crate::wiring::{Asked, Changes, Expected, Hands, HistorySink, Watch};

/// How long all keys may take to be read back at the end.
const FINAL_WITHIN: Duration = Duration::from_secs(15);
/// How long nodes that are down at the end may take to come back.
const REPAIR_WITHIN: Duration = Duration::from_secs(15);
/// How often a node that is down is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const SIGKILL: i32 = nix::sys::signal::Signal::SIGKILL as i32;
const SIGABRT: i32 = nix::sys::signal::Signal::SIGABRT as i32;
const SIGBUS: i32 = nix::sys::signal::Signal::SIGBUS as i32;
const SIGTERM: i32 = nix::sys::signal::Signal::SIGTERM as i32;

/// Raises the cluster, runs the plan on it and reads every key back. The
/// history is complete and closed on disk when this returns without an error.
pub async fn drive(stage: &mut Stage) -> anyhow::Result<()> {
    let (stop, stopped) = watch::channel(false);
    // A clone, so that the channel stays open whatever becomes of the task.
    let early = tokio::spawn(stop_on_signal(stop.clone()));
    let result = phases(stage, stopped).await;
    early.abort();
    if let Ok(Ok(reason)) = early.await {
        stage.info.ended_early = Some(reason);
    }
    result
}

async fn phases(stage: &mut Stage, stopped: watch::Receiver<bool>) -> anyhow::Result<()> {
    let (cluster, evidence) = {
        let mut interrupted = stopped.clone();
        tokio::select! {
            begun = begin(stage) => begun?,
            _ = interrupted.wait_for(|stop| *stop) => anyhow::bail!("stopped before the cluster served: there is nothing to judge"),
        }
    };
    let leader = Arc::new(LeaderWatch::start(
        stage.system.clone(),
        stage.specs.clone(),
    ));
    let hands = Hands {
        system: stage.system.clone(),
        specs: stage.specs.clone(),
        keys: stage.keys.clone(),
        expected: Expected::of(&stage.info, cluster.clone()),
        changes: Changes::default(),
    };
    let rollout = Arc::new(rollout(stage, &hands));
    let setup = Setup {
        options: stage.plan.workloads.clone(),
        seed: stage.plan.seed,
        connect: stage
            .system
            .connect(&stage.specs, Canary::of_seed(stage.plan.seed)),
        leader: leader.clone(),
        nodes: stage.plan.cluster.nodes,
        recorder: stage.recorder.clone(),
    };
    stage.recorder.phase(Phase::Main)?;
    let summary = main_phase(
        stage,
        &setup,
        Around {
            cluster: cluster.clone(),
            leader,
            hands: &hands,
            rollout: &rollout,
            requests: evidence.as_ref().map(Evidence::requests),
        },
        stopped,
    )
    .await?;
    stage.phase_done("main");
    for workload in &summary.workloads {
        if let Some(bug) = &workload.first_client_bug {
            eprintln!(
                "warning: {} operations of {} hit a bug of a client: {bug}",
                workload.client_bugs, workload.name
            );
        }
    }
    repair(stage, &cluster, &hands, &rollout).await?;
    stage.recorder.phase(Phase::Final)?;
    let reads = keyquake_workloads::final_reads(&setup, &summary, FINAL_WITHIN).await?;
    if !reads.keys_unread.is_empty() {
        eprintln!(
            "warning: {} keys could not be read back at the end",
            reads.keys_unread.len()
        );
    }
    stage.recorder.phase(Phase::End)?;
    if let Some(evidence) = evidence {
        evidence.finish().await?;
    }
    stage
        .recorder
        .close()
        .await
        .context("failed to finish the history")?;
    stage.phase_done("final");
    Ok(())
}

/// What is known of the rollout when the workloads begin. A store whose releases have names of
/// their own has no model: then only what the plan says of a step is expected.
fn rollout(stage: &Stage, hands: &Hands) -> Rollout {
    let setups = stage.members().iter().map(|spec| hands.setup(spec));
    let setups: Result<Vec<_>, _> = setups.collect();
    let calls = stage.plan.cluster.encryption.changes();
    let (nodes, spares) = (stage.plan.cluster.nodes, stage.plan.cluster.spares);
    setups.map_or_else(
        |_| Rollout::unmodelled(nodes, spares),
        |setups| Rollout::begun(&setups, spares, calls),
    )
}

/// Brings the cluster to where the workloads begin.
async fn begin(stage: &mut Stage) -> anyhow::Result<(Arc<Cluster>, Option<Evidence>)> {
    let cluster = stage.raise().await?;
    stage.phase_done("start");
    let evidence = match stage.keys {
        Some(_) => Some(Evidence::begin(stage, &cluster)?),
        None => None,
    };
    stage.encrypt().await?;
    Ok((cluster, evidence))
}

/// What the main phase goes on in.
struct Around<'a> {
    cluster: Arc<Cluster>,
    leader: Arc<LeaderWatch>,
    hands: &'a Hands,
    rollout: &'a Arc<Rollout>,
    /// `None` where no evidence is collected.
    requests: Option<Requests>,
}

/// Workloads and nemesis side by side, for the plan's time or until stopped.
async fn main_phase(
    stage: &Stage,
    setup: &Setup,
    around: Around<'_>,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<RunSummary> {
    let Around {
        cluster,
        leader,
        hands,
        rollout,
        requests,
    } = around;
    let asked = Asked {
        system: stage.system.clone(),
        specs: stage.specs.clone(),
    };
    let watcher = Watch::of(stage.recorder.clone(), &stage.specs);
    let sink = Collecting {
        history: HistorySink(stage.recorder.clone()),
        requests: requests.clone(),
    };
    let active = ActiveFaults::default();
    let shown = tokio::spawn(show(stage, active.clone(), leader));
    let watched = tokio::spawn(watch_exits(
        cluster.clone(),
        stage.recorder.clone(),
        active.clone(),
        rollout.clone(),
        requests,
    ));
    let workloads = keyquake_workloads::run(setup, stopped.clone(), stage.plan.time);
    let nemesis = keyquake_nemesis::run(
        &stage.plan.faults,
        cluster,
        Surroundings {
            leader: &asked,
            health: &asked,
            operator: hands,
            rollout,
            watcher: &watcher,
        },
        &sink,
        &active,
        stopped,
    );
    let (summary, _) = tokio::join!(workloads, nemesis);
    for task in [shown, watched] {
        task.abort();
        let _ = task.await;
    }
    Ok(summary?)
}

/// Puts into the history every end of a node that no fault explains.
async fn watch_exits(
    cluster: Arc<Cluster>,
    recorder: Recorder,
    active: ActiveFaults,
    rollout: Arc<Rollout>,
    requests: Option<Requests>,
) {
    let watches = (0..cluster.node_count()).map(|node| {
        let (cluster, recorder, active) = (cluster.clone(), recorder.clone(), active.clone());
        let (rollout, requests) = (rollout.clone(), requests.clone());
        async move {
            loop {
                // A spare may be started at any time.
                while !cluster.status(node).is_up() {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                let Ok(ending) = cluster.wait_exit(node).await else {
                    return;
                };
                let ours = active
                    .now()
                    .iter()
                    .any(|fault| explains(fault, node, ending))
                    || rollout.explains(node);
                if ours {
                    continue;
                }
                if let Some(requests) = &requests {
                    requests.finding(format!("{} {ending}", cluster.id(node)));
                }
                if recorder.record_exit(node, ending.to_string()).is_err() {
                    return;
                }
            }
        }
    });
    futures_util::future::join_all(watches).await;
}

/// Whether a fault in force ends this node so.
fn explains(fault: &ActiveFault, node: u16, ending: Ending) -> bool {
    let expected = match (fault.name, ending) {
        (FaultName::Kill | FaultName::CrashLoop, Ending::Signal(signal)) => signal == SIGKILL,
        // Asked to end, and killed if it takes its time; some take SIGTERM as a reason to exit.
        (
            FaultName::Roll | FaultName::Restart | FaultName::Save | FaultName::Member,
            Ending::Signal(signal),
        ) => [SIGTERM, SIGKILL].contains(&signal),
        (
            FaultName::Roll | FaultName::Restart | FaultName::Save | FaultName::Member,
            Ending::Code(0),
        ) => true,
        (FaultName::MemoryLimit, Ending::OutOfMemory) => true,
        // A store that can't write may give up, in whatever way it does.
        (FaultName::FullDisk, Ending::Code(_)) => true,
        (FaultName::FullDisk, Ending::Signal(signal)) => [SIGABRT, SIGBUS].contains(&signal),
        _ => false,
    };
    expected && fault.nodes.contains(&node)
}

/// Starts the nodes that are down: after the last fault all have to serve.
async fn repair(
    stage: &Stage,
    cluster: &Cluster,
    hands: &Hands,
    rollout: &Rollout,
) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + REPAIR_WITHIN;
    for spec in &stage.specs {
        if rollout.is_outside(spec.index) {
            continue;
        }
        if !cluster.status(spec.index).is_up() {
            let now = cluster.spec(spec.index).await?;
            if hands
                .setup(&now)
                .is_ok_and(|setup| !rollout.would_serve(spec.index, setup))
            {
                eprintln!(
                    "{} stays down: by the tables of the rollout it can't serve",
                    spec.id
                );
                continue;
            }
            cluster.start(spec.index).await?;
        }
        // One that can't be repaired is seen by the final reads, and by AVAIL.
        if let Err(error) = stage.ready(cluster, spec, deadline).await {
            eprintln!("warning: {error:#}");
        }
    }
    Ok(())
}

/// Shows progress until it is aborted.
fn show(
    stage: &Stage,
    active: ActiveFaults,
    leader: Arc<LeaderWatch>,
) -> impl Future<Output = ()> + Send + use<> {
    let names = stage
        .plan
        .workloads
        .iter()
        .map(|workload| workload.name)
        .collect();
    let mut progress = Ended(Progress::new(names, stage.plan.time));
    let recorder: Recorder = stage.recorder.clone();
    let ids: Vec<_> = stage.specs.iter().map(|spec| spec.id.clone()).collect();
    async move {
        let began = tokio::time::Instant::now();
        let name = |node: u16| ids.get(usize::from(node)).cloned().unwrap_or_default();
        loop {
            tokio::time::sleep(progress.0.interval()).await;
            let faults: Vec<_> = active
                .now()
                .iter()
                .map(|fault| {
                    let nodes: Vec<_> = fault.nodes.iter().map(|node| name(*node)).collect();
                    format!("{} {}", fault.title, nodes.join(" "))
                })
                .collect();
            let fault = Some(faults.join(", ")).filter(|faults| !faults.is_empty());
            progress.0.show(&Moment {
                elapsed: began.elapsed(),
                live: recorder.snapshot(),
                fault,
                leader: leader.leader().map(name),
            });
        }
    }
}

/// Takes the progress line away, however its task ends.
struct Ended(Progress);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Turns Ctrl-C or SIGTERM into an early end; returns what it was.
async fn stop_on_signal(stop: watch::Sender<bool>) -> anyhow::Result<String> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let reason = tokio::select! {
        _ = interrupt.recv() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
    };
    eprintln!("{reason}: ending early; what there is will be judged");
    stop.send_replace(true);
    Ok(reason.to_owned())
}
