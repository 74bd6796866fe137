//! Appends as the updates that they were, by what the texts that were read begin with.

use std::collections::BTreeMap;
use std::ops::Bound;

use rustc_hash::FxHashMap;

use super::history::{Did, History, NIL, Number, Operation};
use crate::history::stream::{Token, Value};

/// The same operations, as a register has them: a text is known by the operation whose piece it ends with.
pub(super) fn as_updates(
    operations: &[Operation],
    history: &History,
) -> Result<Vec<Operation>, String> {
    let text = |number: Number| match Value::over(&history.values.all[number as usize]).token() {
        Token::Text(text) => Ok(history.symbols.spelling(text)),
        _ => Err("something is appended to, or put, that is no text".to_owned()),
    };
    let mut pieces: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, operation) in operations.iter().enumerate() {
        if let Did::Write(piece) | Did::Append(piece) = operation.did
            && pieces.insert(text(piece)?, id).is_some()
        {
            return Err("a text was put or appended twice, so it says nothing".to_owned());
        }
    }
    for piece in pieces.keys() {
        let mut behind = pieces.range::<str, _>((Bound::Excluded(*piece), Bound::Unbounded));
        let ambiguous = behind
            .next()
            .is_some_and(|(next, _)| next.starts_with(piece));
        if ambiguous || piece.is_empty() {
            return Err(format!(
                "the text {piece:?} may be the beginning of another"
            ));
        }
    }
    let first = history.values.all.len() as Number;
    let number = |id: usize| first + id as Number;
    // What an operation's piece stood behind, in whatever text it was seen.
    let mut behind: FxHashMap<usize, Number> = FxHashMap::default();
    let mut done: FxHashMap<Number, Number> = FxHashMap::from_iter([(NIL, NIL)]);
    let mut reads: BTreeMap<&str, Number> = BTreeMap::new();
    for operation in operations {
        if let Did::Read(seen) = operation.did
            && seen != NIL
        {
            reads.insert(text(seen)?, seen);
        }
    }
    // In the order of texts: if two disagree on what a piece stood behind, it is the first that counts.
    for (whole, seen) in reads {
        // If its end is nobody's, it keeps its own number, which nobody puts.
        let (mut rest, mut now) = (whole, NIL);
        while !rest.is_empty() {
            let found = pieces
                .range::<str, _>((Bound::Unbounded, Bound::Included(rest)))
                .next_back()
                .filter(|(piece, id)| {
                    let puts = matches!(operations[**id].did, Did::Write(_));
                    rest.starts_with(**piece) && !(puts && now != NIL)
                });
            let Some((piece, &id)) = found else {
                now = seen;
                break;
            };
            // Whatever it was seen behind, it is true, and one is enough.
            behind.entry(id).or_insert(now);
            (rest, now) = (&rest[piece.len()..], number(id));
        }
        done.insert(seen, now);
    }
    let translated = operations.iter().enumerate().map(|(id, operation)| {
        let did = match operation.did {
            Did::Read(seen) => Did::Read(done[&seen]),
            Did::Write(_) => Did::Write(number(id)),
            Did::Append(_) => match behind.get(&id) {
                Some(&old) => Did::Update(old, number(id)),
                None => Did::Write(number(id)),
            },
            _ => return Err("values are deleted or compared, and texts appended to".to_owned()),
        };
        Ok(Operation { did, ..*operation })
    });
    translated.collect()
}
