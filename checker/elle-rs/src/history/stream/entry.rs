//! One line of a history, whatever format it came from.

use super::edn::Field;
use super::token::{Symbol, Symbols, Token, Value};
use super::window::Trouble;
pub use crate::history::Kind;

/// An invocation or a completion, borrowed from the reader that gave it.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Its place among all entries of the history, from 0. Operations go by the place of their
    /// invocation, in findings and certificates.
    pub place: u64,
    /// The line it begins on, from 1; 0 where the format has no lines.
    pub line: u64,
    /// `:index`, as written.
    pub index: Option<i64>,
    /// `:time` in nanoseconds, as written.
    pub time_ns: Option<i64>,
    /// Who did it: a number for a client, a word for the nemesis, `Nil` if it is not said.
    pub process: Token,
    /// Which of the four kinds of event this is.
    pub kind: Kind,
    /// `:f`: what was asked.
    pub function: Option<Symbol>,
    /// `:key`, where it has a field of its own (Porcupine).
    pub key: Value<'a>,
    /// `:value`: the argument on an invocation, the result on a completion.
    pub value: Value<'a>,
    /// `:swapped`: whether a compare-and-set found what it expected (our own).
    pub swapped: Option<bool>,
    /// `:error`, as written.
    pub error: Value<'a>,
    /// How words are spelled.
    pub symbols: &'a Symbols,
}

/// The fields of the entry in hand; the values lie on one tape, which is used again.
#[derive(Default)]
pub(super) struct Fields {
    pub line: u64,
    pub index: Option<i64>,
    pub time_ns: Option<i64>,
    pub process: Option<Token>,
    pub kind: Option<Kind>,
    pub function: Option<Symbol>,
    pub swapped: Option<bool>,
    pub tape: Vec<Token>,
    /// Where on the tape the values of these fields stand.
    pub key: (usize, usize),
    pub value: (usize, usize),
    pub error: (usize, usize),
}

impl Fields {
    pub fn clear(&mut self, line: u64) {
        let mut tape = std::mem::take(&mut self.tape);
        tape.clear();
        *self = Fields {
            line,
            tape,
            ..Fields::default()
        };
    }

    /// All that lies on the tape, as one value.
    pub fn whole(&self) -> Value<'_> {
        Value(&self.tape)
    }

    fn part(&self, (start, end): (usize, usize)) -> Value<'_> {
        match self.tape.get(start..end) {
            Some(tokens) if !tokens.is_empty() => Value(tokens),
            _ => Value::NIL,
        }
    }

    /// Takes the value that begins at `start` on the tape for a field.
    pub fn set(&mut self, field: Field, start: usize, symbols: &Symbols) -> Result<(), Trouble> {
        let span = (start, self.tape.len());
        let value = self.part(span);
        let token = value.token();
        match field {
            // These two stand for nothing that is decided by: an odd one is as good as none.
            Field::Index => self.index = value.int(),
            Field::Time => self.time_ns = value.int(),
            Field::Process => self.process = Some(token),
            Field::Type => {
                let kind = value
                    .name()
                    .and_then(|name| super::edn::kind_named(symbols.spelling(name).as_bytes()));
                let Some(kind) = kind else {
                    let found = value.display(symbols).to_string();
                    return Err(super::edn::not_a_kind(&found));
                };
                self.kind = Some(kind);
            }
            Field::Function => self.function = value.name(),
            Field::Swapped => match token {
                Token::Bool(swapped) => self.swapped = Some(swapped),
                Token::Nil => {}
                _ => {
                    let found = value.display(symbols).to_string();
                    return Err(format!(":swapped must be true or false, not {found}").into());
                }
            },
            Field::Key => self.key = span,
            Field::Value => self.value = span,
            Field::Error => self.error = span,
            Field::Other => {}
        }
        if !matches!(field, Field::Key | Field::Value | Field::Error) {
            self.tape.truncate(start);
        }
        Ok(())
    }

    pub fn entry<'a>(&'a self, place: u64, symbols: &'a Symbols) -> Result<Entry<'a>, Trouble> {
        let kind = self
            .kind
            .ok_or("the map has no :type, so it is no operation")?;
        Ok(Entry {
            place,
            line: self.line,
            index: self.index,
            time_ns: self.time_ns,
            process: self.process.unwrap_or(Token::Nil),
            kind,
            function: self.function,
            key: self.part(self.key),
            value: self.part(self.value),
            swapped: self.swapped,
            error: self.part(self.error),
            symbols,
        })
    }
}
