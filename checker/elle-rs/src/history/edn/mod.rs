//! Jepsen's histories: EDN maps, one after the other or in one vector or list, `.gz` or not.
//!
//! ```edn
//! {:index 0, :time 12, :process 0, :type :invoke, :f :txn, :value [[:append 5 1] [:r 6 nil]]}
//! {:process 1, :type :ok, :f :cas, :value [1 2]}
//! ```
//!
//! Understood are `:f :read`, `:write`, `:cas` and our own `:swap` (`:ok` with `[old new]`) on a
//! register, plain or with its key in front (`[key value]`), and `:f :txn` (or no `:f`) with
//! `:append` and `:r`. `:index`, `:time` and `:process` may be missing. A refused compare-and-set
//! is a `:fail`, as Jepsen has it, or an `:ok` with `:swapped false`. Operations of processes that
//! are no number (the nemesis) are left out. The whole text is held in memory.

use std::io::Read;
use std::path::{Path, PathBuf};

mod form;

use form::{Form, Parser};

use super::{Action, Event, Key, Kind, Op, Step, Value};

/// Why an EDN history could not be read.
#[derive(Debug, thiserror::Error)]
pub enum EdnError {
    /// The operating system refused, or the file is not text.
    #[error("failed to read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was said.
        source: std::io::Error,
    },
    /// The text is not EDN, or no history.
    #[error("{}:{line}: {reason}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
}

/// Reads a file; a gzipped one is known by its first bytes.
pub fn read(path: &Path) -> Result<Vec<Event>, EdnError> {
    let io = |source| EdnError::Io {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::read(path).map_err(io)?;
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(&bytes[..])
            .read_to_string(&mut text)
            .map_err(io)?;
    } else {
        text = String::from_utf8(bytes)
            .map_err(|error| io(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
    }
    parse(&text, path)
}

/// Reads a text; `path` is only for messages.
pub fn parse(text: &str, path: &Path) -> Result<Vec<Event>, EdnError> {
    let mut parser = Parser::new(text);
    let mut events = Events::default();
    loop {
        let result = parser.next_form().and_then(|form| match form {
            None => Ok(false),
            Some(Form::Sequence(operations)) => {
                operations.iter().try_for_each(|op| events.add(op))?;
                Ok(true)
            }
            Some(operation) => events.add(&operation).map(|()| true),
        });
        match result {
            Ok(true) => {}
            Ok(false) => return Ok(events.events),
            Err(reason) => {
                return Err(EdnError::Form {
                    path: path.to_owned(),
                    line: parser.line(),
                    reason,
                });
            }
        }
    }
}

#[derive(Default)]
struct Events {
    events: Vec<Event>,
    next_index: u64,
}

impl Events {
    fn add(&mut self, form: &Form<'_>) -> Result<(), String> {
        let Form::Map(entries) = form else {
            return Err(format!("expected the map of an operation, found {form}"));
        };
        let get = |name: &str| {
            entries
                .iter()
                .find(|(key, _)| matches!(key, Form::Keyword(keyword) if *keyword == name))
                .map_or(&Form::Nil, |(_, value)| value)
        };
        let process = match get("process") {
            Form::Nil => 0,
            Form::Integer(process) => u32::try_from(*process)
                .map_err(|_| format!("process {process} is out of bounds"))?,
            _ => return Ok(()),
        };
        let kind = match get("type") {
            Form::Keyword("invoke") => Kind::Invoke,
            Form::Keyword("ok") => Kind::Ok,
            Form::Keyword("fail") => Kind::Fail,
            Form::Keyword("info") => Kind::Info,
            other => {
                return Err(format!(
                    ":type must be :invoke, :ok, :fail or :info, not {other}"
                ));
            }
        };
        let swapped = kind == Kind::Ok && !matches!(get("swapped"), Form::Word("false"));
        let action = action(get("f"), get("value"), kind, swapped)?;
        let index = match get("index") {
            Form::Integer(index) => u64::try_from(*index)
                .unwrap_or_default()
                .max(self.next_index),
            _ => self.next_index,
        };
        self.next_index = index + 1;
        let time_ns = match get("time") {
            Form::Integer(time) => u64::try_from(*time).unwrap_or_default(),
            _ => 0,
        };
        let error = match get("error") {
            Form::Nil => None,
            error => Some(error.to_string()),
        };
        self.events.push(Event::Op(Op {
            index,
            time_ns,
            process,
            kind,
            action,
            node: None,
            error,
        }));
        Ok(())
    }
}

fn action(
    function: &Form<'_>,
    value: &Form<'_>,
    kind: Kind,
    swapped: bool,
) -> Result<Action, String> {
    match function {
        Form::Keyword("read") => read_action(value),
        Form::Keyword("write") => {
            let (key, value) = keyed(value)?;
            let value = whole(value)?;
            Ok(Action::Write { key, value })
        }
        Form::Keyword("cas") => cas(value, swapped),
        Form::Keyword("swap") => swap(value, kind),
        Form::Keyword("txn") | Form::Nil => transaction(value),
        other => Err(format!(
            ":f {other} is not known; there are :read, :write, :cas, :swap and :txn"
        )),
    }
}

fn whole(form: &Form<'_>) -> Result<u64, String> {
    match form {
        Form::Integer(number) => {
            u64::try_from(*number).map_err(|_| format!("{number} is below zero"))
        }
        other => Err(format!("expected a whole number, found {other}")),
    }
}

fn whole_or_nil(form: &Form<'_>) -> Result<Option<Value>, String> {
    match form {
        Form::Nil => Ok(None),
        form => whole(form).map(Some),
    }
}

/// `[key value]`, or a value of the only register there is.
fn keyed<'f, 'a>(form: &'f Form<'a>) -> Result<(Key, &'f Form<'a>), String> {
    match form {
        Form::Sequence(parts) => match &parts[..] {
            [key, value] => Ok((whole(key)?, value)),
            _ => Err(format!("expected [key value], found {form}")),
        },
        form => Ok((0, form)),
    }
}

fn read_action(form: &Form<'_>) -> Result<Action, String> {
    let (key, value) = keyed(form)?;
    let value = whole_or_nil(value)?;
    Ok(Action::Read { key, value })
}

fn cas(form: &Form<'_>, swapped: bool) -> Result<Action, String> {
    let (key, pair) = match form {
        Form::Sequence(parts) if matches!(parts[..], [_, Form::Sequence(_)]) => keyed(form)?,
        form => (0, form),
    };
    match pair {
        Form::Sequence(pair) if pair.len() == 2 => Ok(Action::Cas {
            key,
            expected: whole(&pair[0])?,
            value: whole(&pair[1])?,
            swapped,
        }),
        other => Err(format!("expected [expected new], found {other}")),
    }
}

fn swap(form: &Form<'_>, kind: Kind) -> Result<Action, String> {
    match (kind, form) {
        (Kind::Ok, Form::Sequence(pair)) if pair.len() == 2 => Ok(Action::Swap {
            key: 0,
            old: whole_or_nil(&pair[0])?,
            value: whole(&pair[1])?,
        }),
        (Kind::Ok, other) => Err(format!("expected [old new], found {other}")),
        (_, value) => Ok(Action::Swap {
            key: 0,
            value: whole(value)?,
            old: None,
        }),
    }
}

fn transaction(form: &Form<'_>) -> Result<Action, String> {
    let Form::Sequence(steps) = form else {
        return Err(format!("expected the steps of a transaction, found {form}"));
    };
    let steps = steps.iter().map(step).collect::<Result<_, _>>()?;
    Ok(Action::Txn { steps })
}

fn step(form: &Form<'_>) -> Result<Step, String> {
    let Form::Sequence(parts) = form else {
        return Err(format!("expected a step of a transaction, found {form}"));
    };
    match &parts[..] {
        [Form::Keyword("append"), key, value] => Ok(Step::Append {
            key: whole(key)?,
            value: whole(value)?,
        }),
        [Form::Keyword("r"), key, Form::Nil] => Ok(Step::Read {
            key: whole(key)?,
            list: None,
        }),
        [Form::Keyword("r"), key, Form::Sequence(list)] => Ok(Step::Read {
            key: whole(key)?,
            list: Some(list.iter().map(whole).collect::<Result<_, _>>()?),
        }),
        _ => Err(format!(
            "{form} is not a step that is known; there are [:append key value] and [:r key list]"
        )),
    }
}
