//! Porcupine's Jepsen logs: `INFO  jepsen.util - 4 :invoke :cas [2 3]`, with tabs between the words.

use elle_rs::history::{Action, Event, Kind, Op};

/// The events of one log. A failed compare-and-set found another value; a failed or timed-out
/// read tells nothing; any other that timed out is pending.
pub fn events(log: &str) -> Vec<Event> {
    let mut events = Vec::new();
    for line in log.lines() {
        let Some((_, line)) = line.split_once("jepsen.util - ") else {
            continue;
        };
        let parts: Vec<&str> = line.split('\t').collect();
        let [process, kind, function, value] = parts[..] else {
            continue;
        };
        let Ok(process) = process.trim().parse() else {
            continue;
        };
        let numbers: Vec<u64> = value
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|word| word.parse().ok())
            .collect();
        let mut kind = match kind {
            ":invoke" => Kind::Invoke,
            ":ok" => Kind::Ok,
            ":fail" => Kind::Fail,
            _ => Kind::Info,
        };
        let action = match function {
            ":read" => Action::Read {
                key: 0,
                value: numbers.first().copied(),
            },
            ":write" if numbers.len() == 1 => Action::Write {
                key: 0,
                value: numbers[0],
            },
            ":cas" if numbers.len() == 2 => {
                let swapped = kind == Kind::Ok;
                if kind == Kind::Fail {
                    kind = Kind::Ok;
                }
                Action::Cas {
                    key: 0,
                    expected: numbers[0],
                    value: numbers[1],
                    swapped,
                }
            }
            // ":timed-out" in place of a value.
            _ => Action::Read {
                key: 0,
                value: None,
            },
        };
        if kind == Kind::Invoke || !value.contains(":timed-out") {
            let index = events.len() as u64;
            events.push(Event::Op(Op {
                index,
                time_ns: 0,
                process,
                kind,
                action,
                node: None,
                error: None,
            }));
        }
    }
    events
}
