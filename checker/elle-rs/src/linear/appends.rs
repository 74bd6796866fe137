//! Texts that are appended to, as a register. Where no text that is put or appended begins another, a
//! text that was read tells what it was put together from, in which order. So an append that was seen
//! is an update, from all that stands before it in that text to that and its own; and one that nobody
//! saw is a write of what nobody saw: until the next put, nothing behind it was seen either.
//!
//! A text that several put or append tells of somebody, and not of whom. Behind a text that only one
//! put or appended, though, it makes a text that was there once, for one stretch of time: as if by an
//! update of somebody who was asked at the beginning and never answered. Whoever may be that somebody is
//! left out. Every order of all is one of these as well, so where these have none there is none; an
//! order of these alone says nothing.

use rustc_hash::FxHashMap;

use super::acts::Verb;
use super::operations::{Operations, Part};
use super::values::{Atom, NIL};
use crate::history::stream::Token;
use crate::register::Effect;

/// Something put or appended.
struct Piece<'a> {
    text: &'a [u8],
    /// The first who did.
    id: u32,
    /// Whether it was only put.
    begins: bool,
    /// Whether others did as well.
    many: bool,
}

/// What stands in a text up to some place.
#[derive(Clone, Copy)]
enum Before {
    Nothing,
    /// What was there once, for one stretch of time.
    Value(u64),
    /// What may have been there several times.
    Unclear,
}

/// What a text is that ends with the piece of this operation: no value has that number.
pub(super) fn value(id: u32) -> u64 {
    (1 << 32) + u64::from(id)
}

/// What the texts say of a part, as a register.
pub(super) struct Effects {
    /// What each operation does. `None`: nobody can tell, so it is left out.
    pub each: Vec<Option<Effect>>,
    /// What was done besides, by some of those left out.
    pub others: Vec<Effect>,
    /// Whether that is all that the texts say: if a piece was seen behind different texts, only one of
    /// them is told. (It is true, too; but an order that has room for it says nothing.)
    pub is_all: bool,
}

/// `None` where texts may be taken for others.
pub(super) fn effects(part: &Part, operations: &Operations) -> Option<Effects> {
    let text = |atom: Atom| match operations.values.value(atom).token() {
        Token::Text(text) => Some(operations.symbols.spelling(text).as_bytes()),
        _ => None,
    };
    let mut pieces: Vec<Piece> = Vec::new();
    let mut reads: Vec<(&[u8], Atom)> = Vec::new();
    for (id, entry) in (0..).zip(&part.entries) {
        match entry.act.verb {
            Verb::Read if entry.act.a == NIL => {}
            Verb::Read => reads.push((text(entry.act.a)?, entry.act.a)),
            Verb::Write | Verb::Append => pieces.push(Piece {
                text: text(entry.act.a)?,
                id,
                begins: entry.act.verb == Verb::Write,
                many: false,
            }),
            _ => return None,
        }
    }
    let mut left_out = vec![false; part.entries.len()];
    pieces.sort_unstable_by_key(|piece| (piece.text, piece.id));
    pieces.dedup_by(|next, first| {
        let same = next.text == first.text;
        if same {
            first.many = true;
            first.begins &= next.begins;
            left_out[first.id as usize] = true;
            left_out[next.id as usize] = true;
        }
        same
    });
    // Of sorted texts that one begins, the next is one.
    let follows = |pair: &[Piece]| pair[1].text.starts_with(pair[0].text);
    if pieces.first().is_some_and(|piece| piece.text.is_empty()) || pieces.windows(2).any(follows) {
        return None;
    }
    reads.sort_unstable();
    reads.dedup();
    let together = put_together(&pieces, &reads, part.entries.len() as u32);
    let each = (0..).zip(&part.entries).map(|(id, entry)| {
        if left_out[id as usize] {
            return None;
        }
        let value = value(id);
        Some(match entry.act.verb {
            Verb::Read => Effect::Read {
                value: match together.whole.get(&entry.act.a) {
                    None | Some(Before::Nothing) => None,
                    Some(&Before::Value(value)) => Some(value),
                    Some(Before::Unclear) => return None,
                },
            },
            Verb::Write => Effect::Write { value },
            _ => match together.before[id as usize] {
                Some(Before::Nothing) => Effect::Update { old: None, value },
                Some(Before::Value(old)) => {
                    let old = Some(old);
                    Effect::Update { old, value }
                }
                Some(Before::Unclear) | None => Effect::Write { value },
            },
        })
    });
    Some(Effects {
        each: each.collect(),
        is_all: together.agree && pieces.iter().all(|piece| !piece.many),
        others: together.others,
    })
}

struct Together {
    /// What each text read is. Its own number, which nobody puts, if it has no end.
    whole: FxHashMap<Atom, Before>,
    /// Of each operation: what stood before it, if it was seen.
    before: Vec<Option<Before>>,
    others: Vec<Effect>,
    /// Whether each piece was seen behind one text only.
    agree: bool,
}

/// Reads are sorted, so that what two have in common is looked at once.
fn put_together(pieces: &[Piece], reads: &[(&[u8], Atom)], operations: u32) -> Together {
    let mut together = Together {
        whole: FxHashMap::default(),
        before: vec![None; operations as usize],
        others: Vec::new(),
        agree: true,
    };
    let mut stack: Vec<(usize, Before)> = Vec::new();
    let mut previous: &[u8] = &[];
    for &(text, atom) in reads {
        let both = previous.iter().zip(text);
        let common = both.take_while(|(one, other)| one == other).count();
        previous = text;
        while stack.last().is_some_and(|&(end, _)| end > common) {
            stack.pop();
        }
        let is_whole = loop {
            let (end, old) = stack.last().copied().unwrap_or((0, Before::Nothing));
            let rest = &text[end..];
            if rest.is_empty() {
                break true;
            }
            // If one of them begins the rest, it is the last that does not stand behind it.
            let place = pieces.partition_point(|piece| piece.text <= rest);
            let found = place.checked_sub(1).map(|place| &pieces[place]);
            let fits = |piece: &&Piece| rest.starts_with(piece.text) && !(piece.begins && end > 0);
            let Some(piece) = found.filter(fits) else {
                break false;
            };
            let now = together.follow(piece, old, operations);
            stack.push((end + piece.text.len(), now));
        };
        let whole = stack.last().filter(|_| is_whole).map(|&(_, whole)| whole);
        if !text.is_empty() {
            let nobodys = Before::Value(atom.into());
            together.whole.insert(atom, whole.unwrap_or(nobodys));
        }
    }
    together
}

impl Together {
    /// What a piece makes of what it stands behind. (Of two texts with a beginning in common, that is
    /// looked at once: so each text that somebody made is met once.)
    fn follow(&mut self, piece: &Piece, old: Before, operations: u32) -> Before {
        if !piece.many {
            match &mut self.before[piece.id as usize] {
                Some(_) => self.agree = false,
                slot => *slot = Some(old),
            }
            return Before::Value(value(piece.id));
        }
        let Before::Value(old) = old else {
            return Before::Unclear;
        };
        let value = value(operations + self.others.len() as u32);
        let old = Some(old);
        self.others.push(Effect::Update { old, value });
        Before::Value(value)
    }
}
