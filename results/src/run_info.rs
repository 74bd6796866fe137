//! `run.json`: what a person needs to understand and repeat a run.
//!
//! It is written when a run begins, so that a killed run has one, and again
//! when it ends.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of `run.json` that this code writes, and the newest it reads.
pub const RUN_FORMAT: u32 = 1;

/// What a run was made of and where it ran. Field order is the file's order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Version of this file; see [`RUN_FORMAT`].
    pub format: u32,
    /// The run's id, which is also its folder's name.
    pub id: String,
    /// Where everything random in the run came from.
    pub seed: u64,
    /// The one command line that repeats the run.
    pub command: String,
    /// The store under test (`reference`, `elastickv`).
    pub system: String,
    /// The nodes, in the order of the node numbers in the history.
    pub nodes: Vec<NodeInfo>,
    /// What ran the nodes: `process` or `docker`.
    #[serde(default = "process")]
    pub runtime: String,
    /// Where the nodes lived, and what that cost.
    pub network: NetworkInfo,
    /// The machine.
    pub host: HostInfo,
    /// Every program that the plan starts as a node, rolls included.
    pub binaries: Vec<BinaryInfo>,
    /// Every image that the plan starts nodes in, rolls included; none on processes.
    #[serde(default)]
    pub images: Vec<ImageInfo>,
    /// The run's keys; `None` if it has none.
    #[serde(default)]
    pub encryption: Option<EncryptionInfo>,
    /// When the run began.
    pub started: Timestamp,
    /// How long each phase took, in order. Empty until the run has ended.
    #[serde(default)]
    pub phases: Vec<PhaseTiming>,
    /// Why the run ended before its time (`Ctrl-C`, …), if it did.
    #[serde(default)]
    pub ended_early: Option<String>,
    /// The version of keyquake that made the run.
    pub suite_version: String,
}

/// Runs from before there was a choice.
fn process() -> String {
    "process".to_owned()
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Its name (`n1`).
    pub id: String,
    /// The release it began with.
    pub release: String,
}

/// Where the nodes lived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInfo {
    /// `namespace`, `loopback` or `container`.
    pub kind: String,
    /// What this kind cost the run, in a sentence (which faults are missing, and why).
    #[serde(default)]
    pub cost: Option<String>,
}

/// Facts of the machine that can matter to a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInfo {
    /// The kernel's release.
    pub kernel: String,
    /// Processor cores the suite may use.
    pub cores: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// The user the suite ran as.
    pub user: String,
}

/// A program that was started as a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinaryInfo {
    /// Where it lay.
    pub path: String,
    /// `sha256:` and 64 hex digits; see [`crate::digest_file`].
    pub digest: String,
    /// The releases that it stood for.
    #[serde(default)]
    pub releases: Vec<String>,
}

/// An image that nodes were started in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// The release that it stood for.
    pub release: String,
    /// Its name.
    pub name: String,
    /// Its id: `sha256:` and 64 hex digits.
    pub id: String,
    /// What registries know it as (`name@sha256:…`); none if it never was in one.
    #[serde(default)]
    pub digests: Vec<String>,
}

/// The keys of a run, and how they came into force before the workloads began. Paths are from
/// the run's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionInfo {
    /// How far the cluster was taken (`off`, `keys`, `storage`, `raft`).
    pub level: String,
    /// The key-encryption key: whoever has it can open everything.
    pub kek: String,
    /// Each node's sidecar, in the order of the nodes.
    pub sidecars: Vec<String>,
    /// The changes made at the start, in order; those of the plan stand in the history.
    #[serde(default)]
    pub steps: Vec<KeyStep>,
}

/// A change of keys that the store accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStep {
    /// Which (`bootstrap`, `enable-storage-envelope`, …).
    pub change: String,
    /// Its index in the log.
    pub applied_index: u64,
}

/// How long a phase took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTiming {
    /// The phase (`start`, `main`, `final`, `judge`, `report`).
    pub name: String,
    /// Milliseconds it took.
    pub ms: u64,
}

impl RunInfo {
    /// The name of a node by its number in the history (0 is the first).
    pub fn node_name(&self, node: u16) -> String {
        match self.nodes.get(usize::from(node)) {
            Some(info) => info.id.clone(),
            None => format!("n{}", u32::from(node) + 1),
        }
    }

    /// The releases in the run: one word when all nodes have the same, else one per node.
    pub fn releases(&self) -> String {
        match self.nodes.split_first() {
            Some((first, rest)) if rest.iter().all(|node| node.release == first.release) => {
                first.release.clone()
            }
            _ => self
                .nodes
                .iter()
                .map(|node| format!("{}={}", node.id, node.release))
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
}
