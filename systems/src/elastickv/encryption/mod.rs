//! The suite's side of encryption: keys made and wrapped, node ids computed, the
//! admin calls with their refusals, sidecars read.
//!
//! Nothing here is shared with the reference store: what the store writes is read by code
//! that knows only the contract.

mod admin;
mod asking;
mod caller;
mod compose;
pub(super) mod files;
mod leader;
mod membership;
mod node;
mod refusal;
mod reply;
mod request;
mod testimony;

use keyquake_formats::{keys, node_id as ids, sidecar};

pub use admin::{AdminClient, Bootstrap, CallWatch, Member, Proposer, RaftView, Rotation};
pub use asking::{Asking, Given};
pub use caller::{Caller, Order};
pub use elastickv_wire::{
    CapabilityReport, EnableRaftEnvelopeResponse, EnableStorageEnvelopeResponse,
    ResyncSidecarResponse, SidecarStateReport,
};
pub use files::KeyFiles;
pub use ids::{Collision, collisions, full_node_id, node_id, twin_of};
pub use keyquake_formats::Purpose;
pub use keys::{Dek, Kek, KeyError, WrappedDek};
pub use leader::{Bootstrapped, Enabled, Leader, NotDone, Rotated};
pub use membership::Membership;
pub use refusal::{Answer, Class, NotAccepted, ROWS, Refusal, Row};
pub use reply::{Reply, outcome_of};
pub use request::{Done, Request};
pub use sidecar::{Active, Key, Sidecar, SidecarError};
