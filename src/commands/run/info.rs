//! What `run.json` says about a run before it begins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use keyquake_cluster::{NetworkKind, NodeSpec};
use keyquake_results::{
    BinaryInfo, NetworkInfo, NodeInfo, RUN_FORMAT, RunFolder, RunInfo, digest_file,
};
use keyquake_systems::{Programs, SystemName};

use crate::cli::RunArgs;
use crate::host;
use crate::plan::{Plan, RuntimeName};
use crate::wiring::Given;

/// All that is known without a look at programs and images.
pub fn run_info(
    plan: &Plan,
    folder: &RunFolder,
    specs: &[NodeSpec],
    network: &NetworkKind,
    args: &RunArgs,
) -> RunInfo {
    let (kind, cost) = match network {
        NetworkKind::Namespace => ("namespace", None),
        NetworkKind::Container { .. } => ("container", None),
        NetworkKind::Loopback { why } => ("loopback", Some(format!("no partitions: {why}"))),
    };
    RunInfo {
        format: RUN_FORMAT,
        id: folder.id().to_owned(),
        seed: plan.seed,
        command: repeat_command(folder, args),
        system: plan.cluster.system.to_string(),
        nodes: specs
            .iter()
            .map(|spec| NodeInfo {
                id: spec.id.clone(),
                release: spec.release.clone(),
            })
            .collect(),
        runtime: plan.cluster.runtime.to_string(),
        network: NetworkInfo {
            kind: kind.to_owned(),
            cost,
        },
        host: host::facts(),
        binaries: Vec::new(),
        images: Vec::new(),
        encryption: None,
        started: Timestamp::now(),
        phases: Vec::new(),
        ended_early: None,
        suite_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The programs as the store is started from them.
pub fn programs(given: &Given, images: bool) -> Programs {
    let path = |path: &String| PathBuf::from(path);
    let by_release = given.by_release.iter();
    Programs {
        by_release: by_release
            .map(|(release, given)| (release.clone(), path(given)))
            .collect(),
        other: given.other.as_ref().map(path),
        images,
    }
}

/// Every program of the plan, with the releases that it is.
pub fn binaries(plan: &Plan, all: &[NodeSpec], given: &Given) -> anyhow::Result<Vec<BinaryInfo>> {
    let mut programs: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for spec in all {
        let in_image = plan.cluster.runtime == RuntimeName::Docker
            && plan.cluster.system != SystemName::Reference;
        let path = match in_image {
            false => Some(spec.launch.program.clone()),
            // One that an image was made of.
            true => {
                let named = given.by_release.get(&spec.release.to_ascii_lowercase());
                named.or(given.other.as_ref()).map(PathBuf::from)
            }
        };
        if let Some(path) = path {
            programs
                .entry(path)
                .or_default()
                .insert(spec.release.clone());
        }
    }
    let info = |(path, releases): (PathBuf, BTreeSet<String>)| {
        Ok(BinaryInfo {
            path: path.display().to_string(),
            digest: digest_file(&path)?,
            releases: releases.into_iter().collect(),
        })
    };
    programs.into_iter().map(info).collect()
}

/// The plan as executed is the whole input of a run, beside the program.
fn repeat_command(folder: &RunFolder, args: &RunArgs) -> String {
    let plan = folder.plan();
    let binaries = args.programs.binary.iter();
    let binary: String = binaries.map(|path| format!(" --binary {path}")).collect();
    let images: String = args
        .programs
        .image
        .iter()
        .map(|image| format!(" --image {image}"))
        .collect();
    format!("keyquake run --plan {}{binary}{images}", plan.display())
}
