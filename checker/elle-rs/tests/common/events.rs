//! Histories of one register, or of lists, as the suite's own events.

use std::path::Path;

use elle_rs::history::stream::{Entry, Reader, Token, Value};
use elle_rs::history::{Action, Event, Kind, Op, Step};

/// Reads a file. What it is about must be known; the only register is 0.
pub fn read(path: &Path) -> Vec<Event> {
    let mut reader = Reader::open(path, None).unwrap();
    let mut events = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let Token::Int(process) = entry.process else {
            continue;
        };
        events.push(Event::Op(Op {
            index: entry.place,
            time_ns: entry.time_ns.unwrap_or(0) as u64,
            process: process as u32,
            kind: entry.kind,
            action: action(&entry),
            node: None,
            error: None,
        }));
    }
    assert_eq!(reader.torn(), None, "{}", path.display());
    events
}

fn number(value: Value<'_>) -> u64 {
    value.int().unwrap() as u64
}

fn maybe(value: Value<'_>) -> Option<u64> {
    (!value.is_nil()).then(|| number(value))
}

fn action(entry: &Entry<'_>) -> Action {
    let (key, value) = (0, entry.value);
    match entry.symbols.spelling(entry.function.unwrap()) {
        "read" => Action::Read {
            key,
            value: maybe(value),
        },
        "write" => Action::Write {
            key,
            value: number(value),
        },
        "cas" => {
            let [expected, new] = value.pair().unwrap().map(number);
            Action::Cas {
                key,
                expected,
                value: new,
                swapped: entry.swapped.unwrap_or(entry.kind == Kind::Ok),
            }
        }
        "swap" => {
            let (old, new) = match value.pair() {
                Some([old, new]) => (maybe(old), new),
                None => (None, value),
            };
            Action::Swap {
                key,
                value: number(new),
                old,
            }
        }
        "txn" => Action::Txn {
            steps: value
                .parts()
                .unwrap()
                .map(|part| step(part, entry))
                .collect(),
        },
        other => panic!("{other} is not known"),
    }
}

fn step(step: Value<'_>, entry: &Entry<'_>) -> Step {
    let parts: Vec<Value<'_>> = step.parts().unwrap().collect();
    let [name, key, value] = parts[..] else {
        panic!("no step: {}", step.display(entry.symbols));
    };
    let key = number(key);
    if entry.symbols.spelling(name.name().unwrap()) == "append" {
        return Step::Append {
            key,
            value: number(value),
        };
    }
    let list = value.parts().map(|elements| elements.map(number).collect());
    Step::Read { key, list }
}
