//! Texts that are appended to, as a register. Where each text that is put or appended is another, and
//! none begins another, a text that was read tells what it was put together from, in which order. So
//! an append that was seen is an update, from all that stands before it in that text to that and its
//! own; and one that nobody saw is a write of what nobody saw: until the next put, nothing behind it was
//! seen either.

use rustc_hash::FxHashMap;

use super::acts::Verb;
use super::operations::{Operations, Part};
use super::values::{Atom, NIL};
use crate::history::stream::Token;
use crate::register::Effect;

/// Something put or appended.
struct Piece<'a> {
    text: &'a [u8],
    id: u32,
    begins: bool,
}

/// What a text is that ends with the piece of this operation: no value has that number.
fn value(id: u32) -> u64 {
    (1 << 32) + u64::from(id)
}

/// What each operation of a part does to the register, and whether that is all that the texts say:
/// if a piece was seen behind different texts, only one of them is told. (It is true, too; but an order
/// that has room for it says nothing.) `None` where texts may be taken for others.
pub(super) fn effects(part: &Part, operations: &Operations) -> Option<(Vec<Effect>, bool)> {
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
            }),
            _ => return None,
        }
    }
    pieces.sort_unstable_by_key(|piece| piece.text);
    // Of sorted texts that one begins, the next is one.
    let follows = |pair: &[Piece]| pair[1].text.starts_with(pair[0].text);
    if pieces.first().is_some_and(|piece| piece.text.is_empty()) || pieces.windows(2).any(follows) {
        return None;
    }
    reads.sort_unstable();
    reads.dedup();
    let together = put_together(&pieces, &reads, part.entries.len());
    let effects = (0..).zip(&part.entries).map(|(id, entry)| {
        let value = value(id);
        match entry.act.verb {
            Verb::Read => Effect::Read {
                value: together.last.get(&entry.act.a).copied(),
            },
            Verb::Write => Effect::Write { value },
            _ => match together.before[id as usize] {
                Some(old) => Effect::Update { old, value },
                None => Effect::Write { value },
            },
        }
    });
    Some((effects.collect(), together.agree))
}

struct Together {
    /// Of each text read: what it ends with. Its own number, which nobody puts, if it has no end.
    last: FxHashMap<Atom, u64>,
    /// Of each operation: what stood before it, if it was seen.
    before: Vec<Option<Option<u64>>>,
    /// Whether each piece was seen behind one text only.
    agree: bool,
}

/// Reads are sorted, so that what two have in common is looked at once.
fn put_together(pieces: &[Piece], reads: &[(&[u8], Atom)], operations: usize) -> Together {
    let mut together = Together {
        last: FxHashMap::default(),
        before: vec![None; operations],
        agree: true,
    };
    let mut stack: Vec<(usize, u64)> = Vec::new();
    let mut previous: &[u8] = &[];
    for &(text, atom) in reads {
        let both = previous.iter().zip(text);
        let common = both.take_while(|(one, other)| one == other).count();
        previous = text;
        while stack.last().is_some_and(|&(end, _)| end > common) {
            stack.pop();
        }
        let is_whole = loop {
            let old = stack.last().copied();
            let rest = &text[old.map_or(0, |(end, _)| end)..];
            if rest.is_empty() {
                break true;
            }
            // If one of them begins the rest, it is the last that does not stand behind it.
            let place = pieces.partition_point(|piece| piece.text <= rest);
            let found = place.checked_sub(1).map(|place| &pieces[place]);
            let fits =
                |piece: &&Piece| rest.starts_with(piece.text) && !(piece.begins && old.is_some());
            let Some(piece) = found.filter(fits) else {
                break false;
            };
            match &mut together.before[piece.id as usize] {
                Some(_) => together.agree = false,
                slot => *slot = Some(old.map(|(_, value)| value)),
            }
            stack.push((text.len() - rest.len() + piece.text.len(), value(piece.id)));
        };
        let end = stack.last().filter(|_| is_whole).map(|&(_, value)| value);
        if !text.is_empty() {
            together.last.insert(atom, end.unwrap_or(atom.into()));
        }
    }
    together
}
