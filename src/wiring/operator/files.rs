//! A node's files, as the operator's hands of the nemesis touch them.

use keyquake_cluster::{NodeSpec, node_name};
use keyquake_nemesis::{LastWords, Tamper};
use keyquake_systems::elastickv::disk::Disk;
use keyquake_systems::elastickv::last_words;

pub(super) fn tamper(
    node: &NodeSpec,
    what: &[Tamper],
    from: Option<u16>,
) -> Result<Vec<String>, String> {
    Disk::of(node).tamper(what, from.map(node_name).as_deref())
}

/// A log that can't be read says nothing.
pub(super) fn words(node: &NodeSpec, from: u64) -> Option<LastWords> {
    let log = node.log_dir.join(format!("{}.log", node.id));
    let words = last_words::last_words(&log, from).ok()??;
    Some(LastWords {
        name: words.name,
        halted: words.halted,
        index: words.index,
        line: words.line,
    })
}
