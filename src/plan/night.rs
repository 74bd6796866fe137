//! What a night with an operator begins with: the cluster as the model of the rollout knows it.

use anyhow::{Context, ensure};
use keyquake_cluster::node_name;
use keyquake_nemesis::{Beginning, Release, Setup};
use keyquake_systems::SystemName;

use super::{ClusterPlan, Encryption};
use crate::wiring::Given;

/// The word of `--faults` for all that an operator does.
pub(super) const OPERATOR: &str = "operator";

/// The spares of a cluster that an operator works on: one, where there is room for it.
pub(super) fn spares(nodes: u16) -> u16 {
    u16::from(nodes < 9)
}

/// The beginning of a cluster. The programs or images that were given tell what nodes of a store
/// that is not ours can be rolled to.
pub(super) fn beginning(cluster: &ClusterPlan, programs: &Given) -> anyhow::Result<Beginning> {
    let setup = |node: u16| {
        let named = cluster.releases.get(&node_name(node));
        let release = known(named.unwrap_or(&cluster.release))?;
        Ok(match cluster.encryption {
            Encryption::Off => Setup::bare(release),
            _ => Setup::full(release),
        })
    };
    let setups: anyhow::Result<Vec<_>> = (0..cluster.nodes).map(setup).collect();
    let setups = setups?;
    let releases = match cluster.system {
        SystemName::Reference => Release::ALL.to_vec(),
        _ => {
            let given = programs.by_release.keys();
            let mut releases: Vec<_> = given.filter_map(|word| known(word).ok()).collect();
            releases.extend(setups.iter().map(|setup| setup.release));
            releases.sort_unstable();
            releases.dedup();
            releases
        }
    };
    Ok(Beginning {
        setups,
        spares: cluster.spares,
        calls: cluster.encryption.changes().to_vec(),
        releases,
    })
}

/// A release that is called as its stage. Of `head`, and of whatever else a build is called, nobody
/// here knows what it must do.
fn known(word: &str) -> anyhow::Result<Release> {
    let release = word.parse::<Release>().ok();
    let release = release.filter(|release| release.as_str() == word);
    let stages = || Release::ALL.map(Release::as_str).join(", ");
    release.with_context(|| {
        format!(
            "an operator's steps can't be drawn for release `{word}`: what must come of them is known of \
             the stages {} only; name the release so (--release 6b), or leave `{OPERATOR}` out",
            stages()
        )
    })
}

/// Whether the words of `--faults` ask for an operator, and the other words.
pub(super) fn split(words: &[String]) -> anyhow::Result<(bool, Vec<String>)> {
    let (operator, others): (Vec<_>, Vec<_>) =
        words.iter().cloned().partition(|word| word == OPERATOR);
    ensure!(
        operator.is_empty() || !others.iter().any(|word| word == "none"),
        "--faults none can't be combined with other faults"
    );
    Ok((!operator.is_empty(), others))
}
