//! A key of a map whose texts can be appended to.
//!
//! A state is a text, but only those matter that begin some text that is looked for: whatever else
//! is there can never be seen again, until it is put anew. So a state is a place in the sorted
//! list of the texts looked for: the first that begins with it, and how much of it.

use rustc_hash::FxHashMap;

use crate::history::stream::{Symbols, Token};
use crate::linear::acts::{Act, Verb};
use crate::linear::model::Model;
use crate::linear::values::{Atom, NIL, Values};

/// What is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Text {
    /// Nothing.
    Missing,
    /// The beginning of a text that is looked for: its place, and the length in bytes.
    Seen(u32, u32),
    /// A text that none of those looked for begins with.
    Unseen,
}

/// The value under one key: put, got, appended to, deleted, compared and set.
pub struct KvMapModel {
    /// The texts looked for, sorted.
    looked_for: Vec<Box<[u8]>>,
    /// Of each value: its text.
    texts: FxHashMap<Atom, Box<[u8]>>,
    /// Where each value stands among the texts looked for.
    whole: FxHashMap<Atom, Text>,
}

/// Strings are their bytes; other values their spelling behind a byte that no string begins with.
fn text_of(atom: Atom, values: &Values, symbols: &Symbols) -> Box<[u8]> {
    match values.value(atom).token() {
        Token::Text(text) => symbols.spelling(text).as_bytes().into(),
        _ => {
            let spelled = values.value(atom).display(symbols).to_string();
            [b"\xff", spelled.as_bytes()].concat().into()
        }
    }
}

impl KvMapModel {
    /// For these acts.
    pub fn new(
        acts: impl Iterator<Item = Act> + Clone,
        values: &Values,
        symbols: &Symbols,
    ) -> Self {
        let mut texts: FxHashMap<Atom, Box<[u8]>> = FxHashMap::default();
        let mut looked_for: Vec<Box<[u8]>> = Vec::new();
        for act in acts {
            for atom in [act.a, act.b] {
                if atom != NIL && !texts.contains_key(&atom) {
                    texts.insert(atom, text_of(atom, values, symbols));
                }
            }
            if matches!(act.verb, Verb::Read | Verb::Update | Verb::Refused)
                && let Some(text) = texts.get(&act.a)
            {
                looked_for.push(text.clone());
            }
        }
        looked_for.sort_unstable();
        looked_for.dedup();
        let mut model = KvMapModel {
            looked_for,
            texts,
            whole: FxHashMap::default(),
        };
        model.whole = model
            .texts
            .iter()
            .map(|(&atom, text)| (atom, model.place(&[], text)))
            .collect();
        model
    }

    /// Where a text stands, given in two halves.
    fn place(&self, head: &[u8], tail: &[u8]) -> Text {
        let whole = head.len() + tail.len();
        let compared = |text: &[u8]| {
            let split = head.len().min(text.len());
            let end = whole.min(text.len());
            text[..split]
                .cmp(head)
                .then_with(|| text[split..end].cmp(tail))
        };
        let at = self
            .looked_for
            .partition_point(|text| compared(text) == std::cmp::Ordering::Less);
        match self.looked_for.get(at) {
            Some(text) if text.len() >= whole && compared(text).is_eq() => {
                Text::Seen(at as u32, whole as u32)
            }
            _ => Text::Unseen,
        }
    }

    fn bytes(&self, state: Text) -> &[u8] {
        match state {
            Text::Seen(at, length) => &self.looked_for[at as usize][..length as usize],
            Text::Missing | Text::Unseen => &[],
        }
    }

    fn text(&self, atom: Atom) -> &[u8] {
        self.texts.get(&atom).map_or(&[], |text| text)
    }

    fn put(&self, atom: Atom) -> Text {
        if atom == NIL {
            return Text::Missing;
        }
        self.whole.get(&atom).copied().unwrap_or(Text::Unseen)
    }

    /// A key that is not there reads as `nil`, and (as Porcupine has it) as an empty text.
    fn is(&self, now: Text, atom: Atom) -> bool {
        match now {
            Text::Missing => atom == NIL || self.text(atom).is_empty(),
            Text::Unseen => false,
            Text::Seen(..) => atom != NIL && self.bytes(now) == self.text(atom),
        }
    }
}

impl Model for KvMapModel {
    type Op = Act;
    type State = Text;

    fn initial(&self) -> Text {
        Text::Missing
    }

    fn step(&self, &now: &Text, act: &Act, next: &mut dyn FnMut(Text)) {
        match act.verb {
            Verb::Read if self.is(now, act.a) => next(now),
            Verb::Refused if !self.is(now, act.a) => next(now),
            Verb::Write => next(self.put(act.a)),
            Verb::Update if self.is(now, act.a) => next(self.put(act.b)),
            Verb::Append if now == Text::Unseen => next(now),
            Verb::Append => next(self.place(self.bytes(now), self.text(act.a))),
            Verb::Delete => next(Text::Missing),
            _ => {}
        }
    }

    fn only_looks(&self, act: &Act) -> bool {
        matches!(act.verb, Verb::Read | Verb::Refused)
    }
}
