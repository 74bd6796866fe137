//! Drawing a schedule from a seed.
//!
//! The same inputs give the same schedule for ever: the generator (ChaCha8), its
//! key and the way numbers are taken from it are all fixed here, and not left
//! to a library whose next version may draw otherwise.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::catalogue::FaultName;
use crate::schedule::{Details, PlannedFault};
use crate::target::Target;

/// All times in milliseconds, drawn in steps of 100.
const FIRST_AT: (u64, u64) = (1_800, 2_400);
const HOLD: (u64, u64) = (1_500, 3_500);
const CALM: (u64, u64) = (1_000, 2_000);
/// The cluster has this long to settle after the last fault.
const CALM_AT_END: u64 = 2_000;
const STEP: u64 = 100;

/// Draws the schedule of a run that lasts `duration` on `nodes` nodes: faults of
/// the enabled kinds one after another, each kind as often as the others. Kinds
/// that need more nodes are left out, and so are steps.
pub fn draw(seed: u64, duration: Duration, nodes: u16, enabled: &[FaultName]) -> Vec<PlannedFault> {
    let possible = |fault: &FaultName| {
        let info = fault.info();
        enabled.contains(fault) && !info.step && nodes >= info.nodes_min
    };
    // In the catalogue's order, so that the order of the words given doesn't matter.
    let kinds = FaultName::ALL
        .into_iter()
        .filter(possible)
        .collect::<Vec<_>>();
    let mut schedule = Vec::new();
    if kinds.is_empty() {
        return schedule;
    }
    let mut dice = Dice::new(seed);
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

struct Dice(ChaCha8Rng);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut key = *b"keyquake nemesis ________ plan 1";
        key[17..25].copy_from_slice(&seed.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A number below `limit`, which is small: the bias of 2^-56 is nobody's.
    fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(limit)) >> 64) as u64
    }

    fn between(&mut self, (low, high): (u64, u64)) -> u64 {
        low + STEP * self.below((high - low) / STEP + 1)
    }

    /// Fisher and Yates.
    fn shuffled<T: Clone>(&mut self, items: &[T]) -> Vec<T> {
        let mut items = items.to_vec();
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
        items
    }

    fn target(&mut self, fault: FaultName, nodes: u16) -> Target {
        let order = self.shuffled(&(0..nodes).collect::<Vec<_>>());
        match fault {
            FaultName::PartitionHalves => {
                let (mut minority, mut majority) = (
                    order[..order.len() / 2].to_vec(),
                    order[order.len() / 2..].to_vec(),
                );
                minority.sort_unstable();
                majority.sort_unstable();
                Target::Groups(vec![minority, majority])
            }
            FaultName::PartitionMajorityRing => Target::Nodes(order),
            FaultName::PartitionOneWay if self.below(2) == 0 => {
                Target::Cuts(vec![(order[0], order[1])])
            }
            FaultName::Restart if self.below(4) == 0 => Target::All,
            _ => self.node(order[0], nodes),
        }
    }

    /// The leader three times out of five: breaking it is what hurts.
    fn node(&mut self, any: u16, nodes: u16) -> Target {
        match self.below(5) {
            0..=2 => Target::Leader,
            3 if nodes > 1 => Target::Follower,
            _ => Target::Nodes(vec![any]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{to_toml, validate};

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
