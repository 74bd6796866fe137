//! The suite's side of encryption: keys made and wrapped, node ids computed, the
//! admin calls with their refusals, sidecars read.
//!
//! Nothing here is shared with the reference store: what the store writes is read by code
//! that knows only the contract.

mod admin;
pub(super) mod files;
mod keys;
mod leader;
mod node_id;
mod refusal;
mod sidecar;
mod turn;

pub use admin::{AdminClient, Bootstrap, Member, Proposer, RaftView, Rotation};
pub use elastickv_wire::{
    CapabilityReport, EnableRaftEnvelopeResponse, EnableStorageEnvelopeResponse,
    ResyncSidecarResponse, SidecarStateReport,
};
pub use files::KeyFiles;
pub use keys::{Dek, Kek, KeyError, WrappedDek};
pub use leader::{Bootstrapped, Enabled, Leader, NotDone, Rotated};
pub use node_id::{Collision, collisions, full_node_id, node_id};
pub use refusal::{Answer, Class, NotAccepted, ROWS, Refusal, Row};
pub use sidecar::{Active, Key, Sidecar, SidecarError};
pub use turn::{KeyChange, Turned, caught_up, clients, turn};

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
