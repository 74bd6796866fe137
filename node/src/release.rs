//! Which stage of the encryption roll-out this process behaves as.

use std::fmt;
use std::str::FromStr;

/// A release of the store. Ordered: a later release knows all an earlier one does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Release {
    /// Read-only encryption calls, no applier.
    Stage5D,
    /// The applier is wired, nothing can propose.
    Stage6A,
    /// KEK, bootstrap and rotation.
    Stage6B,
    /// Startup guards.
    Stage6C,
    /// The storage envelope.
    Stage6D,
    /// The raft envelope.
    Stage6E,
    /// Rotation on startup.
    #[default]
    Stage6F,
}

impl Release {
    /// Every release, oldest first.
    pub const ALL: [Release; 7] = [
        Release::Stage5D,
        Release::Stage6A,
        Release::Stage6B,
        Release::Stage6C,
        Release::Stage6D,
        Release::Stage6E,
        Release::Stage6F,
    ];

    /// The name used on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Release::Stage5D => "5d",
            Release::Stage6A => "6a",
            Release::Stage6B => "6b",
            Release::Stage6C => "6c",
            Release::Stage6D => "6d",
            Release::Stage6E => "6e",
            Release::Stage6F => "6f",
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Release {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|release| release.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("unknown release '{text}'; known: 5d, 6a, 6b, 6c, 6d, 6e, 6f"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_order_is_by_age() {
        for release in Release::ALL {
            assert_eq!(release.name().parse(), Ok(release));
        }
        assert!(Release::ALL.is_sorted());
        assert!("6g".parse::<Release>().is_err());
    }
}
