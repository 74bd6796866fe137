//! Drawing a schedule from a seed: faults that are held, one after another. Those of a night, with
//! an operator's steps between and during them, come from [`night`].
//!
//! The same inputs give the same schedule for ever ([`dice`]).

mod choice;
mod dice;
mod entry;
mod night;
mod outlook;

use std::time::Duration;

use crate::catalogue::FaultName;
use crate::schedule::{Details, PlannedFault};

use dice::Dice;

pub use night::{Beginning, draw_night};

/// All times in milliseconds, drawn in steps of 100.
const FIRST_AT: (u64, u64) = (1_800, 2_400);
const HOLD: (u64, u64) = (1_500, 3_500);
const CALM: (u64, u64) = (1_000, 2_000);
/// The cluster has this long to settle after the last fault.
const CALM_AT_END: u64 = 2_000;

/// Draws the schedule of a run that lasts `duration` on `nodes` nodes: faults of
/// the enabled kinds one after another, each kind as often as the others. Kinds
/// that need more nodes are left out, and so are steps.
pub fn draw(seed: u64, duration: Duration, nodes: u16, enabled: &[FaultName]) -> Vec<PlannedFault> {
    let kinds = possible(nodes, enabled);
    let mut schedule = Vec::new();
    if kinds.is_empty() {
        return schedule;
    }
    let mut dice = Dice::of_faults(seed);
    let end = u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .saturating_sub(CALM_AT_END);
    let mut at = dice.between(FIRST_AT);
    let mut round = Vec::new();
    while at.saturating_add(HOLD.0) <= end {
        if round.is_empty() {
            round = dice.shuffled(&kinds);
        }
        let Some(fault) = round.pop() else { break };
        let target = dice.target(fault, nodes);
        let hold = dice.between(HOLD).min(end - at);
        schedule.push(PlannedFault {
            at: Duration::from_millis(at),
            when: None,
            until: None,
            hold: Duration::from_millis(hold),
            fault,
            target,
            details: Details::None,
            expect: Default::default(),
        });
        at += hold + dice.between(CALM);
    }
    schedule
}

/// The kinds that can be held on so many nodes, in the catalogue's order, so that the order of the
/// words given doesn't matter.
fn possible(nodes: u16, enabled: &[FaultName]) -> Vec<FaultName> {
    let possible = |fault: &FaultName| {
        let info = fault.info();
        enabled.contains(fault) && !info.step && nodes >= info.nodes_min
    };
    FaultName::ALL.into_iter().filter(possible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{to_toml, validate};
    use crate::target::Target;

    const HALF_A_MINUTE: Duration = Duration::from_secs(30);

    /// The first six, which stored seeds were drawn from; what came later must not change them.
    const FIRST: [FaultName; 6] = [
        FaultName::Kill,
        FaultName::Pause,
        FaultName::PartitionOne,
        FaultName::PartitionHalves,
        FaultName::PartitionMajorityRing,
        FaultName::PartitionOneWay,
    ];

    #[test]
    fn one_seed_gives_one_schedule_for_ever() {
        let drawn = to_toml(&draw(1, HALF_A_MINUTE, 3, &FIRST)).unwrap();
        assert_eq!(
            drawn,
            include_str!("../tests/drawn-from-seed-1.toml"),
            "stored runs could not be repeated any more"
        );
    }

    #[test]
    fn only_the_inputs_count() {
        let kinds = [FaultName::Pause, FaultName::Kill];
        let again = [FaultName::Kill, FaultName::Pause, FaultName::Kill];
        assert_eq!(
            draw(7, HALF_A_MINUTE, 3, &kinds),
            draw(7, HALF_A_MINUTE, 3, &again)
        );
        assert_ne!(
            draw(7, HALF_A_MINUTE, 3, &kinds),
            draw(8, HALF_A_MINUTE, 3, &kinds)
        );
    }

    #[test]
    fn drawn_schedules_can_be_carried_out() {
        for seed in 0..300 {
            for nodes in [1, 2, 3, 4, 5, 9] {
                for seconds in [0, 3, 5, 10, 30, 61] {
                    let duration = Duration::from_secs(seconds);
                    let schedule = draw(seed, duration, nodes, &FaultName::ALL);
                    validate(&schedule, nodes).unwrap();
                    for planned in &schedule {
                        assert!(planned.at >= Duration::from_millis(1_800));
                        assert!((1_500..=3_500).contains(&planned.hold.as_millis()));
                        assert!(planned.at + planned.hold + Duration::from_secs(2) <= duration);
                    }
                    for pair in schedule.windows(2) {
                        assert!(pair[1].at - pair[0].at - pair[0].hold >= Duration::from_secs(1));
                    }
                }
            }
        }
    }

    #[test]
    fn kinds_come_evenly_and_leaders_often() {
        let mut leaders = 0;
        let mut single = 0;
        for seed in 0..300 {
            let schedule = draw(seed, HALF_A_MINUTE, 3, &FaultName::ALL);
            assert!(
                (5..=8).contains(&schedule.len()),
                "{} faults in 30 s",
                schedule.len()
            );
            let count = |name| {
                schedule
                    .iter()
                    .filter(|planned| planned.fault == name)
                    .count()
            };
            let drawn = FaultName::ALL.into_iter().filter(|name| !name.info().step);
            let counts = drawn.map(count).collect::<Vec<_>>();
            assert!(
                counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1,
                "{counts:?}"
            );
            for planned in schedule
                .iter()
                .filter(|planned| matches!(planned.fault, FaultName::Kill | FaultName::Pause))
            {
                single += 1;
                leaders += usize::from(planned.target == Target::Leader);
            }
        }
        assert!(
            leaders * 2 > single && leaders < single,
            "{leaders} of {single}"
        );
    }
}
