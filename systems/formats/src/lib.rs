//! What the suite has to know of bytes, on whichever side it meets them: the canary in every
//! written value, key files and wrapped keys, sidecars, node ids.
//!
//! A room of its own, without clients and without async, because two rooms that must not know
//! each other need it: `systems` writes values and makes keys, the auditor looks for the first
//! and opens the second. Nothing here is shared with the reference store.

pub mod canary;
pub mod keys;
pub mod node_id;
pub mod sidecar;

use std::fmt;

/// What a data-encryption key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Values in the storage engine.
    Storage,
    /// Proposal payloads in the Raft log.
    Raft,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Purpose::Storage => "storage",
            Purpose::Raft => "raft",
        })
    }
}
