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
use keyquake_rollout::MemberChange;
use serde::{Deserialize, Serialize};

use crate::catalogue::FaultName;
use crate::faults;
use crate::group;
use crate::moment::{Moment, When};
use crate::operator::{CallRequest, Roll};
use crate::rollout::Expect;
use crate::target::Target;
use crate::until::Until;

/// One fault of a schedule. Its target and its details fit its kind: others can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "written::Written", into = "written::Written")]
pub struct PlannedFault {
    /// When it is applied, counted from the schedule's start; a step that takes long delays
    /// what comes after it. With `when`, counted from that moment (`after` in a plan).
    pub at: Duration,
    /// The moment it waits for.
    pub when: Option<When>,
    /// How long it is held before it is healed (`for` in a plan), at most if it has `until`; zero
    /// for a step.
    pub hold: Duration,
    /// What ends the hold before.
    pub until: Option<Until>,
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
    pub fn begins(&self) -> String {
        let time = humantime::format_duration(self.at);
        match &self.when {
            None => format!("at {time}"),
            Some(when) => format!("{time} after {}", when.moment),
        }
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

/// Checks a schedule against the size of a cluster: nodes that exist, entries in their
/// order, each possible on so many nodes, and none in the way of another.
///
/// Gives when the last one has been held to its end, if every moment comes as late as it may.
///
/// # Errors
/// With the first fault that can't be carried out, and why.
pub fn validate(schedule: &[PlannedFault], nodes: u16) -> Result<Duration, ScheduleError> {
    validate_with_spares(schedule, nodes, 0)
}

/// The same on a cluster with so many spares behind its members, which can be named too.
///
/// # Errors
/// As [`validate`].
pub fn validate_with_spares(
    schedule: &[PlannedFault],
    nodes: u16,
    spares: u16,
) -> Result<Duration, ScheduleError> {
    let all = nodes + spares;
    let mut end = Duration::ZERO;
    let mut last_at = Duration::ZERO;
    for (number, planned) in schedule.iter().enumerate() {
        let refuse = |reason: String| ScheduleError::Fault {
            number: number + 1,
            fault: planned.fault,
            at: planned.begins(),
            reason,
        };
        if planned.when.is_none() {
            if planned.at < last_at {
                let last = humantime::format_duration(last_at);
                return Err(refuse(format!(
                    "the one before it begins at {last}; they stand in the order in which they begin"
                )));
            }
            last_at = planned.at;
        }
        check_moment(schedule, number, nodes, all).map_err(&refuse)?;
        group::check_in_nobodys_way(schedule, number).map_err(&refuse)?;
        end = end.max(group::ends(schedule, number));
        let min = planned.fault.info().nodes_min;
        if nodes < min {
            return Err(refuse(format!(
                "it needs at least {min} nodes, the cluster has {nodes}"
            )));
        }
        if let Some(&stranger) = planned.target.named().iter().find(|&&node| node >= all) {
            return Err(refuse(no_such_node(stranger, all)));
        }
        if planned.target == Target::Follower && nodes < 2 {
            return Err(refuse("a cluster of one node has no follower".into()));
        }
        faults::check_size(planned, nodes).map_err(refuse)?;
    }
    Ok(end)
}

fn no_such_node(node: u16, nodes: u16) -> String {
    let name = node_name(node);
    format!("there is no {name}, the cluster has {nodes} nodes")
}

/// Whether the moment that an entry waits for can come.
fn check_moment(
    schedule: &[PlannedFault],
    number: usize,
    nodes: u16,
    all: u16,
) -> Result<(), String> {
    let Some(When { moment, .. }) = &schedule[number].when else {
        return Ok(());
    };
    if let Some(call) = moment.call()
        && group::call_of(schedule, number).is_none()
    {
        return Err(format!(
            "it is to hit `{call}`, so it has to stand behind the `admin` that makes this call, \
             with nothing `at` a time between them"
        ));
    }
    if let (Moment::Between(call), 0..2) = (moment, nodes) {
        return Err(format!(
            "nothing is between the members that have done `{call}` and those that have not where \
             there is one"
        ));
    }
    match moment.node() {
        Some(stranger) if stranger >= all => Err(no_such_node(stranger, all)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
