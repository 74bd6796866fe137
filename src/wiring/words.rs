//! Refuses words of a plan that only other rooms understand, before anything is made.

use anyhow::ensure;
use keyquake_cluster::node_name;
use keyquake_node::release::Release;
use keyquake_systems::{System, SystemName};

use crate::plan::{Encryption, Plan};

/// The release from which on nodes take the flags of encryption.
const FLAGS_FROM: Release = Release::Stage6B;

/// Checks the plan against what store and workloads can do.
pub fn check_words(plan: &Plan, system: &dyn System) -> anyhow::Result<()> {
    for workload in &plan.workloads {
        workload.check_against(system.capabilities(workload.protocol))?;
    }
    // What releases of another store can do, nobody here knows.
    if plan.cluster.system == SystemName::Reference {
        for bug in &plan.cluster.bugs {
            bug.parse::<keyquake_node::bugs::Bug>()
                .map_err(anyhow::Error::msg)?;
        }
        check_releases(plan)?;
    }
    Ok(())
}

fn check_releases(plan: &Plan) -> anyhow::Result<()> {
    let parse = |word: &String| word.parse::<Release>().map_err(anyhow::Error::msg);
    parse(&plan.cluster.release)?;
    let level = plan.cluster.encryption;
    let needed = needed(level);
    for node in (0..plan.cluster.nodes).map(node_name) {
        let release = plan.cluster.releases.get(&node);
        let release = parse(release.unwrap_or(&plan.cluster.release))?;
        ensure!(
            needed.is_none_or(|needed| release >= needed),
            "encryption {level} needs release {} or later on every node, and {node} has {release}",
            needed.unwrap_or(FLAGS_FROM)
        );
    }
    Ok(())
}

/// The release that every node needs for the cluster to be taken so far.
fn needed(level: Encryption) -> Option<Release> {
    match level {
        Encryption::Off => None,
        Encryption::Keys => Some(FLAGS_FROM),
        Encryption::Storage => Some(Release::Stage6D),
        Encryption::Raft => Some(Release::Stage6E),
    }
}
