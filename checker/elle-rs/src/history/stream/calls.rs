//! Invocations and completions put together, as they complete.

use rustc_hash::FxHashMap;

use super::entry::{Entry, Kind};
use super::reader::{ReadError, Reader};
use super::token::{Symbol, Symbols, Token, Value};
use crate::history::pairs::Outcome;

/// An operation from its invocation to its completion.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Its position among all calls, by invocation, from 0. Calls come in the order in which they
    /// complete; those never answered come last.
    pub number: u64,
    /// The client.
    pub process: i64,
    /// The place of the invocation ([`Entry::place`]): when it began, and its name in findings.
    pub invoked: u64,
    /// The place of the completion, where its outcome is known to be final: `None` if pending.
    pub completed: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// The line of the invocation.
    pub line: u64,
    /// What was asked.
    pub function: Option<Symbol>,
    /// The key, where it has a field of its own.
    pub key: Value<'a>,
    /// The value of the invocation.
    pub input: Value<'a>,
    /// The value of the completion; `nil` if there is none.
    pub output: Value<'a>,
    /// Whether a compare-and-set found what it expected, if that is said.
    pub swapped: Option<bool>,
    /// `:error` of the completion.
    pub error: Value<'a>,
    /// How words are spelled.
    pub symbols: &'a Symbols,
}

/// An invocation that waits for its completion.
#[derive(Default)]
struct Open {
    number: u64,
    process: i64,
    invoked: u64,
    line: u64,
    function: Option<Symbol>,
    /// The key, then the value.
    tape: Vec<Token>,
    key_length: usize,
}

impl Open {
    fn call<'a>(&'a self, symbols: &'a Symbols) -> Call<'a> {
        Call {
            number: self.number,
            process: self.process,
            invoked: self.invoked,
            completed: None,
            outcome: Outcome::Pending,
            line: self.line,
            function: self.function,
            key: Value(&self.tape[..self.key_length]),
            input: Value(&self.tape[self.key_length..]),
            output: Value::NIL,
            swapped: None,
            error: Value::NIL,
            symbols,
        }
    }
}

/// The calls of a history, as they complete. What processes do that are no number (the nemesis)
/// is passed over.
pub struct Calls {
    reader: Reader,
    open: FxHashMap<i64, Open>,
    /// The invocation of the call in hand.
    now: Open,
    /// Calls that were never answered, the last invoked first; known at the end.
    left: Option<Vec<Open>>,
    invoked: u64,
    entries: u64,
}

impl Calls {
    /// Puts together what `reader` gives.
    pub fn new(reader: Reader) -> Self {
        Calls {
            reader,
            open: FxHashMap::default(),
            now: Open::default(),
            left: None,
            invoked: 0,
            entries: 0,
        }
    }

    /// The reader, to ask what was torn off and how words are spelled.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The reader, once the calls have ended.
    pub fn into_reader(self) -> Reader {
        self.reader
    }

    /// How many entries of clients were read.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The next call; `None` at the end.
    pub fn next_call(&mut self) -> Result<Option<Call<'_>>, ReadError> {
        let mut answered = false;
        while self.left.is_none() && !answered {
            if !self.reader.advance()? {
                let mut left: Vec<Open> = self.open.drain().map(|(_, open)| open).collect();
                left.sort_unstable_by_key(|open| std::cmp::Reverse(open.number));
                self.left = Some(left);
                break;
            }
            answered = self.take()?;
        }
        if !answered {
            let Some(open) = self.left.as_mut().and_then(Vec::pop) else {
                return Ok(None);
            };
            self.now = open;
            return Ok(Some(self.now.call(self.reader.symbols())));
        }
        let entry = self.reader.entry()?;
        let outcome = match entry.kind {
            Kind::Ok => Outcome::Ok,
            Kind::Fail => Outcome::Fail,
            Kind::Info | Kind::Invoke => Outcome::Pending,
        };
        let call = self.now.call(self.reader.symbols());
        Ok(Some(Call {
            completed: (outcome != Outcome::Pending).then_some(entry.place),
            outcome,
            output: entry.value,
            swapped: entry.swapped,
            error: entry.error,
            ..call
        }))
    }

    /// Takes the entry reached; `true` if it completes the call that is `now`.
    fn take(&mut self) -> Result<bool, ReadError> {
        let entry = self.reader.entry()?;
        let process = match entry.process {
            Token::Int(process) => process,
            Token::Nil => 0,
            _ => return Ok(false),
        };
        self.entries += 1;
        if entry.kind == Kind::Invoke {
            // The tape of a call that is done serves the next.
            let mut open = Open {
                tape: std::mem::take(&mut self.now.tape),
                ..Open::default()
            };
            fill(&mut open, &entry, process, self.invoked);
            self.invoked += 1;
            if let Some(before) = self.open.insert(process, open) {
                let reason = format!(
                    "process {process} invokes an operation while the one it invoked on line {} is \
                     still open; processes do one thing at a time, so the recorder is wrong",
                    before.line
                );
                return Err(self.reader.error_here(reason));
            }
            return Ok(false);
        }
        let function = entry.function;
        let Some(open) = self.open.remove(&process) else {
            let reason = format!(
                "process {process} completes an operation that it did not invoke; the history is \
                 incomplete or its recorder is wrong"
            );
            return Err(self.reader.error_here(reason));
        };
        if function.is_some() && open.function.is_some() && function != open.function {
            let reason = format!(
                "process {process} completes another operation than the one it invoked on line {}; \
                 the recorder is wrong",
                open.line
            );
            return Err(self.reader.error_here(reason));
        }
        self.now = open;
        self.now.function = self.now.function.or(function);
        Ok(true)
    }
}

fn fill(open: &mut Open, entry: &Entry<'_>, process: i64, number: u64) {
    open.number = number;
    open.process = process;
    open.invoked = entry.place;
    open.line = entry.line;
    open.function = entry.function;
    open.tape.clear();
    open.tape.extend_from_slice(entry.key.tokens());
    open.key_length = open.tape.len();
    open.tape.extend_from_slice(entry.value.tokens());
}
