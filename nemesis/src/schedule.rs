//! A schedule of faults, as a person can write it:
//!
//! ```toml
//! [[faults]]
//! at = "3.2s"
//! for = "2.5s"
//! fault = "kill"
//! target = "leader"
//!
//! [[faults]]
//! at = "8s"
//! fault = "roll"
//! target = ["n1", "n2"]
//! release = "6b"
//! encryption = "on"
//! ```
//!
//! The form on paper is in [`written`].

mod written;

use std::time::Duration;

use keyquake_cluster::node_name;
use keyquake_rollout::{Call, MemberChange};
use serde::{Deserialize, Serialize};

use crate::catalogue::FaultName;
use crate::faults;
use crate::operator::{CallRequest, Roll};
use crate::rollout::Expect;
use crate::target::Target;

/// One fault of a schedule. Its target and its details fit its kind: others can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "written::Written", into = "written::Written")]
pub struct PlannedFault {
    /// When it is applied, counted from the schedule's start; a step that takes long delays
    /// what comes after it. With `during`, counted from the moment that call was sent.
    pub at: Duration,
    /// The call it has to hit while its answer is still out: that of the step before it.
    pub during: Option<Call>,
    /// How long it is held before it is healed (`for` in a plan); zero for a step.
    pub hold: Duration,
    /// Which fault.
    pub fault: FaultName,
    /// What it is aimed at.
    pub target: Target,
    /// What it does, for a kind that can do several things.
    pub details: Details,
    /// What the plan says must come of a step, in place of what the model does.
    pub expect: Expect,
}

/// What a step does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Details {
    /// The kind says it all.
    #[default]
    None,
    /// Of a `roll`.
    Roll(Roll),
    /// Of an `admin`.
    Admin(CallRequest),
    /// Of a `member`: the change, and what a newcomer is to be.
    Member(MemberChange, Roll),
}

impl PlannedFault {
    /// When it is applied, in words.
    fn when(&self) -> String {
        let time = humantime::format_duration(self.at);
        match self.during {
            None => format!("at {time}"),
            Some(call) => format!("{time} after {call} was sent"),
        }
    }

    /// How long after its group began it is applied.
    fn offset(&self) -> Duration {
        self.during.map_or(Duration::ZERO, |_| self.at)
    }

    /// Its kind and what it does, in a few words: `kill`, `roll to 6b`, `admin bootstrap`.
    pub fn title(&self) -> String {
        match &self.details {
            Details::None => self.fault.to_string(),
            Details::Roll(roll) => format!("{} {roll}", self.fault),
            Details::Admin(request) => format!("{} {request}", self.fault),
            Details::Member(change, roll) => match roll.to_string().as_str() {
                "" => format!("{} {change}", self.fault),
                roll => format!("{} {change} {roll}", self.fault),
            },
        }
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
    #[error("fault {number} of the schedule (`{fault}` {at}) can't be: {reason}")]
    Fault {
        /// Its position, counted from 1 as people do.
        number: usize,
        /// Its name.
        fault: FaultName,
        /// When it was to be applied, in words.
        at: String,
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
/// Gives when the last one has been held to its end.
///
/// # Errors
/// With the first fault that can't be carried out, and why.
pub fn validate(schedule: &[PlannedFault], nodes: u16) -> Result<Duration, ScheduleError> {
    let mut free_from = Duration::ZERO;
    let mut group = Group::default();
    for (position, planned) in schedule.iter().enumerate() {
        let refuse = |reason: String| ScheduleError::Fault {
            number: position + 1,
            fault: planned.fault,
            at: planned.when(),
            reason,
        };
        group.take(planned).map_err(&refuse)?;
        if planned.during.is_none() && planned.at < free_from {
            let end = humantime::format_duration(free_from);
            return Err(refuse(format!(
                "the fault before it is held until {end}; faults come one after another"
            )));
        }
        free_from = free_from.max(group.begins + planned.hold + planned.offset());
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
    Ok(free_from)
}

/// A step and the faults that hit it.
#[derive(Default)]
struct Group {
    begins: Duration,
    call: Option<Call>,
    /// Whether a fault hits it already.
    hit: bool,
}

impl Group {
    fn take(&mut self, planned: &PlannedFault) -> Result<(), String> {
        match planned.during {
            None => {
                *self = Group {
                    begins: planned.at,
                    call: match planned.details {
                        Details::Admin(ref request) => Some(request.call),
                        _ => None,
                    },
                    hit: false,
                };
                Ok(())
            }
            Some(call) if self.call != Some(call) => Err(format!(
                "it is to hit `{call}`, so it has to stand right behind the `admin` that makes this call"
            )),
            Some(call) if self.hit => Err(format!(
                "`{call}` is hit by the fault before it already; one fault at a time"
            )),
            Some(_) => {
                self.hit = true;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
