//! Seeded generators, the client loop and the recorder of histories.
//!
//! A [`Setup`] says which workloads run against which store. [`run`] drives them at an
//! open-loop rate, [`final_reads`] reads every key back afterwards, and the [`Recorder`] puts
//! every event of the run (faults included) into one order and onto the disk. Stores plug in
//! through [`Connect`] and [`Client`].

mod client;
mod final_reads;
pub mod generator;
mod logical_client;
mod options;
mod recorder;
mod runner;
mod target;
mod validated;

pub use client::{CORRUPT_VALUE, Capabilities, Client, Connect, LeaderHint, Outcome};
pub use final_reads::{FinalSummary, final_reads};
pub use options::{OptionsError, Protocol, Target, WorkloadName, WorkloadOptions};
pub use recorder::{
    FaultRecord, Invocation, KindLive, Latency, Live, OpName, RecordError, Recorder, Summary,
    WorkloadLive,
};
pub use runner::{RunError, RunSummary, Setup, WorkloadSummary, run};
pub use validated::Validated;
