//! How far a cluster is taken before the workloads begin.

use std::fmt;

use clap::ValueEnum;
use keyquake_rollout::Call;
use serde::{Deserialize, Serialize};

/// How much of its encryption a cluster has in force when the workloads begin.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// Nodes know nothing of keys
    #[default]
    Off,
    /// Nodes have KEK, sidecar and flag, and the cluster its first keys; data is in the clear
    Keys,
    /// And values are encrypted on disk
    Storage,
    /// And so are the entries of the Raft log
    Raft,
}

impl Encryption {
    /// The changes of keys that lead there, in order.
    pub fn changes(self) -> &'static [Call] {
        const ALL: [Call; 3] = [
            Call::Bootstrap,
            Call::EnableStorageEnvelope,
            Call::EnableRaftEnvelope,
        ];
        &ALL[..self as usize]
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encryption::Off => "off",
            Encryption::Keys => "keys",
            Encryption::Storage => "storage",
            Encryption::Raft => "raft",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_adds_one_change() {
        assert_eq!(Encryption::Off.changes(), []);
        assert_eq!(Encryption::Keys.changes(), [Call::Bootstrap]);
        assert_eq!(Encryption::Raft.changes().len(), 3);
        for level in Encryption::value_variants() {
            let word = level.to_possible_value().expect("none is hidden");
            assert_eq!(word.get_name(), level.to_string());
        }
    }
}
