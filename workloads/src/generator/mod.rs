//! What clients ask for: a sequence of actions that depends on the seed and the options only.
//!
//! Written so that histories are decidable: no value is written twice in a run's workload.
//! Random numbers are drawn by our own few lines over ChaCha8, so that a seed means the same
//! under every release of every library.

use std::ops::Range;

use elle_rs::history::{Action, Key};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::client::Capabilities;
use crate::options::{WorkloadName, WorkloadOptions};

mod append;
mod register;

pub use append::Append;
pub use register::{Register, Seen};

/// Keys of the workload at position p of a plan are `p * KEYS_PER_WORKLOAD ..`, so that no two
/// workloads of a run share one.
pub const KEYS_PER_WORKLOAD: Key = 10_000_000;

/// A workload's source of actions.
pub enum Generator {
    /// Of the `register` workload.
    Register(Register),
    /// Of the `append` workload.
    Append(Append),
}

impl Generator {
    /// The generator of the workload at `position` of the plan.
    pub fn new(
        options: &WorkloadOptions,
        capabilities: Capabilities,
        seed: u64,
        position: u16,
    ) -> Self {
        let first_key = Key::from(position) * KEYS_PER_WORKLOAD;
        let rng = stream(seed, position, Purpose::Actions);
        match options.name {
            WorkloadName::Register => {
                Self::Register(Register::new(options, capabilities, first_key, rng))
            }
            WorkloadName::Append => Self::Append(Append::new(options, first_key, rng)),
        }
    }

    /// The next action, for a client that has seen `seen`; `None` once all keys of the
    /// workload are used up (after hundreds of millions of appends).
    pub fn next(&mut self, seen: &Seen) -> Option<Action> {
        match self {
            Self::Register(register) => Some(register.next(seen)),
            Self::Append(append) => append.next(),
        }
    }

    /// All keys that actions given out so far can have touched.
    pub fn keys(&self) -> Range<Key> {
        match self {
            Self::Register(register) => register.keys(),
            Self::Append(append) => append.keys(),
        }
    }
}

/// What a stream of random numbers is for. Streams are independent, so that drawing more of
/// one leaves the others as they are.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Actions = 0,
    Arrivals = 1,
    Nodes = 2,
}

/// The stream of random numbers of one purpose in the workload at `position`.
pub(crate) fn stream(seed: u64, position: u16, purpose: Purpose) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(position) * 8 + purpose as u64 + 1);
    rng
}

/// A number below `bound`, which is not 0. The bias is under `bound / 2^64`.
pub(crate) fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use elle_rs::history::{Step, Value};
    use proptest::prelude::*;

    use super::*;

    const FULL: Capabilities = Capabilities {
        swap: true,
        compare_and_set: true,
        transactions: true,
    };
    const PLAIN: Capabilities = Capabilities {
        swap: false,
        compare_and_set: false,
        transactions: false,
    };

    fn take(
        options: &WorkloadOptions,
        capabilities: Capabilities,
        seed: u64,
        count: usize,
    ) -> (Vec<Action>, Range<Key>) {
        let mut generator = Generator::new(options, capabilities, seed, 1);
        let mut seen = Seen::default();
        let actions = (0..count)
            .map(|_| {
                let action = generator.next(&seen).unwrap();
                seen.note(&action);
                action
            })
            .collect();
        (actions, generator.keys())
    }

    fn writes(action: &Action) -> Vec<(Key, Value)> {
        match action {
            Action::Read { .. } => vec![],
            Action::Write { key, value }
            | Action::Swap { key, value, .. }
            | Action::Cas { key, value, .. } => vec![(*key, *value)],
            Action::Txn { steps } => steps
                .iter()
                .filter_map(|step| match step {
                    Step::Append { key, value } => Some((*key, *value)),
                    Step::Read { .. } => None,
                })
                .collect(),
        }
    }

    fn keys_of(action: &Action) -> Vec<Key> {
        match action {
            Action::Read { key, .. }
            | Action::Write { key, .. }
            | Action::Swap { key, .. }
            | Action::Cas { key, .. } => vec![*key],
            Action::Txn { steps } => steps
                .iter()
                .map(|step| match step {
                    Step::Append { key, .. } | Step::Read { key, .. } => *key,
                })
                .collect(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

        #[test]
        fn the_same_seed_gives_the_same_actions(
            seed: u64, append: bool, cas: bool, keys in 1u32..20, rotate in 1u32..100,
        ) {
            let name = if append { WorkloadName::Append } else { WorkloadName::Register };
            let mut options = WorkloadOptions::of(name);
            options.cas = cas && !append;
            options.keys = keys;
            options.appends_per_key = rotate;
            let (first, range) = take(&options, FULL, seed, 400);
            let (second, _) = take(&options, FULL, seed, 400);
            prop_assert_eq!(&first, &second);
            let (other, _) = take(&options, FULL, seed.wrapping_add(1), 400);
            prop_assert_ne!(&first, &other);

            let written: Vec<_> = first.iter().flat_map(writes).collect();
            let distinct: HashSet<Value> = written.iter().map(|(_, value)| *value).collect();
            prop_assert_eq!(distinct.len(), written.len());
            prop_assert!(!distinct.contains(&0) && !distinct.contains(&crate::CORRUPT_VALUE));
            for key in first.iter().flat_map(keys_of) {
                prop_assert!(range.contains(&key), "key {} outside {:?}", key, range);
            }
        }
    }

    #[test]
    fn what_a_client_saw_changes_only_what_compare_and_set_expects() {
        let mut options = WorkloadOptions::of(WorkloadName::Register);
        options.cas = true;
        let mut informed = Generator::new(&options, FULL, 5, 0);
        let mut ignorant = Generator::new(&options, FULL, 5, 0);
        let mut seen = Seen::default();
        let mut compared = 0;
        for _ in 0..500 {
            let left = informed.next(&seen).unwrap();
            let right = ignorant.next(&Seen::default()).unwrap();
            assert_eq!(keys_of(&left), keys_of(&right));
            assert_eq!(writes(&left), writes(&right));
            assert!(!matches!(right, Action::Cas { .. }));
            compared += u32::from(matches!(left, Action::Cas { .. }));
            seen.note(&left);
        }
        assert!(compared > 50, "{compared} compare-and-sets");
    }

    #[test]
    fn the_register_mix_is_as_documented() {
        let options = WorkloadOptions::of(WorkloadName::Register);
        let share = |actions: &[Action], is: fn(&Action) -> bool| {
            actions.iter().filter(|action| is(action)).count() * 100 / actions.len()
        };
        let (actions, _) = take(&options, FULL, 1, 20_000);
        assert!((43..=47).contains(&share(&actions, |a| matches!(a, Action::Read { .. }))));
        assert!((23..=27).contains(&share(&actions, |a| matches!(a, Action::Write { .. }))));
        assert!((28..=32).contains(&share(&actions, |a| matches!(a, Action::Swap { .. }))));
        let (actions, _) = take(&options, PLAIN, 1, 20_000);
        assert_eq!(share(&actions, |a| matches!(a, Action::Swap { .. })), 0);
        assert!((43..=47).contains(&share(&actions, |a| matches!(a, Action::Read { .. }))));
    }

    #[test]
    fn lists_are_rotated_and_transactions_stay_small() {
        let options = WorkloadOptions::of(WorkloadName::Append);
        let (actions, range) = take(&options, FULL, 9, 5_000);
        assert_eq!(range.start, KEYS_PER_WORKLOAD);
        let mut appends = std::collections::HashMap::<Key, u32>::new();
        for action in &actions {
            assert!((1..=4).contains(&keys_of(action).len()));
            for (key, _) in writes(action) {
                *appends.entry(key).or_default() += 1;
            }
        }
        assert!(appends.values().all(|count| *count <= 64));
        let full = appends.values().filter(|count| **count == 64).count();
        assert_eq!(appends.len() - full, 6, "all but the active lists are full");
    }

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let (actions, _) = take(&WorkloadOptions::of(WorkloadName::Append), FULL, 7, 3);
        let (registers, _) = take(&WorkloadOptions::of(WorkloadName::Register), FULL, 7, 3);
        assert_eq!(
            format!("{actions:?} {registers:?}"),
            include_str!("pinned.txt").trim()
        );
    }

    #[test]
    fn running_out_of_keys_is_said() {
        let mut options = WorkloadOptions::of(WorkloadName::Append);
        options.keys = 1;
        options.appends_per_key = 1;
        let rng = stream(1, 0, Purpose::Actions);
        let mut append = Append::with_key_range(&options, 0..50, rng);
        let given = std::iter::from_fn(|| append.next()).take(1000).count();
        assert!(
            given < 60,
            "{given} transactions over 50 lists of one append"
        );
        assert_eq!(append.keys().end, 50);
    }
}
