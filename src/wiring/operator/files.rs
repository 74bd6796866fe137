//! A node's files, as the operator's hands of the nemesis touch them.

use std::time::{Duration, Instant};

use keyquake_cluster::{NodeSpec, node_name};
use keyquake_nemesis::{LastWords, Tamper};
use keyquake_systems::elastickv::disk::Disk;
use keyquake_systems::elastickv::last_words;

/// The last lines of a process that has just ended may still be on their way into its log.
const ARRIVE_WITHIN: Duration = Duration::from_millis(300);
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(super) fn tamper(
    node: &NodeSpec,
    what: &[Tamper],
    from: Option<u16>,
) -> Result<Vec<String>, String> {
    Disk::of(node).tamper(what, from.map(node_name).as_deref())
}

/// What a node said since `from`; waits a moment for a line with a name. A log that can't be read
/// says nothing.
pub(super) fn words(node: &NodeSpec, from: u64) -> Option<LastWords> {
    let log = node.log_dir.join(format!("{}.log", node.id));
    let read = || last_words::last_words(&log, from).ok().flatten();
    let until = Instant::now() + ARRIVE_WITHIN;
    let mut words = read();
    while words.as_ref().is_none_or(|words| words.name.is_none()) && Instant::now() < until {
        // Clients and other faults go on meanwhile.
        tokio::task::block_in_place(|| std::thread::sleep(LOOK_EVERY));
        words = read();
    }
    words.map(|words| LastWords {
        name: words.name,
        halted: words.halted,
        index: words.index,
        snapshot: words.snapshot,
        line: words.line,
    })
}
