//! Replays a witness.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::history::{Did, History, NIL, Number, Operation};
use super::{Certificate, at};
use crate::history::stream::{Token, Value};

/// An object as it is told in a textbook.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Object {
    Register(Number),
    /// A key of a map: nothing, a text, or a value that is none.
    Text(Option<Vec<u8>>),
    Registers(BTreeMap<Number, Number>),
    Lock(bool),
    Set(BTreeSet<Number>),
    Counter(i128),
    Fifo(VecDeque<Number>),
    /// What is in it, and how often.
    Bag(BTreeMap<Number, usize>),
    /// The same by number.
    Greatest(BTreeMap<i64, usize>),
}

/// The object of a model, as it is before everything.
pub(super) fn object(certificate: &Certificate, history: &History) -> Result<Object, String> {
    Ok(match certificate.model.as_str() {
        "register" | "cas-register" => Object::Register(initial(certificate, history)),
        "kv-map" => Object::Text(None),
        "multi-register" => Object::Registers(BTreeMap::new()),
        "mutex" => Object::Lock(false),
        "set" => Object::Set(BTreeSet::new()),
        "counter" => Object::Counter(0),
        "fifo-queue" => Object::Fifo(VecDeque::new()),
        "unordered-queue" => Object::Bag(BTreeMap::new()),
        "priority-queue" => Object::Greatest(BTreeMap::new()),
        other => return Err(format!("its model, {other:?}, is not known")),
    })
}

/// What registers hold before everything. A number that the history does not have is like no other.
pub(super) fn initial(certificate: &Certificate, history: &History) -> Number {
    match certificate.initial {
        None => NIL,
        Some(number) => history
            .values
            .find(Token::Int(number))
            .unwrap_or(Number::MAX),
    }
}

/// Replays a witness: every operation that was answered once, none before one that had completed
/// before it began, each coming back as it did.
pub(super) fn replay(
    certificate: &Certificate,
    history: &History,
    operations: &[Operation],
    witness: &[u64],
) -> Result<(), String> {
    let mut object = object(certificate, history)?;
    let initial = initial(certificate, history);
    let mut used = vec![false; operations.len()];
    let mut latest = 0;
    let mut unseen = Unseen::default();
    for (now, &place) in witness.iter().enumerate() {
        let id = at(operations, place)?;
        let operation = &operations[id];
        if std::mem::replace(&mut used[id], true) {
            return Err(format!("event {place} stands in the witness twice"));
        }
        if operation
            .completed
            .is_some_and(|completed| completed < latest)
        {
            return Err(format!(
                "event {place} had completed before one that stands earlier began"
            ));
        }
        latest = latest.max(operation.invoked);
        let went = match &object {
            Object::Bag(_) => unseen.step(now, &operation.did),
            _ => step(&mut object, &operation.did, history, initial),
        };
        if !went {
            return Err(format!(
                "event {place} cannot have come back as it did there"
            ));
        }
    }
    if !unseen.settle(false) {
        return Err("a dequeue that was never answered had nothing to take".to_owned());
    }
    match operations
        .iter()
        .zip(&used)
        .find(|(operation, used)| operation.ok && !**used)
    {
        Some((operation, _)) => Err(format!(
            "event {} is missing in the witness",
            operation.invoked
        )),
        None => Ok(()),
    }
}

pub(super) fn text(history: &History, number: Number) -> Vec<u8> {
    let value = Value::over(&history.values.all[number as usize]);
    match value.token() {
        Token::Text(text) => history.symbols.spelling(text).as_bytes().to_vec(),
        // No text begins so.
        _ => [
            b"\xff",
            value.display(&history.symbols).to_string().as_bytes(),
        ]
        .concat(),
    }
}

/// A key that is not there reads as `nil` or as an empty text.
fn text_is(now: &Option<Vec<u8>>, history: &History, number: Number) -> bool {
    match now {
        None => number == NIL || text(history, number).is_empty(),
        Some(now) => number != NIL && *now == text(history, number),
    }
}

/// Lets an operation take effect, if it can have come back so.
pub(super) fn step(object: &mut Object, did: &Did, history: &History, initial: Number) -> bool {
    let int = |number: Number| Value::over(&history.values.all[number as usize]).int();
    match (object, did) {
        (Object::Register(now), Did::Read(seen)) => now == seen,
        (Object::Register(now), Did::Refused(expected)) => now != expected,
        (Object::Register(now), Did::Write(new)) => {
            *now = *new;
            true
        }
        (Object::Register(now), Did::Update(old, new)) => {
            let fits = now == old;
            *now = *new;
            fits
        }
        (Object::Text(now), Did::Read(seen)) => text_is(now, history, *seen),
        (Object::Text(now), Did::Refused(expected)) => !text_is(now, history, *expected),
        (Object::Text(now), Did::Write(new)) => {
            *now = (*new != NIL).then(|| text(history, *new));
            true
        }
        (Object::Text(now), Did::Update(old, new)) => {
            let fits = text_is(now, history, *old);
            *now = (*new != NIL).then(|| text(history, *new));
            fits
        }
        (Object::Text(now), Did::Append(more)) => {
            now.get_or_insert_default().extend(text(history, *more));
            true
        }
        (Object::Text(now), Did::Delete) => {
            *now = None;
            true
        }
        (Object::Registers(now), Did::Transaction(steps)) => {
            steps.iter().all(|&(write, key, value)| {
                if write {
                    now.insert(key, value);
                    return true;
                }
                now.get(&key).copied().unwrap_or(initial) == value
            })
        }
        (Object::Lock(held), Did::Acquire) => !std::mem::replace(held, true),
        (Object::Lock(held), Did::Release) => std::mem::replace(held, false),
        (Object::Set(now), Did::Insert(element, first)) => now.insert(*element) || !first,
        (Object::Set(now), Did::Remove(element)) => now.remove(element),
        (Object::Set(now), Did::Contains(element, there)) => now.contains(element) == *there,
        (Object::Set(now), Did::Read(seen)) => {
            let seen = Value::over(&history.values.all[*seen as usize]);
            let elements: Option<Vec<Number>> = seen
                .parts()
                .into_iter()
                .flatten()
                .map(|part| history.values.find_all(part.tokens()))
                .collect();
            elements.is_some_and(|elements| {
                let distinct: BTreeSet<Number> = elements.iter().copied().collect();
                distinct.len() == elements.len() && distinct == *now
            })
        }
        (Object::Counter(now), Did::Plus(by)) => {
            *now += i128::from(*by);
            true
        }
        (Object::Counter(now), Did::Count(seen)) => *now == i128::from(*seen),
        (Object::Fifo(now), Did::Enqueue(value)) => {
            now.push_back(*value);
            true
        }
        (Object::Fifo(now), Did::Dequeue(Some(value))) => now.pop_front() == Some(*value),
        (Object::Fifo(now), Did::Dequeue(None)) => now.is_empty(),
        (Object::Fifo(now), Did::DequeueUnseen) => now.pop_front().is_some(),
        (Object::Bag(now), Did::Enqueue(value)) => {
            *now.entry(*value).or_default() += 1;
            true
        }
        (Object::Bag(now), Did::Dequeue(Some(value))) => match now.get_mut(value) {
            Some(1) => now.remove(value).is_some(),
            Some(count) => {
                *count -= 1;
                true
            }
            None => false,
        },
        (Object::Bag(now), Did::Dequeue(None)) => now.is_empty(),
        (Object::Greatest(now), Did::Enqueue(value)) => match int(*value) {
            Some(number) => {
                *now.entry(number).or_default() += 1;
                true
            }
            None => false,
        },
        (Object::Greatest(now), Did::Dequeue(Some(value))) => {
            let greatest = now.last_key_value().map(|(&number, _)| number);
            greatest.is_some() && greatest == int(*value) && take_greatest(now)
        }
        (Object::Greatest(now), Did::Dequeue(None)) => now.is_empty(),
        (Object::Greatest(now), Did::DequeueUnseen) => take_greatest(now),
        _ => false,
    }
}

/// A queue without an order whose unanswered dequeues took nobody knows what: that is settled when
/// the queue is seen to be empty, and at the end.
#[derive(Default)]
struct Unseen {
    /// When each value that is left was put in.
    left: BTreeMap<Number, Vec<usize>>,
    /// When something was taken unseen.
    taken: Vec<usize>,
}

impl Unseen {
    fn step(&mut self, now: usize, did: &Did) -> bool {
        match did {
            Did::Enqueue(value) => {
                self.left.entry(*value).or_default().push(now);
                true
            }
            // The youngest: that leaves the most to those that took unseen.
            Did::Dequeue(Some(value)) => self.left.get_mut(value).and_then(Vec::pop).is_some(),
            Did::Dequeue(None) => self.settle(true),
            Did::DequeueUnseen => {
                self.taken.push(now);
                true
            }
            _ => false,
        }
    }

    /// Each that took unseen gets a value put in before; whether all of them do, and (`to_nothing`)
    /// nothing is left.
    fn settle(&mut self, to_nothing: bool) -> bool {
        let mut left: Vec<usize> = std::mem::take(&mut self.left)
            .into_values()
            .flatten()
            .collect();
        left.sort_unstable();
        let taken = std::mem::take(&mut self.taken);
        let enough = left.len() >= taken.len() && (!to_nothing || left.len() == taken.len());
        enough && left.iter().zip(&taken).all(|(put, taken)| put < taken)
    }
}

fn take_greatest(now: &mut BTreeMap<i64, usize>) -> bool {
    let Some(mut last) = now.last_entry() else {
        return false;
    };
    *last.get_mut() -= 1;
    if *last.get() == 0 {
        last.remove();
    }
    true
}
