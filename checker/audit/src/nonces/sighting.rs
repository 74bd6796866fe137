//! What a registry says: where envelopes were seen, and which pairs sealed different things.

use std::fmt;

use super::pair::Pair;

/// Where an envelope was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// The run, or the folder, that was audited.
    pub run: String,
    /// The node's name.
    pub node: String,
    /// What kind of place: `tables`, `log`, ….
    pub place: String,
    /// The file or database.
    pub path: String,
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sighting {
            run,
            node,
            place,
            path,
        } = self;
        write!(f, "run {run}, {node} {place}, {path}")
    }
}

/// A pair that sealed different things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Which.
    pub pair: Pair,
    /// Where each of them was seen first, at least two and at most 8, in the order of their
    /// coming.
    pub seen: Vec<Sighting>,
}

/// What an audit added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Pairs that were not known.
    pub new: u64,
    /// Pairs that were, and sealed the same.
    pub known: u64,
    /// Pairs of the audit that have sealed different things, here or before.
    pub reuses: Vec<Reuse>,
}
