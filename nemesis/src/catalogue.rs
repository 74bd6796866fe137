//! The faults there are, by name.

use std::fmt;
use std::str::FromStr;

use keyquake_cluster::NetworkKind;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::faults;

/// A fault's name, as plans spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultName {
    /// `kill`
    Kill,
    /// `pause`
    Pause,
    /// `partition-one`
    PartitionOne,
    /// `partition-halves`
    PartitionHalves,
    /// `partition-majority-ring`
    PartitionMajorityRing,
    /// `partition-one-way`
    PartitionOneWay,
    /// `restart`
    Restart,
    /// `crash-loop`
    CrashLoop,
    /// `slow-cpu`
    SlowCpu,
    /// `memory-limit`
    MemoryLimit,
    /// `full-disk`
    FullDisk,
    /// `roll`
    Roll,
    /// `admin`
    Admin,
    /// `member`
    Member,
    /// `transfer`
    Transfer,
    /// `save`
    Save,
}

/// What there is to know about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FaultInfo {
    /// Its name.
    pub name: FaultName,
    /// What it does.
    pub does: &'static str,
    /// What it needs.
    pub needs: &'static str,
    /// What it shows as evidence that it took effect.
    pub proves: &'static str,
    /// The smallest cluster it makes sense on.
    pub nodes_min: u16,
    /// Whether it needs links that can be cut.
    pub needs_links: bool,
    /// Whether it is a step that stays, rather than something held and healed. Steps are drawn all
    /// together, in a night, or a plan names them.
    pub step: bool,
}

/// Every fault, in the order of [`FaultName`].
static CATALOGUE: [FaultInfo; 16] = [
    faults::kill::INFO,
    faults::pause::INFO,
    faults::partition_one::INFO,
    faults::partition_halves::INFO,
    faults::partition_majority_ring::INFO,
    faults::partition_one_way::INFO,
    faults::restart::INFO,
    faults::crash_loop::INFO,
    faults::slow_cpu::INFO,
    faults::memory_limit::INFO,
    faults::full_disk::INFO,
    faults::roll::INFO,
    faults::admin::INFO,
    faults::member::INFO,
    faults::transfer::INFO,
    faults::save::INFO,
];

/// Every fault: what it does, needs and proves.
pub fn catalogue() -> &'static [FaultInfo] {
    &CATALOGUE
}

/// A word that is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no fault `{word}`; there are {}", known())]
pub struct UnknownFault {
    word: String,
}

fn known() -> String {
    FaultName::ALL.map(FaultName::as_str).join(", ")
}

impl FaultName {
    /// All of them.
    pub const ALL: [FaultName; 16] = [
        FaultName::Kill,
        FaultName::Pause,
        FaultName::PartitionOne,
        FaultName::PartitionHalves,
        FaultName::PartitionMajorityRing,
        FaultName::PartitionOneWay,
        FaultName::Restart,
        FaultName::CrashLoop,
        FaultName::SlowCpu,
        FaultName::MemoryLimit,
        FaultName::FullDisk,
        FaultName::Roll,
        FaultName::Admin,
        FaultName::Member,
        FaultName::Transfer,
        FaultName::Save,
    ];

    /// The name, as plans spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            FaultName::Kill => "kill",
            FaultName::Pause => "pause",
            FaultName::PartitionOne => "partition-one",
            FaultName::PartitionHalves => "partition-halves",
            FaultName::PartitionMajorityRing => "partition-majority-ring",
            FaultName::PartitionOneWay => "partition-one-way",
            FaultName::Restart => "restart",
            FaultName::CrashLoop => "crash-loop",
            FaultName::SlowCpu => "slow-cpu",
            FaultName::MemoryLimit => "memory-limit",
            FaultName::FullDisk => "full-disk",
            FaultName::Roll => "roll",
            FaultName::Admin => "admin",
            FaultName::Member => "member",
            FaultName::Transfer => "transfer",
            FaultName::Save => "save",
        }
    }

    /// What there is to know about it.
    pub fn info(self) -> &'static FaultInfo {
        &CATALOGUE[self as usize]
    }

    /// Whether it can be done on a network.
    pub fn possible_on(self, network: &NetworkKind) -> bool {
        !self.info().needs_links || network.capabilities().links
    }

    /// Whether nodes that are processes need control groups for it.
    pub fn needs_groups(self) -> bool {
        matches!(self, FaultName::SlowCpu | FaultName::MemoryLimit)
    }

    /// Whether it is drawn only where it was asked for by name: it may take a node down that
    /// did nothing wrong.
    pub fn only_by_name(self) -> bool {
        matches!(self, FaultName::MemoryLimit | FaultName::FullDisk)
    }

    /// The faults that a word of the command line means: a name, or a family
    /// (`partition` for all that begin so).
    ///
    /// # Errors
    /// When it means none; the error lists the names.
    pub fn family(word: &str) -> Result<Vec<FaultName>, UnknownFault> {
        if let Ok(name) = word.parse() {
            return Ok(vec![name]);
        }
        let member = |name: &FaultName| {
            name.as_str()
                .strip_prefix(word)
                .is_some_and(|rest| rest.starts_with('-'))
        };
        let members = FaultName::ALL
            .into_iter()
            .filter(member)
            .collect::<Vec<_>>();
        if members.is_empty() {
            Err(UnknownFault {
                word: word.to_owned(),
            })
        } else {
            Ok(members)
        }
    }
}

impl FromStr for FaultName {
    type Err = UnknownFault;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let mut all = FaultName::ALL.into_iter();
        all.find(|name| name.as_str() == word)
            .ok_or_else(|| UnknownFault {
                word: word.to_owned(),
            })
    }
}

impl fmt::Display for FaultName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for FaultName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FaultName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_complete_and_in_order() {
        assert_eq!(
            catalogue().iter().map(|info| info.name).collect::<Vec<_>>(),
            FaultName::ALL
        );
        for info in catalogue() {
            assert_eq!(info.name.info(), info);
            assert_eq!(info.name.as_str().parse(), Ok(info.name));
            assert!(
                [info.does, info.needs, info.proves]
                    .iter()
                    .all(|text| text.len() > 10),
                "{}",
                info.name
            );
        }
    }

    #[test]
    fn words_mean_a_name_or_a_family() {
        assert_eq!(FaultName::family("kill"), Ok(vec![FaultName::Kill]));
        assert_eq!(FaultName::family("partition").unwrap().len(), 4);
        let error = FaultName::family("kil").unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no fault `kil`; there are kill, pause, partition-one, partition-halves, \
             partition-majority-ring, partition-one-way, restart, crash-loop, slow-cpu, \
             memory-limit, full-disk, roll, admin, member, transfer, save"
        );
        assert!(FaultName::family("").is_err());
    }

    #[test]
    fn loopback_has_no_partitions() {
        let loopback = NetworkKind::Loopback {
            why: "a test".into(),
        };
        let possible = FaultName::ALL
            .into_iter()
            .filter(|fault| fault.possible_on(&loopback))
            .collect::<Vec<_>>();
        let mut without = FaultName::ALL.to_vec();
        without.retain(|fault| !fault.as_str().starts_with("partition"));
        assert_eq!(possible, without);
        assert!(
            FaultName::ALL
                .into_iter()
                .all(|fault| fault.possible_on(&NetworkKind::Namespace))
        );
    }
}
