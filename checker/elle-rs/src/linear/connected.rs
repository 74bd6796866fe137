//! Registers that no transaction ties together are decided apart.

use rustc_hash::FxHashMap;

use super::acts::{Act, Acts, Micro};
use super::operations::Part;
use super::values::{Atom, NIL};

/// The parts of a history of several registers: two transactions are in one if they touch a common
/// register, or others connect them. A part goes by the register named first in it; by none if it
/// is the only one.
pub(super) fn parts(whole: Part, acts: &Acts) -> Vec<Part> {
    let keys = |act: Act| {
        let steps = acts.transaction(act.a).iter();
        steps.map(|&(Micro::Read(key, _) | Micro::Write(key, _))| key)
    };
    let mut sets = Sets::default();
    for entry in &whole.entries {
        let mut keys = keys(entry.act);
        let first = keys.next().filter(|&first| first != NIL);
        // What touches nothing belongs nowhere, and a register without a name can give none.
        let Some(first) = first else {
            return vec![whole];
        };
        for key in keys {
            if key == NIL {
                return vec![whole];
            }
            sets.join(first, key);
        }
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut places: FxHashMap<Atom, usize> = FxHashMap::default();
    for entry in &whole.entries {
        let Some(first) = keys(entry.act).next() else {
            continue;
        };
        let place = *places.entry(sets.root(first)).or_insert_with(|| {
            parts.push(Part {
                key: first,
                entries: Vec::new(),
                failed: FxHashMap::default(),
            });
            parts.len() - 1
        });
        parts[place].entries.push(*entry);
    }
    match parts.len() {
        0 | 1 => vec![whole],
        _ => parts,
    }
}

/// Disjoint sets of registers.
#[derive(Default)]
struct Sets {
    above: FxHashMap<Atom, Atom>,
}

impl Sets {
    fn root(&mut self, of: Atom) -> Atom {
        let mut at = of;
        while let Some(&above) = self.above.get(&at) {
            // Halves the way for those that come later.
            if let Some(&higher) = self.above.get(&above) {
                self.above.insert(at, higher);
            }
            at = above;
        }
        at
    }

    fn join(&mut self, a: Atom, b: Atom) {
        let (a, b) = (self.root(a), self.root(b));
        if a != b {
            // The lower number on top, whatever the order in which they are joined.
            self.above.insert(a.max(b), a.min(b));
        }
    }
}
