//! Refuses words of a plan that only other rooms understand, before anything is made.

use anyhow::{Context, ensure};
use keyquake_cluster::node_name;
use keyquake_nemesis::{Details, PlannedFault, Roll, Switch};
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

fn parse(word: &str) -> anyhow::Result<Release> {
    word.parse().map_err(anyhow::Error::msg)
}

/// Where in the plan a step stands.
pub(super) fn place(number: usize, step: &PlannedFault) -> String {
    let (number, title, begins) = (number + 1, step.title(), step.begins());
    format!("fault {number} of the schedule (`{title}` {begins}) can't be")
}

pub(super) fn rolls(plan: &Plan) -> impl Iterator<Item = (usize, &PlannedFault, &Roll)> {
    let steps = plan.faults.iter().enumerate();
    steps.filter_map(|(number, step)| match &step.details {
        Details::Roll(roll) => Some((number, step, roll)),
        _ => None,
    })
}

/// A node on its way through the plan.
struct Life {
    name: String,
    release: Release,
    flags: bool,
}

/// Follows every node through the plan: it must never have flags that its release lacks.
fn check_releases(plan: &Plan) -> anyhow::Result<()> {
    let mut lives = beginnings(plan)?;
    for (number, step, roll) in rolls(plan) {
        let refused = || place(number, step);
        let release = roll.release.as_deref().map(parse).transpose();
        let release = release.with_context(refused)?;
        let named = step.target.named();
        for (position, life) in (0..).zip(&mut lives) {
            // Whom a role means is not known before; so all of them may be it.
            if !named.is_empty() && !named.contains(&position) {
                continue;
            }
            let flags = roll
                .flags
                .encryption
                .map_or(life.flags, |to| to == Switch::On);
            let release = release.unwrap_or(life.release);
            check_flags(&life.name, release, flags).with_context(refused)?;
            (life.release, life.flags) = (release, flags);
        }
    }
    Ok(())
}

fn check_flags(node: &str, release: Release, flags: bool) -> anyhow::Result<()> {
    ensure!(
        !flags || release >= FLAGS_FROM,
        "{node} would have the flags of encryption on release {release}, which has them from \
         {FLAGS_FROM} on; add encryption = \"off\""
    );
    Ok(())
}

fn beginnings(plan: &Plan) -> anyhow::Result<Vec<Life>> {
    let cluster = &plan.cluster;
    let level = cluster.encryption;
    let life = |name: String| {
        let release = cluster.releases.get(&name).unwrap_or(&cluster.release);
        let release = parse(release)?;
        if let Some(needed) = needed(level) {
            ensure!(
                release >= needed,
                "encryption {level} needs release {needed} or later on every node, and {name} has \
                 {release}"
            );
        }
        Ok(Life {
            name,
            release,
            flags: level != Encryption::Off,
        })
    };
    parse(&cluster.release)?;
    (0..cluster.nodes).map(node_name).map(life).collect()
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
