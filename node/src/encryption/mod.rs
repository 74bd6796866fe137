//! Encryption at rest, as stage6.md has it: what lies in the log, on disk and in the
//! sidecar, who may seal under which key, and what a start must refuse.
//!
//! The replicated [`State`] and the writer registry live among the rows of the state
//! machine; the [`Sidecar`] is their projection onto one node, written before them.

mod applier;
mod envelope;
mod epoch;
mod guards;
mod kek;
mod node;
mod payload;
mod registry;
mod seeded;
mod sidecar;
mod state;
mod validate;

pub use applier::{ApplyError, apply};
pub use envelope::EnvelopeError;
pub use guards::{GuardError, OnDisk, check as check_guards};
pub use kek::KekError;
pub use node::{AdoptError, Encryption};
pub use payload::{KeyEntry, KeyEntryError, Purpose, ROWS_MAX, WriterRow};
pub use registry::{Slot, Writer, node_id};
pub use sidecar::{Sidecar, SidecarError};
pub use state::{KEY as STATE_KEY, State};
pub use validate::{Acceptance, KeyRefusal, validate};
