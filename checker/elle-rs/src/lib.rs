//! Consistency checkers: histories in, verdicts with their reasons out.
//!
//! [`history`] holds what happened, [`register`] decides linearizability of registers,
//! [`list_append`] isolation of list-append transactions. A broken guarantee comes as a
//! [`Finding`]: its name in the field, the few operations it takes to see it, and one
//! explanation in words.

pub mod bank;
pub mod certificate;
mod finding;
pub(crate) mod graph;
pub mod history;
pub mod levels;
pub mod linear;
pub mod list_append;
pub mod long_fork;
pub mod monotonic;
pub mod picture;
mod proof;
pub mod register;
pub mod rmw;
pub mod rw_register;
pub mod transactions;
pub mod txn;
pub mod verify;

pub use finding::Finding;
