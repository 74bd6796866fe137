//! The run store and its reports.
//!
//! A run is a folder: [`Runs`] makes, finds and lists them, [`RunFolder`] knows
//! the files inside. [`Report`] turns a history and its judgement into what
//! people read: a page, a JUnit file, a few lines for the terminal.

mod evidence;
mod invariants;
mod report;
mod run_info;
mod store;

pub use evidence::{
    Collection, EVIDENCE_FORMAT, EvidenceIndex, Load, NodeAnswer, NodeCopy, SidecarState,
};
pub use invariants::{INVARIANTS, Invariant, meaning};
pub use report::{Report, Summary};
pub use run_info::{
    BinaryInfo, EncryptionInfo, HostInfo, ImageInfo, KeyStep, NetworkInfo, NodeInfo, PhaseTiming,
    RUN_FORMAT, RunInfo,
};
pub use store::{ListedRun, RunFolder, Runs, StoreError, VERDICT_FORMAT, digest_file};
