//! What of a schedule belongs together: an entry with `at`, and the moments that stand behind it.
//! They are armed together, and run side by side. And who is in whose way.

use std::time::Duration;

use keyquake_cluster::node_name;

use crate::catalogue::FaultName;
use crate::moment::Moment;
use crate::schedule::{Details, PlannedFault};
use crate::target::Target;

/// The entry with `at` whose group an entry is in (its own, if it has one); `None` is the group of
/// the moments before the first `at`.
pub(crate) fn anchor(schedule: &[PlannedFault], number: usize) -> Option<usize> {
    (0..=number).rfind(|&earlier| schedule[earlier].when.is_none())
}

/// The entries that wait for moments in a group.
pub(crate) fn moments(
    schedule: &[PlannedFault],
    anchor: Option<usize>,
) -> impl Iterator<Item = usize> {
    let first = anchor.map_or(0, |anchor| anchor + 1);
    let waits = move |&number: &usize| schedule[number].when.is_some();
    (first..schedule.len()).take_while(waits)
}

/// The `admin` whose call a moment belongs to: the nearest one before it in its group.
pub(crate) fn call_of(schedule: &[PlannedFault], number: usize) -> Option<usize> {
    let call = schedule[number].when.as_ref()?.moment.call()?;
    let first = anchor(schedule, number).unwrap_or(0);
    (first..number).rfind(|&earlier| match &schedule[earlier].details {
        Details::Admin(request) => request.call == call,
        _ => false,
    })
}

/// Whether an entry is a call that something else may hit: then its answer may be lost.
pub fn is_struck(schedule: &[PlannedFault], number: usize) -> bool {
    let is_call = matches!(schedule[number].details, Details::Admin(_));
    is_call && moments(schedule, anchor(schedule, number)).any(|other| other != number)
}

/// When an entry's group begins, if nothing before it takes too long.
pub(crate) fn begins(schedule: &[PlannedFault], number: usize) -> Duration {
    anchor(schedule, number).map_or(Duration::ZERO, |anchor| schedule[anchor].at)
}

/// When an entry has been held to its end at the latest, if nothing takes too long.
pub(crate) fn ends(schedule: &[PlannedFault], number: usize) -> Duration {
    let planned = &schedule[number];
    let after = match &planned.when {
        Some(when) => when.waits_at_most() + planned.at,
        None => Duration::ZERO,
    };
    begins(schedule, number) + after + planned.hold
}

/// From when to when an entry is held, where a plan can know it.
fn is_held(schedule: &[PlannedFault], number: usize) -> Option<(Duration, Duration)> {
    let planned = &schedule[number];
    let from = match &planned.when {
        None => planned.at,
        Some(when) if matches!(when.moment, Moment::During(_)) => {
            begins(schedule, number) + planned.at
        }
        Some(_) => return None,
    };
    Some((from, from + planned.hold))
}

/// Refuses an entry that must come into force while an earlier one is in force on the same.
pub(crate) fn check_in_nobodys_way(schedule: &[PlannedFault], number: usize) -> Result<(), String> {
    let Some((from, to)) = is_held(schedule, number) else {
        return Ok(());
    };
    let planned = &schedule[number];
    let ours = Touch::of(planned, &planned.target.named());
    for (position, earlier) in schedule[..number].iter().enumerate() {
        let Some((began, ended)) = is_held(schedule, position) else {
            continue;
        };
        let theirs = Touch::of(earlier, &earlier.target.named());
        let everybody = [planned, earlier]
            .iter()
            .any(|one| one.target == Target::All);
        let what = match (&ours, &theirs) {
            // Whoever a role means, it is one of all.
            (Touch::Nodes(_), Touch::Nodes(_)) if everybody => {
                Some("a node of it is held".to_owned())
            }
            _ => ours.shares(&theirs),
        };
        let apart = ended <= from || (began >= to && began > from);
        if let (false, Some(what)) = (apart, what) {
            return Err(format!(
                "{what} until {} by fault {} (`{}`); what is in force at the same time must \
                 touch different things",
                humantime::format_duration(ended),
                position + 1,
                earlier.title(),
            ));
        }
    }
    Ok(())
}

/// What an entry takes hold of while it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Nothing that another one could be in the way of.
    Nothing,
    /// The network: one partition at a time can be measured.
    Links,
    /// What these nodes are made of: their processes above all.
    Nodes(Vec<u16>),
}

impl Touch {
    /// What an entry touches that is aimed at these nodes.
    pub(crate) fn of(planned: &PlannedFault, nodes: &[u16]) -> Self {
        match planned.fault {
            FaultName::Admin | FaultName::Transfer => Touch::Nothing,
            fault if fault.info().needs_links => Touch::Links,
            _ => Touch::Nodes(nodes.to_vec()),
        }
    }

    /// What both touch, in words.
    pub(crate) fn shares(&self, other: &Touch) -> Option<String> {
        match (self, other) {
            (Touch::Links, Touch::Links) => Some("the network is held".to_owned()),
            (Touch::Nodes(ours), Touch::Nodes(theirs)) => {
                let both = ours.iter().find(|node| theirs.contains(node))?;
                Some(format!("{} is held", node_name(*both)))
            }
            _ => None,
        }
    }
}
