//! What lay on a node's disk before a start, remembered: the sidecar's folder byte for byte, and what
//! log, registry and values say. Who can read a store's disk is chosen here.

use keyquake_audit::Contents;
use keyquake_cluster::NodeSpec;
use keyquake_nemesis::Remembered;
use keyquake_systems::SystemName;
use keyquake_systems::elastickv::disk::{Disk, RaftFiles};

/// Remembers the disk of a node that is down.
pub(super) fn remember(system: SystemName, node: &NodeSpec) -> Result<Box<dyn Remembered>, String> {
    // Other nodes' faults and the clients go on while it is read.
    tokio::task::block_in_place(|| {
        let sidecar = Disk::of(node).fingerprint()?;
        Ok(Box::new(OnDisk {
            rest: Rest::of(system, node)?,
            node: node.clone(),
            sidecar,
        }) as Box<dyn Remembered>)
    })
}

struct OnDisk {
    node: NodeSpec,
    sidecar: String,
    rest: Rest,
}

/// All but the sidecar.
enum Rest {
    /// Everything, as rows.
    Contents(Contents),
    /// Log and snapshots, as bytes: nobody here reads the store's tables.
    Files(RaftFiles),
}

impl Rest {
    fn of(system: SystemName, node: &NodeSpec) -> Result<Self, String> {
        match system {
            SystemName::Reference => contents(node).map(Rest::Contents),
            SystemName::Elastickv => RaftFiles::of(&node.data_dir).map(Rest::Files),
        }
    }

    fn changed(&self, node: &NodeSpec) -> Result<Option<String>, String> {
        match self {
            Rest::Contents(before) => Ok(contents(node)?.changed_since(before)),
            Rest::Files(before) => before.changed(),
        }
    }
}

fn contents(node: &NodeSpec) -> Result<Contents, String> {
    Contents::of(&node.data_dir).map_err(|error| error.to_string())
}

impl Remembered for OnDisk {
    fn changed(&self) -> Result<Option<String>, String> {
        tokio::task::block_in_place(|| {
            let after = Disk::of(&self.node).fingerprint()?;
            let sidecar = (after != self.sidecar).then(|| format!("now {after}"));
            let rest = self.rest.changed(&self.node)?;
            let all: Vec<_> = sidecar.into_iter().chain(rest).collect();
            Ok((!all.is_empty()).then(|| all.join("; ")))
        })
    }

    fn told(&self) -> String {
        let rest = match &self.rest {
            Rest::Contents(contents) => contents.to_string(),
            Rest::Files(files) => format!("{files}; its tables are not compared"),
        };
        format!("{}; {rest}", self.sidecar)
    }
}
