//! The client loop and the recorder together, on real files.

mod memory;
mod recorder;
mod run;
