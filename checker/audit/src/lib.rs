//! What the disks say: every envelope opened with the keys of the sidecars, every byte looked
//! through for canaries and bare keys.
//!
//! [`audit`] takes a [`Subject`] (data directories, sidecars, the KEK, the values a run wrote)
//! and gives an [`Audit`]: counts, and one verdict per invariant with its findings. Nothing of
//! the stores' code is used, only the contract; nothing is written to what is read. `disk` reads
//! what lies there, `scan` goes through all bytes, `judge` says what it means, `nonces` remembers
//! across audits.

mod canaries;
mod contents;
mod disk;
mod envelope;
mod finding;
mod judge;
mod keyring;
pub mod nonces;
mod past;
mod report;
mod scan;
mod secrets;
mod subject;

pub use canaries::{Canaries, MayStand};
pub use contents::Contents;
pub use disk::DiskError;
pub use disk::sparse::copy as copy_sparse;
pub use finding::{Finding, Invariant, Place, Spot};
pub use judge::{audit, audit_remembering};
pub use keyquake_formats::canary::Canary;
pub use keyquake_judge::Verdict;
pub use past::{AnswerSeen, CallKind, CallMade, DiskCopy, Load, Past, SidecarSeen};
pub use report::{Audit, Audited, CanaryCounts, Counts, NodeAudit, PastCounts, Scanned};
pub use scan::{Hit, Needles, Spelling};
pub use secrets::{Secret, spellings};
pub use subject::{Answered, AuditError, NodeDisks, Subject};
