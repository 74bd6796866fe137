//! Histories of transactions, compact, and what their checkers share.

mod builder;
mod events;
mod explain;
mod judge;
mod malformed;
pub(crate) mod numbers;
mod read;
mod report;
pub(crate) mod rows;
pub(crate) mod schedule;
pub(crate) mod store;
pub(crate) mod table;
pub(crate) mod words;

pub use builder::{Builder, Head, Seen};
pub use events::from_events;
pub(crate) use explain::{Evidence, Explain};
pub(crate) use judge::{judge, orders, proof};
pub use malformed::Malformed;
pub use read::{Transactions, TransactionsError, read, read_from};
pub use report::{Because, Counts, Decision, Outcome, Proof};
pub use store::Store;
