//! The canaries that a run planted: which value, where it may stand in the clear, and whether
//! it has to be on the disks at all.

use elle_rs::history::{Action, Event, Key, Kind, Op, Phase, Step, Value};
use keyquake_formats::canary::{CANARY_BYTES, Canary};
use rustc_hash::FxHashMap;

/// Where a value may stand in the clear, by when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MayStand {
    /// Anywhere: it was written, or may have been, before phase 1.
    Anywhere,
    /// In the Raft log only: between phase 1 and phase 2.
    InLog,
    /// Nowhere: after phase 2.
    Nowhere,
}

/// A planted value.
#[derive(Clone, Debug)]
pub(crate) struct Planted {
    pub(crate) key: Key,
    pub(crate) value: Value,
    pub(crate) may_stand: MayStand,
    /// It was read back at the end, so it lies on the disks in some form.
    pub(crate) living: bool,
}

/// All planted values of a run.
pub struct Canaries {
    canary: Canary,
    planted: Vec<Planted>,
    places: FxHashMap<(Key, Value), usize>,
}

impl Canaries {
    /// None yet, in the run with these canaries.
    pub fn new(canary: Canary) -> Canaries {
        Canaries {
            canary,
            planted: Vec::new(),
            places: FxHashMap::default(),
        }
    }

    /// The values that the operations of a history may have written. `may_stand` is asked
    /// with the invocation of each.
    pub fn of_history<'a>(
        canary: Canary,
        events: impl IntoIterator<Item = &'a Event>,
        may_stand: impl Fn(&Op) -> MayStand,
    ) -> Canaries {
        let mut canaries = Canaries::new(canary);
        let mut reading_back = false;
        for event in events {
            match event {
                Event::Phase(phase) => reading_back = phase.phase == Phase::Final,
                Event::Op(op) if op.kind == Kind::Invoke => {
                    for (key, value) in written(&op.action) {
                        canaries.plant(key, value, may_stand(op));
                    }
                }
                Event::Op(op) if op.kind == Kind::Ok && reading_back => {
                    for (key, value) in read(&op.action) {
                        canaries.must_be_there(key, value);
                    }
                }
                _ => {}
            }
        }
        canaries
    }

    /// Adds a value that was, or may have been, written under a key. Of a value that was written
    /// twice nobody can tell which write left it: it may stand where either may.
    pub fn plant(&mut self, key: Key, value: Value, may_stand: MayStand) {
        if let Some(place) = self.places.get(&(key, value)) {
            let known = &mut self.planted[*place].may_stand;
            *known = may_stand.min(*known);
            return;
        }
        self.places.insert((key, value), self.planted.len());
        self.planted.push(Planted {
            key,
            value,
            may_stand,
            living: false,
        });
    }

    /// Says that a planted value is part of the store's last state, so that it lies on its
    /// disks. A value that was never planted is nobody's canary.
    pub fn must_be_there(&mut self, key: Key, value: Value) {
        if let Some(place) = self.places.get(&(key, value)) {
            self.planted[*place].living = true;
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.planted.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.planted.is_empty()
    }

    pub(crate) fn planted(&self) -> &[Planted] {
        &self.planted
    }

    /// The bytes to look for, in the order of [`Canaries::planted`].
    pub(crate) fn needles(&self) -> impl Iterator<Item = [u8; CANARY_BYTES]> {
        let planted = self.planted.iter();
        planted.map(|planted| self.canary.canary(planted.key, planted.value))
    }
}

fn written(action: &Action) -> Vec<(Key, Value)> {
    match action {
        Action::Read { .. } => Vec::new(),
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

fn read(action: &Action) -> Vec<(Key, Value)> {
    match action {
        Action::Read { key, value } => value.map(|value| (*key, value)).into_iter().collect(),
        Action::Txn { steps } => steps
            .iter()
            .filter_map(|step| match step {
                Step::Read { key, list } => Some((key, list.as_deref().unwrap_or_default())),
                Step::Append { .. } => None,
            })
            .flat_map(|(key, list)| list.iter().map(|value| (*key, *value)))
            .collect(),
        Action::Write { .. } | Action::Swap { .. } | Action::Cas { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use elle_rs::history::PhaseEvent;

    use super::*;

    fn op(index: u64, kind: Kind, action: Action) -> Event {
        Event::Op(Op {
            index,
            time_ns: index,
            process: 0,
            kind,
            action,
            node: None,
            error: None,
        })
    }

    #[test]
    fn a_history_says_what_was_written_when_and_what_is_left() {
        let append = |value| Action::Txn {
            steps: vec![Step::Append { key: 9, value }],
        };
        let list = |list| Action::Txn {
            steps: vec![Step::Read { key: 9, list }],
        };
        let register = |value| Action::Read { key: 1, value };
        let events = [
            op(0, Kind::Invoke, Action::Write { key: 1, value: 5 }),
            op(1, Kind::Info, Action::Write { key: 1, value: 5 }),
            op(2, Kind::Invoke, append(6)),
            op(3, Kind::Ok, append(6)),
            op(4, Kind::Invoke, append(7)),
            op(5, Kind::Ok, list(Some(vec![7]))),
            Event::Phase(PhaseEvent {
                index: 6,
                time_ns: 6,
                phase: Phase::Final,
            }),
            op(7, Kind::Invoke, register(None)),
            op(8, Kind::Ok, register(Some(77))),
            op(9, Kind::Ok, list(Some(vec![6]))),
        ];
        let canaries = Canaries::of_history(Canary::of_seed(1), &events, |op| match op.index {
            0..2 => MayStand::Anywhere,
            2..4 => MayStand::InLog,
            _ => MayStand::Nowhere,
        });
        let seen: Vec<_> = canaries
            .planted()
            .iter()
            .map(|p| (p.key, p.value, p.may_stand, p.living))
            .collect();
        let expected = [
            (1, 5, MayStand::Anywhere, false),
            (9, 6, MayStand::InLog, true),
            (9, 7, MayStand::Nowhere, false),
        ];
        assert_eq!(seen, expected);
        assert_eq!(
            canaries.needles().nth(1),
            Some(Canary::of_seed(1).canary(9, 6))
        );
    }
}
