//! The size of the nodes' disks, as a plan writes it: `256MiB`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
/// A store needs some room to start at all.
const LEAST: u64 = 1 << 20;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DiskSize(u64);

impl DiskSize {
    /// What nodes get where `full-disk` was asked for by name and no plan says more.
    pub const DEFAULT: DiskSize = DiskSize(256 << 20);

    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for DiskSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = UNITS.into_iter().find_map(|(unit, bytes)| {
            let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            number.checked_mul(bytes)
        });
        size.filter(|&bytes| bytes >= LEAST)
            .map(DiskSize)
            .ok_or_else(|| {
                format!("{text:?} is no size of a disk; write a number of KiB, MiB or GiB, 1MiB or more: \"256MiB\"")
            })
    }
}

impl TryFrom<String> for DiskSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DiskSize> for String {
    fn from(size: DiskSize) -> String {
        size.to_string()
    }
}

impl fmt::Display for DiskSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS
            .into_iter()
            .find(|(_, bytes)| self.0.is_multiple_of(*bytes));
        let (unit, bytes) = whole.unwrap_or(("KiB", 1 << 10));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn sizes_are_read_and_written_alike() {
        for text in ["256MiB", "1GiB", "1536KiB"] {
            assert_eq!(text.parse::<DiskSize>().unwrap().to_string(), text);
        }
        assert_eq!("2048KiB".parse::<DiskSize>().unwrap().to_string(), "2MiB");
        for text in [
            "256",
            "256MB",
            "0MiB",
            "1KiB",
            "x",
            "-1MiB",
            "99999999999GiB",
        ] {
            let error = text.parse::<DiskSize>().unwrap_err();
            assert!(error.contains("is no size of a disk"), "{error}");
        }
    }

    #[test]
    fn a_disk_that_is_to_be_full_must_have_a_size() {
        let plan = |disk: &str| {
            Plan::parse(&format!(
                "format = 1\nseed = 1\ntime = \"9s\"\n\
                 faults = [{{ at = \"1s\", for = \"1s\", fault = \"full-disk\", target = \"n1\" }}]\n\
                 [cluster]\nsystem = \"reference\"\nnodes = 3\n{disk}\n\
                 [[workloads]]\nname = \"register\"\n"
            ))
        };
        let error = plan("").unwrap_err().to_string();
        assert!(error.contains("disk = \"256MiB\""), "{error}");
        let sized = plan("disk = \"64MiB\"").unwrap();
        assert_eq!(sized.cluster.disk.unwrap().bytes(), 64 << 20);
        assert!(sized.to_toml().unwrap().contains("disk = \"64MiB\""));
        let error = format!("{:#}", plan("disk = \"64\"").unwrap_err());
        assert!(error.contains("is no size of a disk"), "{error}");
    }
}
