//! Who is a member, as far as this run has made it so.

use std::sync::{Mutex, PoisonError};

use keyquake_cluster::NodeSpec;
use keyquake_nemesis::MemberChange;
use keyquake_systems::elastickv::begins;

/// The changes of the membership that were accepted, in order.
#[derive(Debug, Default)]
pub struct Changes(Mutex<Vec<(MemberChange, u16)>>);

impl Changes {
    pub(super) fn note(&self, change: MemberChange, node: u16) {
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        changes.push((change, node));
    }

    /// Those that began the cluster, and whoever came since, without those that went.
    pub(super) fn members(&self, specs: &[NodeSpec]) -> Vec<NodeSpec> {
        let changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_member = |spec: &&NodeSpec| {
            let last = changes.iter().rfind(|(_, node)| *node == spec.index);
            last.map_or_else(
                || begins(spec),
                |(change, _)| *change != MemberChange::Remove,
            )
        };
        specs.iter().filter(is_member).cloned().collect()
    }
}
