//! Which completion answers which invocation.

use rustc_hash::FxHashMap;

use super::{Action, Event, Kind, Op, Step};

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect.
    Ok,
    /// It certainly did not.
    Fail,
    /// Unknown: answered `info`, or not answered before the history ends.
    Pending,
}

/// One operation: where it was invoked and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Position of the invocation in the slice of events (not its index field).
    pub invoke: u32,
    /// Position of the completion; `None` where the history has none.
    pub complete: Option<u32>,
    /// How it ended.
    pub outcome: Outcome,
}

/// A history that cannot be read as operations. No checker can say anything about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A completion by a process that has nothing open.
    #[error(
        "event {index}: process {process} completes an operation that it did not invoke; \
         the history is incomplete or its recorder is wrong"
    )]
    NotInvoked {
        /// Index of the completion.
        index: u64,
        /// Who completed.
        process: u32,
    },
    /// A process with two open operations.
    #[error(
        "event {index}: process {process} invokes an operation while its operation {open} is \
         still open; processes do one thing at a time, so its recorder is wrong"
    )]
    TwoOpen {
        /// Index of the second invocation.
        index: u64,
        /// Who invoked.
        process: u32,
        /// Index of the first invocation.
        open: u64,
    },
    /// An `ok` that answers something else than what was asked.
    #[error(
        "event {index}: process {process} completes another operation than its open one, {open}; \
         the recorder is wrong"
    )]
    OtherAction {
        /// Index of the completion.
        index: u64,
        /// Who completed.
        process: u32,
        /// Index of the invocation.
        open: u64,
    },
    /// More events than the checkers can number.
    #[error("the history has {events} events, and the checkers can number {}; check a part of it", u32::MAX - 2)]
    TooLong {
        /// How many there are.
        events: usize,
    },
}

/// Pairs invocations and completions, in the order of invocation.
pub fn pair(events: &[Event]) -> Result<Vec<Pair>, Malformed> {
    if events.len() > (u32::MAX - 2) as usize {
        return Err(Malformed::TooLong {
            events: events.len(),
        });
    }
    let mut pairs: Vec<Pair> = Vec::with_capacity(events.len() / 2 + 1);
    let mut open: FxHashMap<u32, usize> = FxHashMap::default();
    for (position, event) in events.iter().enumerate() {
        let Event::Op(op) = event else { continue };
        if op.kind == Kind::Invoke {
            let before = open.insert(op.process, pairs.len());
            if let Some(before) = before {
                return Err(Malformed::TwoOpen {
                    index: op.index,
                    process: op.process,
                    open: events[pairs[before].invoke as usize].index(),
                });
            }
            pairs.push(Pair {
                invoke: position as u32,
                complete: None,
                outcome: Outcome::Pending,
            });
            continue;
        }
        let Some(pair) = open.remove(&op.process) else {
            return Err(Malformed::NotInvoked {
                index: op.index,
                process: op.process,
            });
        };
        let pair = &mut pairs[pair];
        if op.kind == Kind::Ok && !answers(events, pair, op) {
            return Err(Malformed::OtherAction {
                index: op.index,
                process: op.process,
                open: events[pair.invoke as usize].index(),
            });
        }
        pair.complete = Some(position as u32);
        pair.outcome = match op.kind {
            Kind::Ok => Outcome::Ok,
            Kind::Fail => Outcome::Fail,
            Kind::Info | Kind::Invoke => Outcome::Pending,
        };
    }
    Ok(pairs)
}

fn answers(events: &[Event], pair: &Pair, answer: &Op) -> bool {
    matches!(&events[pair.invoke as usize], Event::Op(asked) if same_request(&asked.action, &answer.action))
}

/// Whether two actions ask the same, whatever came back.
fn same_request(a: &Action, b: &Action) -> bool {
    match (a, b) {
        (Action::Read { key: a, .. }, Action::Read { key: b, .. }) => a == b,
        (Action::Write { key: a, value: v }, Action::Write { key: b, value: w })
        | (
            Action::Swap {
                key: a, value: v, ..
            },
            Action::Swap {
                key: b, value: w, ..
            },
        ) => (a, v) == (b, w),
        (
            Action::Cas {
                key: a,
                expected: e,
                value: v,
                ..
            },
            Action::Cas {
                key: b,
                expected: f,
                value: w,
                ..
            },
        ) => (a, e, v) == (b, f, w),
        (Action::Txn { steps: a }, Action::Txn { steps: b }) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|pair| match pair {
                    (Step::Append { key: a, value: v }, Step::Append { key: b, value: w }) => {
                        (a, v) == (b, w)
                    }
                    (Step::Read { key: a, .. }, Step::Read { key: b, .. }) => a == b,
                    _ => false,
                })
        }
        _ => false,
    }
}
