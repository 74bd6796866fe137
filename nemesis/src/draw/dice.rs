//! What is random in a drawn schedule. The generator (ChaCha8), its key and the way numbers are
//! taken from it are all fixed here, and not left to a library whose next version may draw
//! otherwise.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::catalogue::FaultName;
use crate::target::Target;

/// Times are drawn in steps of so many milliseconds.
const STEP: u64 = 100;

pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// Those that faults alone are drawn with.
    pub(super) fn of_faults(seed: u64) -> Self {
        Self::new(*b"keyquake nemesis ________ plan 1", seed)
    }

    /// Those that nights with an operator are drawn with.
    pub(super) fn of_nights(seed: u64) -> Self {
        Self::new(*b"keyquake operator________ plan 1", seed)
    }

    fn new(mut key: [u8; 32], seed: u64) -> Self {
        key[17..25].copy_from_slice(&seed.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A number below `limit`, which is small: the bias of 2^-56 is nobody's.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(limit)) >> 64) as u64
    }

    pub(super) fn between(&mut self, (low, high): (u64, u64)) -> u64 {
        low + STEP * self.below((high - low) / STEP + 1)
    }

    /// One of some; `None` of none.
    pub(super) fn one_of<T>(&mut self, items: &mut Vec<T>) -> Option<T> {
        let at = self.below(items.len() as u64) as usize;
        (at < items.len()).then(|| items.swap_remove(at))
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A position, each as often as its weight says; `None` if all are zero.
    pub(super) fn weighted(&mut self, weights: &[u64]) -> Option<usize> {
        let mut left = self.below(weights.iter().sum());
        weights.iter().position(|&weight| {
            let here = left < weight;
            left = left.saturating_sub(weight);
            here
        })
    }

    /// Fisher and Yates.
    pub(super) fn shuffled<T: Clone>(&mut self, items: &[T]) -> Vec<T> {
        let mut items = items.to_vec();
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
        items
    }

    pub(super) fn target(&mut self, fault: FaultName, nodes: u16) -> Target {
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
