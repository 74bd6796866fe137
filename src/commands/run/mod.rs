//! `keyquake run`: start a cluster, break it, judge it.
//!
//! [`stage`] makes what a run needs, [`drive`] lets workloads and nemesis loose
//! on it, [`conclude`] judges and writes the report. The history is on disk
//! before it is judged, so that a broken checker never costs a run.

mod conclude;
mod disks;
mod docker;
mod drive;
mod evidence;
mod info;
mod stage;

use std::time::Instant;

use anyhow::{Context, anyhow};
use keyquake_cluster::{
    Groups, NetworkKind, NetworkMode, enter_own_mounts, enter_own_network, journal,
};
use keyquake_docker::ContainerUndoer;
use keyquake_systems::SystemName;

use crate::cli::{NetworkArg, RunArgs};
use crate::exit::{Done, Failure, input};
use crate::plan::{Plan, RuntimeName};
use crate::wiring;

/// Runs a plan from its start to its verdict.
pub fn run(args: Box<RunArgs>) -> Result<Done, Failure> {
    let begun = Instant::now();
    let mut given = args
        .plan
        .as_deref()
        .map(Plan::read)
        .transpose()
        .map_err(input)?;
    if let (Some(plan), Some(runtime)) = (&mut given, args.shape.runtime) {
        plan.set_runtime(runtime).map_err(input)?;
    }
    let programs = args.programs.given().map_err(input)?;
    if given.is_none() {
        // Refuse bad words before anything is made.
        Plan::draw(&args.shape, &programs, None).map_err(input)?;
    }
    heal_dead_runs(&args)?;
    let runtime = given
        .as_ref()
        .map(|plan| plan.cluster.runtime)
        .or(args.shape.runtime);
    let network = match runtime.unwrap_or_default() {
        RuntimeName::Docker => docker::network(),
        RuntimeName::Process => {
            let mode = given
                .as_ref()
                .map_or_else(|| mode_of(args.shape.network), |plan| plan.cluster.network);
            enter_own_network(mode)?
        }
    };
    let plan = match given {
        Some(plan) => plan,
        None => Plan::draw(&args.shape, &programs, Some(&network)).map_err(input)?,
    };
    check_fit(&plan, &network, &args)?;
    if plan.cluster.disk.is_some() && plan.cluster.runtime.is_process() {
        enter_own_mounts()?;
    }
    let unfaulted = args.plan.is_none() && args.shape.faults != ["none"] && plan.faults.is_empty();
    if unfaulted {
        eprintln!(
            "warning: {} is too short for any fault, so none will be tried",
            humantime::format_duration(plan.time)
        );
    }
    // Only now may threads be started.
    let runtime = tokio::runtime::Runtime::new().context("failed to start the async runtime")?;
    let outcome = runtime.block_on(session(plan, network, &args, begun));
    // Clients of nodes that are gone may still wait for an answer.
    runtime.shutdown_background();
    outcome
}

async fn session(
    plan: Plan,
    network: NetworkKind,
    args: &RunArgs,
    begun: Instant,
) -> Result<Done, Failure> {
    let docker = match plan.cluster.runtime {
        RuntimeName::Docker => Some(docker::Docker::prepare(&plan, args).await?),
        RuntimeName::Process => None,
    };
    let network = docker.as_ref().map_or(network, docker::Docker::kind);
    let mut stage = stage::Stage::set(plan, network, docker, args, begun)?;
    let driven = drive::drive(&mut stage).await;
    // Whatever happened, nothing of the cluster may stay.
    let cleared = stage.clear().await;
    driven?;
    cleared?;
    conclude::conclude(stage, args)
}

fn heal_dead_runs(args: &RunArgs) -> anyhow::Result<()> {
    let dir = wiring::journal_dir(&args.results.root);
    let report = journal::heal(&dir, &[&ContainerUndoer])
        .with_context(|| format!("failed to read the heal journals in {}", dir.display()))?;
    if !report.is_empty() {
        eprint!("{report}");
    }
    Ok(())
}

fn mode_of(network: NetworkArg) -> NetworkMode {
    match network {
        NetworkArg::Auto => NetworkMode::Auto,
        NetworkArg::Namespace => NetworkMode::Namespace,
        NetworkArg::Loopback => NetworkMode::Loopback,
    }
}

/// Refuses a plan that this network or these words can't serve, and says what
/// the network costs.
fn check_fit(plan: &Plan, network: &NetworkKind, args: &RunArgs) -> Result<(), Failure> {
    if let Some(why) = network.capabilities().why_not {
        if plan.needs_links() {
            return Err(Failure::Suite(anyhow!(
                "the plan partitions the cluster, which needs network namespaces, and there are none: {why}; \
                 or leave partitions out (--faults kill,pause)"
            )));
        }
        eprintln!("network: loopback, so no partitions ({why})");
    }
    if plan.cluster.runtime.is_process()
        && plan.needs_groups()
        && let Err(error) = Groups::possible()
    {
        return Err(Failure::Suite(anyhow!(
            "the plan limits processor time or memory of nodes, which needs control groups: {error}; run as root \
             where /sys/fs/cgroup can be written to, or in containers (--runtime docker), or leave slow-cpu and memory-limit out"
        )));
    }
    if plan.cluster.runtime.is_process() && !args.programs.image.is_empty() {
        return Err(input(anyhow!("--image is for --runtime docker")));
    }
    if plan.cluster.system == SystemName::Reference && !args.programs.binary.is_empty() {
        return Err(input(anyhow!(
            "--binary is for --system elastickv; the reference store is built in"
        )));
    }
    Ok(())
}
