//! Takes every node through the plan on paper, before anything is made: what a roll can't be
//! given is an error then, and not in the middle of a run.

use anyhow::{Context, ensure};
use keyquake_cluster::NodeSpec;
use keyquake_systems::{System, SystemName};

use super::operator::node_change;
use super::words::{place, rolls};
use crate::plan::Plan;

/// All that nodes are started as in the course of the plan, from what they begin as.
pub fn rehearse(
    plan: &Plan,
    system: &dyn System,
    beginnings: &[NodeSpec],
) -> anyhow::Result<Vec<NodeSpec>> {
    let mut now = beginnings.to_vec();
    let mut all = now.clone();
    for (number, step, roll) in rolls(plan) {
        let named = step.target.named();
        for node in &mut now {
            // Whom a role means is not known before; so all of them may be it.
            if !named.is_empty() && !named.contains(&node.index) {
                continue;
            }
            let changed = system.changed(node, &node_change(roll));
            *node = changed.with_context(|| place(number, step))?;
            let to_other = roll.release.is_some() && system.name() != SystemName::Reference;
            if to_other && plan.cluster.runtime.is_process() {
                shows_itself(node).with_context(|| place(number, step))?;
            }
            all.push(node.clone());
        }
    }
    Ok(all)
}

/// A roll is proved by the program that the kernel shows: of a script that is its interpreter.
fn shows_itself(node: &NodeSpec) -> anyhow::Result<()> {
    let path = &node.launch.program;
    let mut start = [0; 2];
    let read = std::fs::File::open(path)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut start));
    read.with_context(|| format!("failed to read the program {}", path.display()))?;
    ensure!(
        start != *b"#!",
        "{} is a script, and so it could not be seen whether {} runs release {}; give the program \
         that it starts",
        path.display(),
        node.id,
        node.release
    );
    Ok(())
}
