//! A history as the check of certificates sees it: everything that was done and read, as written.

use std::collections::HashMap;

use crate::history::Kind;
use crate::history::stream::{Entry, ReadError, Reader, Symbol, Token, Value, known};

pub(super) enum Did {
    Write(i64),
    /// Of a list.
    List(Box<[i64]>),
    /// Of a register.
    Value(Option<i64>),
    Unknown,
}

pub(super) struct Step {
    pub key: i64,
    pub did: Did,
}

pub(super) struct Transaction {
    /// The places of its entries; the second is `None` unless it was acknowledged.
    pub invoked: u64,
    pub completed: Option<u64>,
    pub process: i64,
    pub failed: bool,
    pub steps: Vec<Step>,
}

pub(super) struct History {
    pub entries: u64,
    pub torn: bool,
    /// By the place of their invocations.
    pub transactions: Vec<Transaction>,
    pub lists: bool,
    /// Whether the model says that values only grow.
    pub growing: bool,
}

impl History {
    pub fn at(&self, place: u64) -> Result<&Transaction, String> {
        let found = self
            .transactions
            .binary_search_by_key(&place, |transaction| transaction.invoked);
        match found {
            Ok(at) => Ok(&self.transactions[at]),
            Err(_) => Err(format!("entry {place} invokes no transaction")),
        }
    }
}

impl Transaction {
    pub fn is_ok(&self) -> bool {
        self.completed.is_some()
    }

    pub fn wrote(&self, key: i64, value: i64) -> bool {
        let is = |step: &Step| step.key == key && matches!(step.did, Did::Write(v) if v == value);
        self.steps.iter().any(is)
    }
}

/// Reads a history; `Err` within says what makes no sense in it.
pub(super) fn read(mut reader: Reader, lists: bool) -> Result<Result<History, String>, ReadError> {
    let mut history = History {
        entries: 0,
        torn: false,
        transactions: Vec::new(),
        lists,
        growing: false,
    };
    let mut names = HashMap::new();
    let mut open: HashMap<i64, usize> = HashMap::new();
    while let Some(entry) = reader.next_entry()? {
        history.entries += 1;
        if let Err(reason) = history.take(&entry, &mut names, &mut open) {
            return Ok(Err(format!("line {}: {reason}", entry.line)));
        }
    }
    history.torn = reader.torn().is_some();
    Ok(Ok(history))
}

impl History {
    fn take(
        &mut self,
        entry: &Entry<'_>,
        names: &mut HashMap<Symbol, i64>,
        open: &mut HashMap<i64, usize>,
    ) -> Result<(), String> {
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
        let parts = entry.value.parts().into_iter().flatten();
        let steps = parts
            .map(|step| step_of(step, entry.kind, self.lists, names))
            .collect::<Option<Vec<Step>>>()
            .ok_or("a step that is neither a read nor a write")?;
        if entry.kind == Kind::Invoke {
            if open.insert(process, self.transactions.len()).is_some() {
                return Err("a process does two things at once".to_owned());
            }
            self.transactions.push(Transaction {
                invoked: entry.place,
                completed: None,
                process,
                failed: false,
                steps,
            });
            return Ok(());
        }
        let at = open.remove(&process).ok_or("nothing was invoked")?;
        let transaction = &mut self.transactions[at];
        if entry.kind == Kind::Ok {
            transaction.completed = Some(entry.place);
            transaction.steps = steps;
        }
        transaction.failed = entry.kind == Kind::Fail;
        Ok(())
    }
}

fn step_of(
    step: Value<'_>,
    kind: Kind,
    lists: bool,
    names: &mut HashMap<Symbol, i64>,
) -> Option<Step> {
    let mut scalar = |token: Token| match token {
        Token::Int(number) => Some(number),
        Token::Keyword(name) | Token::Text(name) | Token::Word(name) => {
            // Words are numbered as they come, from the least number on.
            let next = i64::MIN + names.len() as i64;
            Some(*names.entry(name).or_insert(next))
        }
        _ => None,
    };
    let mut parts = step.parts()?;
    let function = parts.next()?.name()?;
    let key = scalar(parts.next()?.token())?;
    let value = parts.next().unwrap_or(Value::NIL);
    let did = if function == known::APPEND || function == known::W {
        Did::Write(scalar(value.token())?)
    } else if function != known::R {
        return None;
    } else if kind != Kind::Ok {
        Did::Unknown
    } else if lists {
        let elements = value.parts().into_iter().flatten();
        let list: Option<Vec<i64>> = elements.map(|value| scalar(value.token())).collect();
        Did::List(list?.into())
    } else if value.is_nil() {
        Did::Value(None)
    } else {
        Did::Value(Some(scalar(value.token())?))
    };
    Some(Step { key, did })
}
