//! Operations in words, for explanations.

use std::fmt::{self, Display};

use super::{Action, Event, Op, Step, Value};

/// Nanoseconds since the run began, as seconds.
pub fn time(ns: u64) -> impl Display {
    struct Seconds(u64);
    impl Display for Seconds {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let micros = self.0 / 1_000;
            write!(f, "{}.{:06} s", micros / 1_000_000, micros % 1_000_000)
        }
    }
    Seconds(ns)
}

/// A node by its position, as plans name it: `n1` is the first.
pub fn node(position: u16) -> impl Display {
    struct Node(u16);
    impl Display for Node {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "n{}", u32::from(self.0) + 1)
        }
    }
    Node(position)
}

/// A register's value; a missing key is `nil`.
pub fn value(value: Option<Value>) -> String {
    value.map_or_else(|| "nil".to_owned(), |value| value.to_string())
}

/// A list, its middle left out where it is long.
pub fn list(list: &[Value]) -> String {
    const ENDS: usize = 5;
    if list.len() <= 2 * ENDS + 1 {
        return format!("{list:?}");
    }
    let words = |part: &[Value]| {
        let words: Vec<String> = part.iter().map(Value::to_string).collect();
        words.join(", ")
    };
    let (head, tail) = (&list[..ENDS], &list[list.len() - ENDS..]);
    let between = list.len() - 2 * ENDS;
    format!("[{}, … {between} more …, {}]", words(head), words(tail))
}

/// "read of 17 by process 3 on n2": an operation from its invocation, and its answer if it has one.
pub fn operation(events: &[Event], invoke: u32, complete: Option<u32>) -> String {
    let Some(Event::Op(asked)) = events.get(invoke as usize) else {
        return format!("operation at position {invoke}");
    };
    let answer = complete.and_then(|at| match events.get(at as usize) {
        Some(Event::Op(op)) if op.kind == super::Kind::Ok => Some(op),
        _ => None,
    });
    let mut words = action(asked, answer);
    words += &format!(" by process {}", asked.process);
    if let Some(position) = asked.node {
        words += &format!(" on {}", node(position));
    }
    words
}

fn action(asked: &Op, answer: Option<&Op>) -> String {
    let done = answer.map_or(&asked.action, |op| &op.action);
    match done {
        Action::Read { value: read, .. } if answer.is_some() => {
            format!("read of {}", value(*read))
        }
        Action::Read { .. } => "read".to_owned(),
        Action::Write { value, .. } => format!("write of {value}"),
        Action::Swap {
            value: new, old, ..
        } if answer.is_some() => {
            format!("swap from {} to {new}", value(*old))
        }
        Action::Swap { value, .. } => format!("swap to {value}"),
        Action::Cas {
            expected,
            value,
            swapped,
            ..
        } => {
            let failed = if answer.is_some() && !swapped {
                "refused "
            } else {
                ""
            };
            format!("{failed}compare-and-set from {expected} to {value}")
        }
        Action::Txn { steps } => {
            const SHOWN: usize = 8;
            let mut told: Vec<String> = steps.iter().take(SHOWN).map(step).collect();
            if steps.len() > SHOWN {
                told.push(format!("{} more steps", steps.len() - SHOWN));
            }
            format!("transaction ({})", told.join("; "))
        }
    }
}

fn step(step: &Step) -> String {
    match step {
        Step::Append { key, value } => format!("append {value} to {key}"),
        Step::Read {
            key,
            list: Some(read),
        } => format!("read {key} as {}", list(read)),
        Step::Read { key, list: None } => format!("read {key}"),
    }
}
