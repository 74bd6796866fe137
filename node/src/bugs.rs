//! Seeded bugs: each breaks one named invariant, is off by default, and exists
//! so that the suite can prove it would find it.

use std::str::FromStr;

/// A defect that can be switched on with `--bug NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bug {
    /// Reads come from whatever node is asked.
    StaleRead,
    /// A leader acknowledges before a majority has the write.
    LostWrite,
    /// A new leader proposes the appends of its log's tail a second time.
    DoubleApply,
}

/// What a person needs to know about a [`Bug`].
#[derive(Clone, Copy, Debug)]
pub struct BugInfo {
    /// The bug itself.
    pub bug: Bug,
    /// The name used on the command line.
    pub name: &'static str,
    /// What the store does wrong.
    pub does: &'static str,
    /// The invariant a checker must report as violated.
    pub breaks: &'static str,
}

/// Every seeded bug there is.
pub fn catalogue() -> &'static [BugInfo] {
    &[
        BugInfo {
            bug: Bug::StaleRead,
            name: "stale-read",
            does: "serves reads from the local state of whatever node is asked, without a read \
                   index and without forwarding",
            breaks: "LIN",
        },
        BugInfo {
            bug: Bug::LostWrite,
            name: "lost-write",
            does: "a leader acknowledges a write once it is in its own log and ships it to the \
                   others up to 100 ms later, so that writes are lost when leadership changes",
            breaks: "LIN",
        },
        BugInfo {
            bug: Bug::DoubleApply,
            name: "double-apply",
            does: "a freshly elected leader, which learns of commits only from heartbeats, \
                   proposes again the RPUSH-carrying entries of its log's tail that it did not \
                   know to be committed",
            breaks: "SSER",
        },
    ]
}

impl Bug {
    /// The name used on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Bug::StaleRead => "stale-read",
            Bug::LostWrite => "lost-write",
            Bug::DoubleApply => "double-apply",
        }
    }
}

impl FromStr for Bug {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = catalogue();
        known
            .iter()
            .find(|info| info.name == text)
            .map(|info| info.bug)
            .ok_or_else(|| {
                let names: Vec<_> = known.iter().map(|info| info.name).collect();
                format!("unknown bug '{text}'; known: {}", names.join(", "))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_is_found_by_its_name() {
        for info in catalogue() {
            assert_eq!(info.name.parse(), Ok(info.bug));
            assert_eq!(info.bug.name(), info.name);
        }
    }
}
