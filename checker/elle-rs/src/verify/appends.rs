//! Appends as the updates that they were, by what the texts that were read begin with.
//!
//! A text that several put or append is somebody's. Behind a text that is known to have been there once,
//! it was put there once, by one of them: a nobody takes their place, of whom no times are known.

use std::collections::BTreeMap;
use std::ops::Bound;

use rustc_hash::FxHashMap;

use super::history::{Did, History, NIL, Number, Operation};
use crate::history::stream::{Token, Value};

/// What a text that somebody made is known by.
#[derive(Clone, Copy, PartialEq)]
enum Made {
    /// A number; it was there once.
    Once(Number),
    /// It may have been there several times.
    Unclear,
}

/// The same operations, as a register has them: a text is known by the operation whose piece it ends with.
/// Nobodies come behind all others.
pub(super) fn as_updates(
    operations: &[Operation],
    history: &History,
) -> Result<Vec<Operation>, String> {
    let text = |number: Number| match Value::over(&history.values.all[number as usize]).token() {
        Token::Text(text) => Ok(history.symbols.spelling(text)),
        _ => Err("something is appended to, or put, that is no text".to_owned()),
    };
    let mut pieces: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (id, operation) in operations.iter().enumerate() {
        if let Did::Write(piece) | Did::Append(piece) = operation.did {
            pieces.entry(text(piece)?).or_default().push(id);
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
    let mut behind: FxHashMap<usize, Made> = FxHashMap::default();
    let mut nobodies: FxHashMap<(Number, &str), Number> = FxHashMap::default();
    let mut done: FxHashMap<Number, Made> = FxHashMap::from_iter([(NIL, Made::Once(NIL))]);
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
        let (mut rest, mut now) = (whole, Made::Once(NIL));
        while !rest.is_empty() {
            let is_put = |id: &usize| matches!(operations[*id].did, Did::Write(_));
            let found = pieces
                .range::<str, _>((Bound::Unbounded, Bound::Included(rest)))
                .next_back()
                .filter(|(piece, ids)| {
                    let begins = ids.iter().all(is_put);
                    rest.starts_with(**piece) && !(begins && rest.len() < whole.len())
                });
            let Some((piece, ids)) = found else {
                now = Made::Once(seen);
                break;
            };
            now = match (&ids[..], now) {
                (&[id], _) => {
                    // Whatever it was seen behind, it is true, and one is enough.
                    behind.entry(id).or_insert(now);
                    Made::Once(number(id))
                }
                // What was there before everything may be there again: nothing, put by nobody.
                (_, Made::Unclear | Made::Once(NIL)) => Made::Unclear,
                (_, Made::Once(old)) => {
                    let next = number(operations.len() + nobodies.len());
                    Made::Once(*nobodies.entry((old, piece)).or_insert(next))
                }
            };
            rest = &rest[piece.len()..];
        }
        done.insert(seen, now);
    }
    let left_out = |id: usize| Operation {
        did: Did::Write(number(id)),
        completed: None,
        ok: false,
        ..operations[id]
    };
    let mut updates = Vec::new();
    for (id, operation) in operations.iter().enumerate() {
        let did = match operation.did {
            Did::Read(seen) => match done[&seen] {
                Made::Once(value) => Did::Read(value),
                Made::Unclear => {
                    updates.push(left_out(id));
                    continue;
                }
            },
            Did::Write(piece) | Did::Append(piece) if pieces[text(piece)?].len() > 1 => {
                updates.push(left_out(id));
                continue;
            }
            Did::Write(_) => Did::Write(number(id)),
            Did::Append(_) => match behind.get(&id) {
                Some(&Made::Once(old)) => Did::Update(old, number(id)),
                Some(Made::Unclear) | None => Did::Write(number(id)),
            },
            _ => return Err("values are deleted or compared, and texts appended to".to_owned()),
        };
        updates.push(Operation { did, ..*operation });
    }
    let mut nobodies: Vec<(Number, Number)> = nobodies
        .into_iter()
        .map(|((old, _), value)| (value, old))
        .collect();
    nobodies.sort_unstable();
    updates.extend(nobodies.into_iter().map(|(value, old)| Operation {
        invoked: 0,
        completed: None,
        ok: false,
        did: Did::Update(old, value),
    }));
    Ok(updates)
}
