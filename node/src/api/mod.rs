//! What clients and operators call: RawKV, RaftAdmin, EncryptionAdmin, health, and the executor
//! behind RawKV and RESP alike.

mod encryption;
mod executor;
mod forward;
mod health;
mod raft_admin;
mod raw_kv;

pub use encryption::{Admission, EncryptionService};
pub use executor::{ExecuteError, Executor};
pub use forward::ForwardService;
pub use health::{serve_http, watch_leadership};
pub use raft_admin::AdminService;
pub use raw_kv::RawKvService;
