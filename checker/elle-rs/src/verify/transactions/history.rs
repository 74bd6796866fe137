//! A history of transactions as the verifier sees it: everything that was done and read, as written.
//! (`txn::read` and `txn::builder` make something compact of it; this is kept apart from them, so
//! that what they get wrong is seen.)

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

/// What a transaction read of a key as others', and whether it contradicted itself.
pub(super) struct Reads<'a> {
    /// A list without its own appends behind it, or a register's value if there is one: by the
    /// first read before which it had not written to a register.
    pub others: Option<&'a [i64]>,
    /// Where among the steps that stands.
    pub at: usize,
    /// Whether a read is not what the ones before it, and its own writes, make of the key.
    pub contradicts: bool,
}

impl Transaction {
    /// The reads of one key.
    pub fn reads(&self, key: i64) -> Reads<'_> {
        let mut reads = Reads {
            others: None,
            at: 0,
            contradicts: false,
        };
        let mut own: Vec<i64> = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            if step.key != key {
                continue;
            }
            let (others, fits) = match &step.did {
                Did::Write(value) => {
                    own.push(*value);
                    continue;
                }
                Did::Unknown => continue,
                Did::List(list) => {
                    let others = &list[..list.len().saturating_sub(own.len())];
                    (Some(others), list.ends_with(&own))
                }
                Did::Value(value) => match own.last() {
                    Some(last) => (None, Some(last) == value.as_ref()),
                    None => (Some(value.as_slice()), true),
                },
            };
            if !fits {
                reads.contradicts = true;
                continue;
            }
            match (reads.others, others) {
                (None, Some(_)) => (reads.others, reads.at) = (others, at),
                (Some(before), Some(now)) => reads.contradicts |= before != now,
                (_, None) => {}
            }
        }
        reads
    }

    /// What it read of a key as others' and then wrote to, if it is acknowledged.
    pub fn overwrites(&self, key: i64) -> Option<&[i64]> {
        let reads = self.reads(key);
        let mut later = self.steps[reads.at..].iter();
        let wrote = later.any(|step| step.key == key && matches!(step.did, Did::Write(_)));
        reads.others.filter(|_| wrote && self.is_ok())
    }

    /// Its writes to a key, in its order.
    pub fn writes(&self, key: i64) -> impl DoubleEndedIterator<Item = i64> + '_ {
        let steps = self.steps.iter().filter(move |step| step.key == key);
        steps.filter_map(|step| match step.did {
            Did::Write(value) => Some(value),
            _ => None,
        })
    }

    /// The keys it touched, each once.
    pub fn keys(&self) -> Vec<i64> {
        let mut keys: Vec<i64> = self.steps.iter().map(|step| step.key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether some read of a key had a value in it.
    pub fn read(&self, key: i64, value: i64) -> bool {
        let mut steps = self.steps.iter().filter(|step| step.key == key);
        steps.any(|step| match &step.did {
            Did::List(list) => list.contains(&value),
            Did::Value(read) => *read == Some(value),
            Did::Write(_) | Did::Unknown => false,
        })
    }
}
