//! One broken guarantee, for a person and for a program.

use serde::{Deserialize, Serialize};

use crate::history::Key;

/// An anomaly seen in a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Its name in the field: `stale-read`, `lost-update`, `G-single-realtime`, …
    pub anomaly: String,
    /// The key it was seen on, where it is one key's.
    pub key: Option<Key>,
    /// The operations that show it, by the index of their invocations.
    pub ops: Vec<u64>,
    /// What is wrong, in words, with values, processes, nodes and times.
    pub explanation: String,
}
