//! What is audited: the disks of a cluster, its KEK, and what a run wrote to it.

use std::io;
use std::path::PathBuf;

use keyquake_formats::keys::KeyError;
use thiserror::Error;

use crate::canaries::Canaries;
use crate::past::Past;

/// One node's files.
#[derive(Clone, Debug)]
pub struct NodeDisks {
    /// Its Raft id.
    pub name: String,
    /// Its data directory: the folder that holds its tables, log and snapshots.
    pub data_dir: PathBuf,
    /// Its sidecar, which need not be there; `None` if it was started without.
    pub sidecar: Option<PathBuf>,
    /// What it printed. Looked through for keys.
    pub logs: Vec<PathBuf>,
}

/// The log indexes of the cutovers as the store's administration answered them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answered {
    /// Phase 1's.
    pub storage: Option<u64>,
    /// Phase 2's.
    pub raft: Option<u64>,
}

/// A cluster to audit. Its nodes must be stopped or frozen: an engine's files that change
/// while they are copied may not fit together.
pub struct Subject {
    /// The key-encryption key's file. Without it no envelope is opened.
    pub kek: Option<PathBuf>,
    /// Every node.
    pub nodes: Vec<NodeDisks>,
    /// Raft ids of members that wrote and are not among `nodes` any more.
    pub former_members: Vec<String>,
    /// The log indexes that the store answered for its cutovers, where they are known.
    pub answered: Answered,
    /// What was written; `None` if that is not known.
    pub canaries: Option<Canaries>,
    /// What was collected while the cluster ran; `None` if nothing was.
    pub past: Option<Past>,
}

/// Why an audit could not be made at all.
#[derive(Debug, Error)]
pub enum AuditError {
    /// There is nothing to look at.
    #[error("no node was named; give at least one data directory")]
    NoNodes,
    /// A data directory is not there.
    #[error("the data directory of {node}, {path}, can't be read: {source}")]
    DataDir {
        /// The node.
        node: String,
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The KEK could not be loaded.
    #[error(transparent)]
    Kek(#[from] KeyError),
}
