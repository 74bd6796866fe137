//! The plan: everything a run does, explicit, in one file that a person can
//! read, change and run again (`docs/formats.md`).

mod disk;
mod encryption;
mod lines;
mod night;
mod runtime;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use keyquake_cluster::{Groups, NetworkKind, NetworkMode};
use keyquake_nemesis::{Details, FaultName, PlannedFault};
use keyquake_rollout::FlagChange;
use keyquake_systems::SystemName;
use keyquake_workloads::{WorkloadName, WorkloadOptions};
use serde::{Deserialize, Serialize};

pub use self::disk::DiskSize;
pub use self::encryption::Encryption;
pub use self::runtime::RuntimeName;
use crate::cli::{NetworkArg, ShapeArgs, SystemArg};
use crate::wiring::Given;

/// The version of the plan's format that this binary writes and reads.
pub const FORMAT: u32 = 1;

/// The release of a node of the reference store that the plan says nothing about.
const DEFAULT_RELEASE: &str = "6f";
/// What stands for the release of a program that nobody named one for.
const UNNAMED_RELEASE: &str = "unnamed";

/// A whole plan, as in `plan.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of this file's format.
    pub format: u32,
    /// Where everything random in the run comes from.
    pub seed: u64,
    /// How long the workloads run.
    #[serde(with = "duration_text")]
    pub time: Duration,
    /// What is started.
    pub cluster: ClusterPlan,
    /// What the clients do.
    pub workloads: Vec<WorkloadOptions>,
    /// What the nemesis does, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<PlannedFault>,
}

/// The cluster of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterPlan {
    /// The store under test.
    pub system: SystemName,
    /// How many nodes; they are called n1, n2, ….
    pub nodes: u16,
    /// How many more nodes wait to be added by a `member` step; they are called after the others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub spares: u16,
    /// Whether the first of them has an id that shares its 16 bits with n1's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub collide: bool,
    /// `process` or `docker`.
    #[serde(default, skip_serializing_if = "RuntimeName::is_process")]
    pub runtime: RuntimeName,
    /// `auto`, `namespace` or `loopback`.
    #[serde(default)]
    pub network: NetworkMode,
    /// The release of every node that `releases` does not name.
    #[serde(default = "default_release")]
    pub release: String,
    /// How much of its encryption is in force when the workloads begin.
    #[serde(default)]
    pub encryption: Encryption,
    /// On loopback: the first port to use. Left out, free ports are looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_port: Option<u16>,
    /// After how many entries nodes take a snapshot and cut their log. Left out: the store's own
    /// choice.
    #[serde(
        rename = "snapshot-every",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub snapshot_every: Option<u64>,
    /// The size of each node's disk (`256MiB`), which `full-disk` needs. Left out, data lies in the
    /// run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskSize>,
    /// Seeded bugs of the reference store to switch on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bugs: Vec<String>,
    /// Releases by node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub releases: BTreeMap<String, String>,
}

fn is_zero(count: &u16) -> bool {
    *count == 0
}

fn default_release() -> String {
    DEFAULT_RELEASE.to_owned()
}

impl Plan {
    /// Draws the plan of a seed. Where no faults are named, those that `network`
    /// can't have are left out; without a network, none is. What programs were given says
    /// which releases there are of a store that is not ours.
    pub fn draw(
        shape: &ShapeArgs,
        programs: &Given,
        network: Option<&NetworkKind>,
    ) -> anyhow::Result<Plan> {
        let seed = shape
            .seed
            .unwrap_or_else(|| u64::from(rand::random::<u32>()));
        let links = network.is_none_or(|network| network.capabilities().links);
        let groups = match network {
            Some(NetworkKind::Namespace | NetworkKind::Loopback { .. }) => {
                Groups::possible().is_ok()
            }
            Some(NetworkKind::Container { .. }) | None => true,
        };
        let (operator, named) = night::split(&shape.faults)?;
        let enabled = match named.as_slice() {
            [] if operator => Vec::new(),
            [] => FaultName::ALL
                .into_iter()
                .filter(|fault| !fault.info().step && !fault.only_by_name())
                .filter(|fault| links || !fault.info().needs_links)
                .filter(|fault| groups || !fault.needs_groups())
                .collect(),
            named => fault_names(named)?,
        };
        let (release, releases) = releases(&shape.release)?;
        let release = release.unwrap_or_else(|| match shape.system {
            SystemArg::Reference => default_release(),
            SystemArg::Elastickv => UNNAMED_RELEASE.to_owned(),
        });
        let mut plan = Plan {
            format: FORMAT,
            seed,
            time: shape.time,
            cluster: ClusterPlan {
                system: match shape.system {
                    SystemArg::Reference => SystemName::Reference,
                    SystemArg::Elastickv => SystemName::Elastickv,
                },
                nodes: shape.nodes,
                spares: if operator {
                    night::spares(shape.nodes)
                } else {
                    0
                },
                collide: false,
                runtime: shape.runtime.unwrap_or_default(),
                network: match shape.network {
                    NetworkArg::Auto => NetworkMode::Auto,
                    NetworkArg::Namespace => NetworkMode::Namespace,
                    NetworkArg::Loopback => NetworkMode::Loopback,
                },
                release,
                encryption: shape.encryption,
                first_port: shape.first_port,
                snapshot_every: None,
                disk: enabled
                    .contains(&FaultName::FullDisk)
                    .then_some(DiskSize::DEFAULT),
                bugs: shape.bug.clone(),
                releases,
            },
            workloads: workloads(shape)?,
            faults: Vec::new(),
        };
        plan.faults = if operator {
            let beginning = night::beginning(&plan.cluster, programs)?;
            keyquake_nemesis::draw_night(seed, shape.time, &enabled, &beginning)
        } else {
            keyquake_nemesis::draw(seed, shape.time, shape.nodes, &enabled)
        };
        plan.validate()?;
        Ok(plan)
    }

    /// Reads a plan from a file, and refuses what could not be run.
    pub fn read(path: &Path) -> anyhow::Result<Plan> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("failed to read the plan {}", path.display()))?;
        Plan::parse(&text).with_context(|| format!("the plan {} can't be used", path.display()))
    }

    /// Reads a plan from its text.
    pub fn parse(text: &str) -> anyhow::Result<Plan> {
        // The version comes first: a newer plan may differ in any other way.
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head = toml::from_str(text)?;
        ensure!(
            head.format <= FORMAT,
            "it has format {}, this keyquake knows up to {FORMAT}; use the keyquake that wrote it",
            head.format
        );
        let plan: Plan = toml::from_str(text)?;
        let valid = plan.validate();
        valid.map_err(|error| lines::with_line(error, text))?;
        Ok(plan)
    }

    /// The plan as the text of `plan.toml`.
    pub fn to_toml(&self) -> anyhow::Result<String> {
        Ok(toml::to_string(self)?)
    }

    /// Whether the run needs keys.
    pub fn needs_keys(&self) -> bool {
        let turns = |step: &PlannedFault| match &step.details {
            // Whatever it names has to be there, or be known not to be.
            Details::Roll(roll) | Details::Member(_, roll) => {
                roll.flags != FlagChange::default() || !roll.tampers.is_empty()
            }
            Details::Admin(_) => true,
            Details::None => false,
        };
        self.cluster.encryption != Encryption::Off || self.faults.iter().any(turns)
    }

    /// Its members to begin with, and its spares.
    pub fn all_nodes(&self) -> u16 {
        self.cluster.nodes + self.cluster.spares
    }

    /// Whether some fault of the plan cuts links between nodes.
    pub fn needs_links(&self) -> bool {
        self.faults
            .iter()
            .any(|planned| planned.fault.info().needs_links)
    }

    /// Whether some fault of the plan limits what a node may use.
    pub fn needs_groups(&self) -> bool {
        self.faults
            .iter()
            .any(|planned| planned.fault.needs_groups())
    }

    /// Says where the plan runs, whatever it said itself.
    pub fn set_runtime(&mut self, runtime: RuntimeName) -> anyhow::Result<()> {
        self.cluster.runtime = runtime;
        self.validate()
    }

    fn validate(&self) -> anyhow::Result<()> {
        let nodes = self.cluster.nodes;
        ensure!(
            self.cluster.runtime.is_process()
                || (self.cluster.network == NetworkMode::Auto && self.cluster.first_port.is_none()),
            "with runtime docker the nodes live on a network that Docker makes: leave out network and first-port"
        );
        ensure!(
            (1..=9).contains(&nodes),
            "a cluster has 1 to 9 nodes, not {nodes}"
        );
        let spares = self.cluster.spares;
        ensure!(
            spares <= 9 - nodes,
            "{nodes} nodes and {spares} spares are more than the 9 that there can be"
        );
        ensure!(
            !self.cluster.collide || spares > 0,
            "`collide` is for the first spare node, and there is none: add `spares = 1`"
        );
        let all = nodes + spares;
        ensure!(
            self.time >= Duration::from_secs(1) && self.time <= Duration::from_secs(7 * 24 * 3600),
            "the time must be from 1s to 7days, not {}",
            humantime::format_duration(self.time)
        );
        ensure!(
            !self.workloads.is_empty(),
            "there is no workload, so nothing could be judged; name one: register, append"
        );
        let names: std::collections::BTreeSet<_> = self
            .workloads
            .iter()
            .map(|workload| workload.name)
            .collect();
        ensure!(
            names.len() == self.workloads.len(),
            "a workload stands in the plan twice; each may be there once"
        );
        for node in self.cluster.releases.keys() {
            let known = (0..all)
                .map(keyquake_cluster::node_name)
                .any(|name| name == *node);
            ensure!(
                known,
                "a release is given for {node}, but the nodes are n1 to n{all}"
            );
        }
        ensure!(
            self.cluster.snapshot_every != Some(0),
            "snapshot-every counts entries of the log, so it must be 1 or more"
        );
        let fills = |planned: &PlannedFault| planned.fault == FaultName::FullDisk;
        ensure!(
            self.cluster.disk.is_some() || !self.faults.iter().any(fills),
            "full-disk needs disks that can be full: put disk = \"256MiB\" into [cluster]"
        );
        let end = keyquake_nemesis::validate_with_spares(&self.faults, nodes, spares)?;
        ensure!(
            end <= self.time,
            "the last fault is held until {}, after the end of the run at {}{}",
            humantime::format_duration(end),
            humantime::format_duration(self.time),
            match self.faults.iter().any(|fault| fault.when.is_some()) {
                true => "; a moment may come as late as its `within` (10s if it says none)",
                false => "",
            }
        );
        Ok(())
    }
}

/// `kill,partition` as fault names; a family stands for all of it, `none` for nothing.
fn fault_names(words: &[String]) -> anyhow::Result<Vec<FaultName>> {
    let words: Vec<_> = words.iter().filter(|word| !word.is_empty()).collect();
    if words.iter().any(|word| *word == "none") {
        ensure!(
            words.len() == 1,
            "--faults none can't be combined with other faults"
        );
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for word in words {
        for name in FaultName::family(word)? {
            ensure!(
                !name.info().step,
                "`{name}` is a step and can't be drawn by itself: `{}` draws all steps, or write it into a \
                 plan (docs/faults.md)",
                night::OPERATOR
            );
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// `6b` or `n1=6a,n2=6b` as the release of all and those of some.
fn releases(words: &[String]) -> anyhow::Result<(Option<String>, BTreeMap<String, String>)> {
    let mut all = None;
    let mut some = BTreeMap::new();
    for word in words {
        match word.split_once('=') {
            Some((node, release)) => {
                let before = some.insert(node.to_owned(), release.to_owned());
                ensure!(before.is_none(), "--release names {node} twice");
            }
            None => ensure!(
                all.replace(word.clone()).is_none(),
                "--release gives two releases for all nodes"
            ),
        }
    }
    Ok((all, some))
}

fn workloads(shape: &ShapeArgs) -> anyhow::Result<Vec<WorkloadOptions>> {
    shape
        .workload
        .iter()
        .map(|word| {
            let mut options = WorkloadOptions::of(word.parse()?);
            options.rate = shape.rate.unwrap_or(options.rate);
            options.clients = shape.clients.unwrap_or(options.clients);
            if let Some(protocol) = &shape.protocol {
                options.protocol = protocol.parse()?;
            }
            if let Some(target) = &shape.target {
                options.target = target.parse()?;
            }
            options.cas = shape.cas && options.name == WorkloadName::Register;
            options.check()?;
            Ok(options)
        })
        .collect()
}

/// Durations as people write them: `30s`, `2m 30s`.
mod duration_text {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*time))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|error| {
            D::Error::custom(format!(
                "{text:?} is no duration ({error}); write for example \"30s\""
            ))
        })
    }
}
