//! Refuses words of a plan that only other rooms understand, before anything is made.

use anyhow::{Context, ensure};
use keyquake_cluster::node_name;
use keyquake_nemesis::{Details, PlannedFault, Roll};
use keyquake_node::release::Release;
use keyquake_rollout::{FlagChange, Release as Stage, Setup};
use keyquake_systems::elastickv::EncryptionFlag;
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
    setup: Setup,
    /// Whether its flags were given one by one: who does that wants to see what becomes of them,
    /// also on a release that does not look at them.
    one_by_one: bool,
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
            let change = &roll.flags;
            let all_at_once = change.encryption.is_some();
            life.one_by_one = is_one_by_one(change) || (life.one_by_one && !all_at_once);
            life.setup = life.setup.changed(change);
            life.release = release.unwrap_or(life.release);
            check_flags(life).with_context(refused)?;
        }
    }
    Ok(())
}

fn is_one_by_one(change: &FlagChange) -> bool {
    let all_at_once = FlagChange {
        encryption: change.encryption,
        ..FlagChange::default()
    };
    *change != all_at_once
}

fn check_flags(life: &Life) -> anyhow::Result<()> {
    let (node, release) = (&life.name, life.release);
    let given = EncryptionFlag::ALL
        .iter()
        .any(|flag| flag.is_given(&life.setup));
    ensure!(
        !given || life.one_by_one || release >= FLAGS_FROM,
        "{node} would have the flags of encryption on release {release}, which has them from \
         {FLAGS_FROM} on; add encryption = \"off\", or name the flags one by one"
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
            setup: match level {
                Encryption::Off => Setup::bare(Stage::R6F),
                _ => Setup::full(Stage::R6F),
            },
            one_by_one: false,
        })
    };
    parse(&cluster.release)?;
    (0..plan.all_nodes()).map(node_name).map(life).collect()
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
