//! Everything a run needs, made in the order in which it can be undone.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use keyquake_cluster::journal::Journal;
use keyquake_cluster::{
    Cluster, Disks, Groups, Network, NetworkKind, NodeSpec, ProcessRuntime, Runtime,
};
use keyquake_results::{PhaseTiming, RunFolder, RunInfo, Runs};
use keyquake_systems::{System, SystemError, SystemOptions, system_of};
use keyquake_workloads::Recorder;

use super::disks;
use super::docker::Docker;
use super::info::{binaries, programs, run_info};
use crate::cli::RunArgs;
use crate::exit::{Failure, input};
use crate::keys::{Keys, told};
use crate::plan::{Encryption, Plan};
use crate::wiring::{self, Given};

/// How long a node that is asked to end may take before it is killed.
const GRACE: Duration = Duration::from_millis(500);

/// A run that is set up: folder, journal, store. The cluster comes with [`Stage::raise`].
pub struct Stage {
    pub plan: Plan,
    pub folder: RunFolder,
    pub info: RunInfo,
    pub system: Arc<dyn System>,
    pub specs: Vec<NodeSpec>,
    pub recorder: Recorder,
    /// `None` if the plan needs none.
    pub keys: Option<Arc<Keys>>,
    network: NetworkKind,
    /// `None` on processes.
    docker: Option<Docker>,
    journal: Arc<Journal>,
    /// The nodes' control groups; `None` if no fault needs them.
    groups: Option<Arc<Groups>>,
    /// The nodes' disks; `None` if they lie in the run's folder like everything else.
    disks: Option<Arc<Disks>>,
    cluster: Option<Arc<Cluster>>,
    /// When the command began: time zero of logs and history.
    begun: Instant,
    /// When the phase now under way began.
    phase_began: Instant,
}

impl Stage {
    /// Makes the run's folder with all that is known before the start.
    pub fn set(
        plan: Plan,
        network: NetworkKind,
        mut docker: Option<Docker>,
        args: &RunArgs,
        begun: Instant,
    ) -> Result<Stage, Failure> {
        let given = Given::read("--binary", &args.programs.binary).map_err(input)?;
        let system = system_of(plan.cluster.system, programs(&given, docker.is_some()));
        let options = SystemOptions {
            release: Some(plan.cluster.release.clone()),
            node_releases: plan.cluster.releases.clone(),
            spares: plan.cluster.spares,
            collide: plan.cluster.collide,
            bugs: plan.cluster.bugs.clone(),
            encryption: plan.cluster.encryption != Encryption::Off,
            first_port: plan.cluster.first_port,
            snapshot_every: plan.cluster.snapshot_every,
            env: Vec::new(),
        };
        // Rehearsed in a folder that is not there, so that a refusal leaves no run behind.
        let specs = system
            .prepare(plan.cluster.nodes, &args.results.root, &network, &options)
            .map_err(classed)?;
        wiring::check_words(&plan, system.as_ref()).map_err(input)?;
        let all = wiring::rehearse(&plan, system.as_ref(), &specs).map_err(input)?;
        let binaries = binaries(&plan, &all, &given)?;
        let images = docker.as_ref().map(|docker| docker.images_of(&all));
        let images = images.transpose()?.unwrap_or_default();
        let folder = Runs::at(&args.results.root).create(plan.seed, Timestamp::now())?;
        let path = folder
            .path()
            .canonicalize()
            .context("failed to find the run folder that was just made")?;
        let specs = system
            .prepare(plan.cluster.nodes, &path, &network, &options)
            .map_err(classed)?;
        folder.write_plan(&plan.to_toml()?)?;
        let mut info = run_info(&plan, &folder, &specs, &network, args);
        (info.binaries, info.images) = (binaries, images);
        let mut keys = None;
        if plan.needs_keys() {
            let (made, about) = Keys::make(&path, &specs, plan.cluster.encryption)?;
            keys = Some(Arc::new(made));
            info.encryption = Some(about);
        }
        folder.write_run(&info)?;
        let recorder = Recorder::create(&folder.history(), begun)?;
        let journal = Arc::new(Journal::open(
            &wiring::journal_dir(&args.results.root),
            folder.id(),
        )?);
        if let Some(docker) = &mut docker {
            docker.begin(folder.id(), &path, plan.all_nodes(), &journal, begun);
        }
        eprintln!(
            "run {}: seed {}, {} faults planned",
            folder.id(),
            plan.seed,
            plan.faults.len()
        );
        Ok(Stage {
            plan,
            folder,
            info,
            system,
            specs,
            recorder,
            keys,
            network,
            docker,
            journal,
            groups: None,
            disks: None,
            cluster: None,
            begun,
            phase_began: begun,
        })
    }

    /// Starts all nodes and waits until the cluster serves.
    pub async fn raise(&mut self) -> anyhow::Result<Arc<Cluster>> {
        let (runtime, network) = self.ground().await?;
        let folder = self.folder.path().canonicalize()?;
        self.disks = disks::make(&self.plan, &folder, &self.specs, &self.journal).await?;
        let specs = self.specs.clone();
        let mut cluster = Cluster::new(runtime, network, specs, self.journal.clone())?;
        if let Some(disks) = &self.disks {
            cluster = cluster.with_disks(disks.clone());
        }
        let cluster = Arc::new(cluster);
        self.cluster = Some(cluster.clone());
        cluster.start_first(self.plan.cluster.nodes).await?;
        let deadline = tokio::time::Instant::now() + wiring::START_WITHIN;
        for spec in self.members() {
            self.ready(&cluster, spec, deadline).await?;
        }
        self.system.serving(self.members(), deadline).await?;
        Ok(cluster)
    }

    /// The nodes that are members to begin with; spares stand behind them.
    pub fn members(&self) -> &[NodeSpec] {
        let count = usize::from(self.plan.cluster.nodes);
        self.specs.get(..count).unwrap_or(&self.specs)
    }

    /// What runs the nodes, and the network that they live in.
    async fn ground(&mut self) -> anyhow::Result<(Arc<dyn Runtime>, Arc<Network>)> {
        if let Some(docker) = &self.docker {
            return docker.raise().await;
        }
        let network = Arc::new(Network::build(&self.network, self.plan.all_nodes()).await?);
        let marker = self.journal.marker();
        let mut runtime = ProcessRuntime::new(network.clone(), marker, self.begun)?;
        if self.plan.needs_groups() {
            let names: Vec<_> = self.specs.iter().map(|spec| spec.id.clone()).collect();
            let groups = Arc::new(Groups::make(&self.journal, &names)?);
            self.groups = Some(groups.clone());
            runtime = runtime.grouped(groups);
        }
        Ok((Arc::new(runtime), network))
    }

    /// Takes the cluster as far into its encryption as the plan wants before the workloads.
    pub async fn encrypt(&mut self) -> anyhow::Result<()> {
        let changes = self.plan.cluster.encryption.changes();
        let (Some(keys), false) = (self.keys.clone(), changes.is_empty()) else {
            return Ok(());
        };
        for change in changes {
            let step = keys.step(*change).await?;
            if let Some(info) = &mut self.info.encryption {
                info.steps.push(step);
            }
            // At once, so that a run that is killed has its indexes too.
            self.folder.write_run(&self.info)?;
        }
        if let Some(info) = &self.info.encryption {
            eprintln!("encryption: {}", told(&info.steps));
        }
        self.phase_done("encrypt");
        Ok(())
    }

    /// Waits for a node, but not longer than it lives.
    pub async fn ready(
        &self,
        cluster: &Cluster,
        spec: &NodeSpec,
        deadline: tokio::time::Instant,
    ) -> anyhow::Result<()> {
        tokio::select! {
            ready = self.system.ready(spec, deadline) => Ok(ready?),
            ending = cluster.wait_exit(spec.index) => anyhow::bail!(
                "{} {} while it was started; its last words:\n{}", spec.id, ending?, last_words(&spec.log_dir, &spec.id)
            ),
        }
    }

    /// Notes that a phase of the run is over.
    pub fn phase_done(&mut self, name: &str) {
        let now = Instant::now();
        let ms = now.duration_since(self.phase_began).as_millis() as u64;
        self.info.phases.push(PhaseTiming {
            name: name.to_owned(),
            ms,
        });
        self.phase_began = now;
    }

    /// Ends all nodes and closes the heal journal. May be called at any time.
    pub async fn clear(&mut self) -> anyhow::Result<()> {
        let stopped = match self.cluster.take() {
            Some(cluster) => cluster.shutdown(GRACE).await,
            None => Ok(()),
        };
        if let Some(docker) = &self.docker {
            docker.clear().await?;
        }
        stopped?;
        if let Some(groups) = &self.groups {
            groups.clear(&self.journal)?;
        }
        if let Some(disks) = &self.disks {
            disks::clear(disks, &self.journal).await?;
        }
        self.recorder.close().await?;
        self.journal.finish()?;
        Ok(())
    }
}

/// A store that can't be used as asked is the user's to mend; the rest is ours.
fn classed(error: SystemError) -> Failure {
    match error {
        SystemError::Io { .. }
        | SystemError::PortTaken { .. }
        | SystemError::NoFreePorts { .. } => Failure::Suite(error.into()),
        _ => input(error),
    }
}

/// The end of a node's log, for an error message.
fn last_words(logs: &Path, node: &str) -> String {
    let path = logs.join(format!("{node}.log"));
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let lines: Vec<_> = text.lines().rev().take(5).collect();
            lines
                .into_iter()
                .rev()
                .map(|line| format!("  {line}"))
                .collect::<Vec<_>>()
                .join("\n")
        }
        Err(error) => format!("  (its log {} can't be read: {error})", path.display()),
    }
}
