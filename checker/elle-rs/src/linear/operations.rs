//! The operations of a history, compact, part by part: what concerns one key alone is a part.

use rustc_hash::FxHashMap;

use super::acts::{Act, Acts, Verb};
use super::connected;
use super::model::{NEVER, Operation, Question, Time};
use super::values::{Atom, NIL, Values};
use super::{CheckError, ModelName};
use crate::history::stream::{Calls, Outcome, Reader, Symbols, Torn};

/// One operation that took effect, or may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub start: Time,
    /// [`NEVER`] if pending.
    pub finish: Time,
    pub act: Act,
    pub process: i64,
}

impl Entry {
    /// Whether nobody knows if it took effect.
    pub fn is_pending(&self) -> bool {
        self.finish == NEVER
    }
}

/// What can be decided alone.
pub(super) struct Part {
    /// The key, if the history has keys.
    pub key: Atom,
    /// By invocation.
    pub entries: Vec<Entry>,
    /// Values of writes that certainly did not happen, with the start of one such write.
    pub failed: FxHashMap<Atom, Time>,
}

/// A history as one model sees it.
pub(super) struct Operations {
    pub parts: Vec<Part>,
    pub values: Values,
    pub acts: Acts,
    pub symbols: Symbols,
    pub torn: Option<Torn>,
    /// Operations of clients read, failed ones and pending reads too.
    pub read: u64,
    /// Entries of clients read: invocations and completions.
    pub entries: u64,
}

/// Reads a history for a model.
pub(super) fn read(reader: Reader, model: ModelName) -> Result<Operations, CheckError> {
    let mut calls = Calls::new(reader);
    let mut values = Values::default();
    let mut acts = Acts::default();
    let mut parts: Vec<Part> = Vec::new();
    let mut by_key: FxHashMap<Atom, usize> = FxHashMap::default();
    let mut read = 0;
    while let Some(call) = calls.next_call()? {
        read += 1;
        let act = match acts.of_call(&call, model, &mut values) {
            Ok(act) => act,
            Err(reason) => {
                return Err(CheckError::NotOfModel {
                    line: call.line,
                    model,
                    reason,
                });
            }
        };
        let Some((key, act)) = act else { continue };
        let moment = |place: u64| match Time::try_from(place + 1) {
            Ok(time) if time < NEVER / 2 => Ok(time),
            _ => Err(CheckError::TooLong { place }),
        };
        let at = *by_key.entry(key).or_insert_with(|| {
            parts.push(Part {
                key,
                entries: Vec::new(),
                failed: FxHashMap::default(),
            });
            parts.len() - 1
        });
        let start = moment(call.invoked)?;
        if call.outcome == Outcome::Fail {
            parts[at]
                .failed
                .extend(act.puts().map(|value| (value, start)));
            continue;
        }
        let finish = call.completed.map_or(Ok(NEVER), moment)?;
        parts[at].entries.push(Entry {
            start,
            finish,
            act,
            process: call.process,
        });
    }
    for part in &mut parts {
        part.entries.sort_unstable_by_key(|entry| entry.start);
    }
    parts.retain(|part| !part.entries.is_empty());
    if matches!(model, ModelName::Set | ModelName::UnorderedQueue) {
        parts = parts.into_iter().flat_map(by_element).collect();
    }
    if model == ModelName::MultiRegister {
        let whole = parts.into_iter();
        parts = whole
            .flat_map(|part| connected::parts(part, &acts))
            .collect();
    }
    let entries = calls.entries();
    let reader = calls.into_reader();
    let torn = reader.torn().cloned();
    if model == ModelName::KvMap {
        values.know_empty_text(reader.symbols());
    }
    Ok(Operations {
        parts,
        values,
        acts,
        symbols: reader.into_symbols(),
        torn,
        read,
        entries,
    })
}

/// A set of which no whole was ever seen is as many sets as it has elements, and so is a queue
/// without an order that nobody found empty: each element alone decides what can happen to it.
fn by_element(part: Part) -> Vec<Part> {
    let sees_the_whole = |entry: &Entry| {
        matches!(
            entry.act.verb,
            Verb::Read | Verb::DequeueNothing | Verb::DequeueUnseen
        )
    };
    if part.key != NIL || part.entries.iter().any(sees_the_whole) {
        return vec![part];
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut by_element: FxHashMap<Atom, usize> = FxHashMap::default();
    for entry in part.entries {
        let at = *by_element.entry(entry.act.a).or_insert_with(|| {
            parts.push(Part {
                key: entry.act.a,
                entries: Vec::new(),
                failed: FxHashMap::default(),
            });
            parts.len() - 1
        });
        parts[at].entries.push(entry);
    }
    parts
}

impl Part {
    /// The question that the part is to a search.
    pub fn question(&self) -> Question<Act> {
        let mut classes = Vec::new();
        let mut numbers: FxHashMap<Act, u32> = FxHashMap::default();
        let operations = self.entries.iter().map(|entry| {
            let class = *numbers.entry(entry.act).or_insert_with(|| {
                classes.push(entry.act);
                classes.len() as u32 - 1
            });
            Operation {
                start: entry.start,
                finish: entry.finish,
                class,
            }
        });
        Question {
            operations: operations.collect(),
            classes,
        }
    }

    /// The place of an operation's invocation in the history.
    pub fn place(&self, id: u32) -> u64 {
        u64::from(self.entries[id as usize].start) - 1
    }

    /// The operation invoked at a place in the history.
    pub fn id_at(&self, place: u64) -> Option<u32> {
        let start = |entry: &Entry| u64::from(entry.start) - 1;
        let found = self.entries.binary_search_by_key(&place, start);
        found.ok().map(|id| id as u32)
    }

    pub fn pending(&self) -> u64 {
        let pending = self.entries.iter().filter(|entry| entry.is_pending());
        pending.count() as u64
    }

    /// Invocations and (`true`) returns of operations, in the order of time.
    pub fn events(&self) -> Vec<(u32, bool)> {
        let mut events: Vec<(Time, u32, bool)> = Vec::with_capacity(self.entries.len() * 2);
        for (id, entry) in (0..).zip(&self.entries) {
            events.push((entry.start, id, false));
            if !entry.is_pending() {
                events.push((entry.finish, id, true));
            }
        }
        events.sort_unstable();
        let events = events.into_iter();
        events.map(|(_, id, returns)| (id, returns)).collect()
    }
}
