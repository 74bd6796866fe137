//! A schedule of faults, as a person can write it:
//!
//! ```toml
//! [[faults]]
//! at = "3.2s"
//! for = "2.5s"
//! fault = "kill"
//! target = "leader"
//! ```

use std::time::Duration;

use keyquake_cluster::node_name;
use serde::{Deserialize, Serialize};

use crate::catalogue::FaultName;
use crate::faults;
use crate::target::Target;

/// One fault of a schedule. Its target fits its kind: others can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AsWritten")]
pub struct PlannedFault {
    /// When it is applied, counted from the schedule's start.
    #[serde(with = "seconds")]
    pub at: Duration,
    /// How long it is held before it is healed (`for` in a plan).
    #[serde(rename = "for", with = "seconds")]
    pub hold: Duration,
    /// Which fault.
    pub fault: FaultName,
    /// What it is aimed at.
    pub target: Target,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AsWritten {
    #[serde(with = "seconds")]
    at: Duration,
    #[serde(rename = "for", with = "seconds")]
    hold: Duration,
    fault: FaultName,
    target: Target,
}

impl TryFrom<AsWritten> for PlannedFault {
    type Error = String;

    fn try_from(written: AsWritten) -> Result<Self, String> {
        let AsWritten {
            at,
            hold,
            fault,
            target,
        } = written;
        if hold.is_zero() {
            return Err(format!("`{fault}` must be held for some time (`for`)"));
        }
        faults::check_target(fault, &target)?;
        Ok(PlannedFault {
            at,
            hold,
            fault,
            target,
        })
    }
}

/// A schedule that can't be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// It can't be read; the text names line, column and reason.
    #[error("the schedule can't be read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// It can't be written.
    #[error("the schedule can't be written: {0}")]
    Write(#[from] toml::ser::Error),
    /// One of its faults makes no sense on the cluster.
    #[error("fault {number} of the schedule (`{fault}` at {at}) can't be: {reason}")]
    Fault {
        /// Its position, counted from 1 as people do.
        number: usize,
        /// Its name.
        fault: FaultName,
        /// When it was to be applied.
        at: humantime::FormattedDuration,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Schedule {
    #[serde(default)]
    faults: Vec<PlannedFault>,
}

/// Reads a schedule on its own.
///
/// # Errors
/// With line, column and reason.
pub fn parse(text: &str) -> Result<Vec<PlannedFault>, ScheduleError> {
    Ok(toml::from_str::<Schedule>(text)?.faults)
}

/// Writes a schedule on its own, as [`parse`] reads it.
///
/// # Errors
/// When the writer refuses.
pub fn to_toml(schedule: &[PlannedFault]) -> Result<String, ScheduleError> {
    Ok(toml::to_string(&Schedule {
        faults: schedule.to_vec(),
    })?)
}

/// Checks a schedule against the size of a cluster: nodes that exist, faults
/// one after another, each possible on so many nodes.
///
/// # Errors
/// With the first fault that can't be carried out, and why.
pub fn validate(schedule: &[PlannedFault], nodes: u16) -> Result<(), ScheduleError> {
    let mut free_from = Duration::ZERO;
    for (position, planned) in schedule.iter().enumerate() {
        let refuse = |reason: String| ScheduleError::Fault {
            number: position + 1,
            fault: planned.fault,
            at: humantime::format_duration(planned.at),
            reason,
        };
        if planned.at < free_from {
            let end = humantime::format_duration(free_from);
            return Err(refuse(format!(
                "the fault before it is held until {end}; faults come one after another"
            )));
        }
        free_from = planned.at + planned.hold;
        let min = planned.fault.info().nodes_min;
        if nodes < min {
            return Err(refuse(format!(
                "it needs at least {min} nodes, the cluster has {nodes}"
            )));
        }
        if let Some(&stranger) = planned.target.named().iter().find(|&&node| node >= nodes) {
            return Err(refuse(format!(
                "there is no {}, the cluster has {nodes} nodes",
                node_name(stranger)
            )));
        }
        if planned.target == Target::Follower && nodes < 2 {
            return Err(refuse("a cluster of one node has no follower".into()));
        }
        faults::check_size(planned, nodes).map_err(refuse)?;
    }
    Ok(())
}

/// Durations as people write them, to a tenth of a second and finer.
mod seconds {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}s", duration.as_secs_f64()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|error| {
            D::Error::custom(format!(
                "`{text}` is no time ({error}); write \"2.5s\" or \"1m 30s\""
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY_HAND: &str = r#"
[[faults]]
at = "3.2s"
for = "2500ms"
fault = "kill"
target = "leader"

[[faults]]
at = "1m 2s"
for = "2s"
fault = "pause"
target = ["n1", "n3"]

[[faults]]
at = "70s"
for = "2s"
fault = "partition-halves"
target = [["n1"], ["n2", "n3"]]

[[faults]]
at = "80s"
for = "2s"
fault = "partition-one-way"
target = ["n1 -> n2", "n3->n2"]
"#;

    #[test]
    fn hand_written_schedules_are_read_and_written_alike() {
        let schedule = parse(BY_HAND).unwrap();
        assert_eq!(schedule[0].at, Duration::from_millis(3200));
        assert_eq!(schedule[1].target, Target::Nodes(vec![0, 2]));
        assert_eq!(
            schedule[2].target,
            Target::Groups(vec![vec![0], vec![1, 2]])
        );
        assert_eq!(schedule[3].target, Target::Cuts(vec![(0, 1), (2, 1)]));
        validate(&schedule, 3).unwrap();
        let text = to_toml(&schedule).unwrap();
        assert!(
            text.contains("at = \"3.2s\"\nfor = \"2.5s\"\nfault = \"kill\"\ntarget = \"leader\"\n"),
            "{text}"
        );
        assert_eq!(parse(&text).unwrap(), schedule);
        assert_eq!(parse("").unwrap(), []);
    }

    /// A schedule of one fault, with one field changed; its error.
    fn error_with(field: &str, value: &str) -> String {
        let lines = [
            ("at", "\"1s\""),
            ("for", "\"1s\""),
            ("fault", "\"kill\""),
            ("target", "\"n1\""),
        ];
        let line = |(name, usual): (&str, &str)| {
            format!("{name} = {}\n", if name == field { value } else { usual })
        };
        let text = format!("[[faults]]\n{}", lines.map(line).concat());
        parse(&text).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_are_named_with_line_and_reason() {
        let cases = [
            (
                "fault",
                "\"kil\"",
                "line 4",
                "there is no fault `kil`; there are kill, pause, partition-one",
            ),
            ("at", "\"soon\"", "line 2", "`soon` is no time"),
            ("for", "3", "line 3", "invalid type: integer"),
            (
                "target",
                "\"boss\"",
                "line 5",
                "`boss` is no target; there are \"leader\"",
            ),
            ("target", "[\"n0\"]", "line 5", "`n0` is no node"),
            ("target", "[]", "line 5", "the list of targets is empty"),
            (
                "target",
                "[\"n1\", [\"n2\"]]",
                "line 5",
                "either groups or names",
            ),
            (
                "target",
                "[\"n1 -> n1\"]",
                "line 5",
                "from a node to itself",
            ),
            (
                "target",
                "[[\"n1\"], [\"n2\"]]",
                "line 1",
                "`kill` is aimed at",
            ),
            ("for", "\"0s\"", "line 1", "must be held for some time"),
        ];
        for (field, value, line, reason) in cases {
            let error = error_with(field, value);
            assert!(
                error.contains(line) && error.contains(reason),
                "{error}\nmust name {line} and {reason}"
            );
        }
        let extra = parse("[[faults]]\nat = \"1s\"\nhold = \"1s\"\n")
            .unwrap_err()
            .to_string();
        assert!(
            extra.contains("line 3") && extra.contains("unknown field `hold`"),
            "{extra}"
        );
        let missing = parse("[[faults]]\nat = \"1s\"\nfor = \"1s\"\nfault = \"kill\"\n")
            .unwrap_err()
            .to_string();
        assert!(missing.contains("missing field `target`"), "{missing}");
    }

    #[test]
    fn what_does_not_fit_the_cluster_is_refused() {
        let planned = |at, fault, target| PlannedFault {
            at: Duration::from_secs(at),
            hold: Duration::from_secs(2),
            fault,
            target,
        };
        let cases = [
            (
                planned(1, FaultName::Kill, Target::Nodes(vec![3])),
                3,
                "there is no n4, the cluster has 3 nodes",
            ),
            (
                planned(
                    1,
                    FaultName::PartitionMajorityRing,
                    Target::Nodes(vec![0, 1]),
                ),
                2,
                "needs at least 3 nodes",
            ),
            (
                planned(1, FaultName::Kill, Target::Follower),
                1,
                "has no follower",
            ),
            (
                planned(
                    1,
                    FaultName::PartitionHalves,
                    Target::Groups(vec![vec![0], vec![1]]),
                ),
                3,
                "n3 is in neither half",
            ),
            (
                planned(
                    1,
                    FaultName::PartitionMajorityRing,
                    Target::Nodes(vec![0, 1, 2]),
                ),
                4,
                "n4 is not in the ring",
            ),
        ];
        for (fault, nodes, reason) in cases {
            let error = validate(&[fault], nodes).unwrap_err().to_string();
            assert!(
                error.starts_with("fault 1 of the schedule (`") && error.contains(reason),
                "{error}\nwanted: {reason}"
            );
        }
        let overlapping = [
            planned(1, FaultName::Kill, Target::Leader),
            planned(2, FaultName::Pause, Target::Leader),
        ];
        let error = validate(&overlapping, 3).unwrap_err().to_string();
        assert_eq!(
            error,
            "fault 2 of the schedule (`pause` at 2s) can't be: the fault before it is held until 3s; \
             faults come one after another"
        );
    }
}
