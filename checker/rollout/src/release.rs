//! The stages that a store's releases belong to.

use std::fmt;
use std::str::FromStr;

/// The stage a release implements; later stages are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Release {
    /// Answers questions about encryption, changes nothing.
    R5D,
    /// Knows the entries, can propose none.
    R6A,
    /// Bootstrap and rotation, behind flag, KEK and sidecar path.
    R6B,
    /// Startup guards.
    R6C,
    /// Phase 1: the storage envelope.
    R6D,
    /// Phase 2: the raft envelope.
    R6E,
    /// Rotation on startup.
    R6F,
}

/// A word that names no stage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no stage of the rollout; there are 5d, 6a, 6b, 6c, 6d, 6e, 6f (and head, the newest)"
)]
pub struct UnknownRelease(String);

impl Release {
    /// All of them, oldest first.
    pub const ALL: [Release; 7] = [
        Release::R5D,
        Release::R6A,
        Release::R6B,
        Release::R6C,
        Release::R6D,
        Release::R6E,
        Release::R6F,
    ];

    /// The name, as plans spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Release::R5D => "5d",
            Release::R6A => "6a",
            Release::R6B => "6b",
            Release::R6C => "6c",
            Release::R6D => "6d",
            Release::R6E => "6e",
            Release::R6F => "6f",
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Release {
    type Err = UnknownRelease;

    /// `head` and `unnamed` are what a store's newest build is called.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        if matches!(word, "head" | "unnamed") {
            return Ok(Release::R6F);
        }
        let mut all = Release::ALL.into_iter();
        all.find(|release| release.as_str() == word)
            .ok_or_else(|| UnknownRelease(word.to_owned()))
    }
}
