//! Transactions of a history file, read as a stream.

use std::path::Path;

use rustc_hash::FxHashMap;

use super::builder::{Builder, Head, Seen};
use super::malformed::Malformed;
use super::store::Store;
use crate::history::Kind;
use crate::history::stream::{
    Entry, Format, ReadError, Reader, Shape, Symbol, Token, Torn, Value, known,
};

/// Why a file cannot be read as transactions.
#[derive(Debug, thiserror::Error)]
pub enum TransactionsError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event is no transaction on what the model is about.
    #[error("line {line}: {reason}")]
    Step {
        /// The line the event begins on.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// Its events do not fit together.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Transactions, and where the file was torn off, if it was.
pub struct Transactions {
    /// The transactions.
    pub store: Store,
    /// How many entries the history has, of whatever kind.
    pub entries: u64,
    /// What is missing at the end.
    pub torn: Option<Torn>,
}

/// Reads the transactions of a file: on lists, or on registers. What is not `:f :txn` is passed
/// over (an event without `:f` counts), and so are processes that are no number (the nemesis).
pub fn read(
    path: &Path,
    format: Option<Format>,
    lists: bool,
) -> Result<Transactions, TransactionsError> {
    read_from(Reader::open(path, format)?, lists)
}

/// The same from a reader.
pub fn read_from(mut reader: Reader, lists: bool) -> Result<Transactions, TransactionsError> {
    let mut feeder = Feeder {
        builder: Builder::new(lists),
        lists,
        names: FxHashMap::default(),
    };
    let mut entries = 0;
    while let Some(entry) = reader.next_entry()? {
        entries += 1;
        feeder.entry(&entry)?;
    }
    Ok(Transactions {
        entries,
        store: feeder.builder.finish()?,
        torn: reader.torn().cloned(),
    })
}

struct Feeder {
    builder: Builder,
    lists: bool,
    /// Keys and values that are words, as numbers no history has.
    names: FxHashMap<Symbol, i64>,
}

impl Feeder {
    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), TransactionsError> {
        let process = match entry.process {
            Token::Int(process) => process,
            Token::Nil => 0,
            _ => return Ok(()),
        };
        if entry
            .function
            .is_some_and(|function| function != known::TXN)
        {
            return Ok(());
        }
        let steps = entry.value.parts().into_iter().flatten();
        for step in steps {
            self.step(step, entry)
                .map_err(|reason| TransactionsError::Step {
                    line: entry.line,
                    reason,
                })?;
        }
        self.builder.event(Head {
            index: entry.place,
            time_ns: entry.time_ns.map_or(0, |time| time.max(0) as u64),
            process,
            kind: entry.kind,
            node: None,
        })?;
        Ok(())
    }

    fn step(&mut self, step: Value<'_>, entry: &Entry<'_>) -> Result<(), String> {
        let lists = self.lists;
        let wrong = || {
            let expected = if lists {
                "[:append key value] or [:r key list]"
            } else {
                "[:w key value] or [:r key value]"
            };
            let found = step.display(entry.symbols);
            format!("expected a step such as {expected}, found {found}")
        };
        let mut parts = step.parts().ok_or_else(wrong)?;
        let function = parts.next().and_then(Value::name).ok_or_else(wrong)?;
        let key = parts.next().ok_or_else(wrong)?;
        let key = self.scalar(key.token()).ok_or_else(wrong)?;
        let value = parts.next().unwrap_or(Value::NIL);
        let written = if self.lists { known::APPEND } else { known::W };
        if function == written {
            let value = self.scalar(value.token()).ok_or_else(wrong)?;
            self.builder.write(key, value);
            return Ok(());
        }
        if function != known::R {
            return Err(wrong());
        }
        match value.token() {
            Token::Nil if entry.kind == Kind::Ok => self.builder.read(key, Seen::Nil),
            _ if entry.kind != Kind::Ok => self.builder.read(key, Seen::Unknown),
            Token::Open(Shape::Sequence, _) if self.lists => {
                let tokens = value.parts().map_or(&[][..], |parts| parts.rest());
                let plain = tokens.iter().all(|token| matches!(token, Token::Int(_)));
                if !plain {
                    let list: Option<Vec<i64>> =
                        tokens.iter().map(|&token| self.scalar(token)).collect();
                    self.builder.read_list(key, list.ok_or_else(wrong)?);
                    return Ok(());
                }
                let list = tokens.iter().map(|token| match token {
                    Token::Int(value) => *value,
                    _ => 0,
                });
                self.builder.read_list(key, list);
            }
            token if !self.lists => {
                let value = self.scalar(token).ok_or_else(wrong)?;
                self.builder.read(key, Seen::Value(value));
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }

    /// A key or a value: a number, or a word by the number it is given.
    fn scalar(&mut self, token: Token) -> Option<i64> {
        match token {
            Token::Int(number) => Some(number),
            Token::Keyword(name) | Token::Text(name) | Token::Word(name) => {
                let next = i64::MIN + self.names.len() as i64;
                Some(*self.names.entry(name).or_insert(next))
            }
            Token::Nil | Token::Bool(_) | Token::Open(..) => None,
        }
    }
}
