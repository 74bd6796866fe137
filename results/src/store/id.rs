//! Ids of runs: UTC time to the millisecond, then the seed. Sorted as text they
//! are sorted by time.

use jiff::Timestamp;

/// The id of a run that begins now: `20261124T154835.481Z-s42`.
pub fn of(seed: u64, now: Timestamp) -> String {
    format!("{}-s{seed}", now.strftime("%Y%m%dT%H%M%S%.3fZ"))
}
