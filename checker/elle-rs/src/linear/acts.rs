//! What an operation asked, together with what came back, for every model in one small form.

use super::ModelName;
use super::values::{Atom, NIL, Values};
use crate::history::stream::{Call, Outcome, Token, Value, known};

/// What was done. `a` and `b` of an [`Act`] are named in the order in which they stand here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Saw value a.
    Read,
    /// Put value a, whatever was there.
    Write,
    /// Put value b where a was: a swap, or a compare-and-set that was made (or may be).
    Update,
    /// Found something other than a.
    Refused,
    /// Put text a behind what was there.
    Append,
    /// Left nothing there.
    Delete,
    /// Reads and writes of several registers in one instant: list a of [`Acts`].
    Transaction,
    /// Took the lock.
    Acquire,
    /// Gave it back.
    Release,
    /// Added a: to a set, to a counter.
    Add,
    /// Took a out of a set, where it was.
    Remove,
    /// a was in the set.
    Present,
    /// a was not in the set.
    Absent,
    /// Put a into a queue.
    Enqueue,
    /// Took a out of a queue.
    Dequeue,
    /// Found the queue empty.
    DequeueNothing,
    /// Took something out of a queue, and nobody knows what.
    DequeueUnseen,
}

/// An operation with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Act {
    /// What was done.
    pub verb: Verb,
    /// Its first value.
    pub a: Atom,
    /// Its second value.
    pub b: Atom,
}

impl Act {
    fn new(verb: Verb, a: Atom) -> Act {
        Act { verb, a, b: NIL }
    }

    /// The value it puts into a register.
    pub fn puts(self) -> Option<Atom> {
        match self.verb {
            Verb::Write => Some(self.a),
            Verb::Update => Some(self.b),
            _ => None,
        }
    }
}

/// One step of a transaction on several registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Micro {
    /// Saw the value under the key.
    Read(Atom, Atom),
    /// Put the value under the key.
    Write(Atom, Atom),
}

/// The transactions that acts refer to.
#[derive(Default)]
pub struct Acts {
    transactions: Vec<Box<[Micro]>>,
}

type Compiled = Result<Option<(Atom, Act)>, String>;

impl Acts {
    /// The steps of a transaction.
    pub fn transaction(&self, number: u32) -> &[Micro] {
        self.transactions
            .get(number as usize)
            .map_or(&[], |steps| steps)
    }

    /// What a call is to the model, and its key; `None` if nothing can be said by it.
    pub(super) fn of_call(
        &mut self,
        call: &Call<'_>,
        model: ModelName,
        values: &mut Values,
    ) -> Compiled {
        match model {
            ModelName::Register | ModelName::CasRegister | ModelName::KvMap => {
                register(call, model, values)
            }
            ModelName::MultiRegister => self.transaction_of(call, values),
            ModelName::Mutex => mutex(call, values),
            ModelName::Set => set(call, values),
            ModelName::Counter => counter(call, values),
            ModelName::FifoQueue | ModelName::UnorderedQueue | ModelName::PriorityQueue => {
                queue(call, model, values)
            }
        }
    }

    fn transaction_of(&mut self, call: &Call<'_>, values: &mut Values) -> Compiled {
        if call.outcome == Outcome::Fail {
            return Ok(None);
        }
        let known = call.outcome == Outcome::Ok;
        let steps = if known { call.output } else { call.input };
        let mut micros = Vec::new();
        let steps = match steps.token() {
            Token::Nil => call.input,
            _ => steps,
        };
        let Some(steps) = steps.parts() else {
            return Err(unknown(call, "[[:r key value] [:w key value] …]"));
        };
        for step in steps {
            let mut parts = step.parts().into_iter().flatten();
            let (Some(name), Some(key), value) = (
                parts.next().and_then(Value::name),
                parts.next(),
                parts.next().unwrap_or(Value::NIL),
            ) else {
                return Err(unknown(call, "steps [:r key value] and [:w key value]"));
            };
            let (key, value) = (values.intern(key), values.intern(value));
            match name {
                known::R | known::READ if known => micros.push(Micro::Read(key, value)),
                known::R | known::READ => {}
                known::W | known::WRITE => micros.push(Micro::Write(key, value)),
                _ => return Err(unknown(call, "steps [:r key value] and [:w key value]")),
            }
        }
        let only_reads = micros.iter().all(|micro| matches!(micro, Micro::Read(..)));
        if only_reads && !known {
            return Ok(None);
        }
        // Equal transactions must be equal acts.
        let tokens: Vec<Token> = micros
            .iter()
            .flat_map(|micro| match *micro {
                Micro::Read(key, value) => [0, i64::from(key), i64::from(value)],
                Micro::Write(key, value) => [1, i64::from(key), i64::from(value)],
            })
            .map(Token::Int)
            .collect();
        let same = values.intern(Value::over(&tokens));
        let at = same as usize;
        if self.transactions.len() <= at {
            self.transactions.resize(at + 1, Box::new([]));
        }
        self.transactions[at] = micros.into();
        Ok(Some((NIL, Act::new(Verb::Transaction, same))))
    }
}

fn unknown(call: &Call<'_>, understood: &str) -> String {
    let name = call.function.map_or("nil".to_owned(), |name| {
        format!(":{}", call.symbols.spelling(name))
    });
    format!(
        "the operation {name} {} is not known; there are {understood}",
        call.input.display(call.symbols)
    )
}

/// The key of a call, where it has a field of its own.
fn key_field(call: &Call<'_>, values: &mut Values) -> Option<Atom> {
    let is_there = !call.key.tokens().is_empty() && !call.key.is_nil();
    is_there.then(|| values.intern(call.key))
}

/// The key of a call and what is left of a value: `[key value]`, or a field of its own.
fn keyed<'a>(call: &Call<'a>, value: Value<'a>, values: &mut Values) -> (Atom, Value<'a>) {
    if let Some(key) = key_field(call, values) {
        return (key, value);
    }
    match value.pair() {
        Some([key, value]) => (values.intern(key), value),
        None => (NIL, value),
    }
}

fn register(call: &Call<'_>, model: ModelName, values: &mut Values) -> Compiled {
    let ok = call.outcome == Outcome::Ok;
    let with_cas = model != ModelName::Register;
    match call.function {
        Some(known::READ | known::GET) => {
            if !ok {
                return Ok(None);
            }
            let (key, value) = match (key_field(call, values), call.input.pair()) {
                (None, Some([asked, _]))
                    if call.output.pair().is_some_and(|[told, _]| told != asked) =>
                {
                    return Err(unknown(call, "answers about the key that was asked for"));
                }
                // The key may be said only when it is asked.
                (None, Some([key, _])) if call.output.pair().is_none() => {
                    (values.intern(key), call.output)
                }
                _ => keyed(call, call.output, values),
            };
            Ok(Some((key, Act::new(Verb::Read, values.intern(value)))))
        }
        Some(known::WRITE | known::PUT) => {
            let (key, value) = keyed(call, call.input, values);
            Ok(Some((key, Act::new(Verb::Write, values.intern(value)))))
        }
        Some(known::CAS) if with_cas => {
            // [expected new], or [key [expected new]].
            let inner = call
                .input
                .pair()
                .and_then(|[_, inner]| inner.pair().map(|_| inner));
            let (key, pair) = match (key_field(call, values), inner) {
                (Some(key), _) => (key, call.input),
                (None, Some(_)) => keyed(call, call.input, values),
                (None, None) => (NIL, call.input),
            };
            let Some([expected, new]) = pair.pair() else {
                return Err(unknown(call, ":cas [expected new]"));
            };
            let (a, b) = (values.intern(expected), values.intern(new));
            let verb = match (ok, call.swapped) {
                (true, Some(false)) => Verb::Refused,
                _ => Verb::Update,
            };
            let b = if verb == Verb::Refused { NIL } else { b };
            Ok(Some((key, Act { verb, a, b })))
        }
        Some(known::SWAP) if with_cas => {
            let (key, new) = keyed(call, call.input, values);
            if !ok {
                return Ok(Some((key, Act::new(Verb::Write, values.intern(new)))));
            }
            let pair = call.output.pair();
            let inner = pair.and_then(|[_, inner]| inner.pair()).or(pair);
            let Some([old, new]) = inner else {
                return Err(unknown(call, ":swap new, answered with [old new]"));
            };
            let (a, b) = (values.intern(old), values.intern(new));
            Ok(Some((
                key,
                Act {
                    verb: Verb::Update,
                    a,
                    b,
                },
            )))
        }
        Some(known::APPEND) if model == ModelName::KvMap => {
            let (key, value) = keyed(call, call.input, values);
            if value.is_nil() {
                return Err(unknown(call, ":append of a text"));
            }
            Ok(Some((key, Act::new(Verb::Append, values.intern(value)))))
        }
        Some(known::DELETE) if model == ModelName::KvMap => {
            let (key, _) = keyed(call, call.input, values);
            let key = if key == NIL {
                values.intern(call.input)
            } else {
                key
            };
            Ok(Some((key, Act::new(Verb::Delete, NIL))))
        }
        _ => Err(unknown(
            call,
            match model {
                ModelName::Register => ":read and :write",
                ModelName::CasRegister => ":read, :write, :cas and :swap",
                _ => ":get (:read), :put (:write), :append, :delete, :cas and :swap",
            },
        )),
    }
}

fn mutex(call: &Call<'_>, values: &mut Values) -> Compiled {
    if call.outcome == Outcome::Fail {
        return Ok(None);
    }
    let (key, _) = keyed(call, call.input, values);
    match call.function {
        Some(known::ACQUIRE) => Ok(Some((key, Act::new(Verb::Acquire, NIL)))),
        Some(known::RELEASE) => Ok(Some((key, Act::new(Verb::Release, NIL)))),
        _ => Err(unknown(call, ":acquire and :release")),
    }
}

fn set(call: &Call<'_>, values: &mut Values) -> Compiled {
    if call.outcome == Outcome::Fail {
        return Ok(None);
    }
    let ok = call.outcome == Outcome::Ok;
    let element = |values: &mut Values| values.intern(call.input);
    let said = match call.output.token() {
        Token::Bool(said) if ok => Some(said),
        _ => None,
    };
    let act = match call.function {
        // `false`: it was there already.
        Some(known::ADD) if said == Some(false) => Act::new(Verb::Present, element(values)),
        Some(known::ADD) => {
            let b = if said == Some(true) { 1 } else { NIL };
            Act {
                verb: Verb::Add,
                a: element(values),
                b,
            }
        }
        Some(known::REMOVE) if said == Some(false) => Act::new(Verb::Absent, element(values)),
        Some(known::REMOVE) => Act::new(Verb::Remove, element(values)),
        Some(known::CONTAINS) if !ok => return Ok(None),
        Some(known::CONTAINS) => match said {
            Some(true) => Act::new(Verb::Present, element(values)),
            Some(false) => Act::new(Verb::Absent, element(values)),
            None => {
                return Err(unknown(
                    call,
                    ":contains element, answered with true or false",
                ));
            }
        },
        Some(known::READ) if !ok => return Ok(None),
        Some(known::READ) => {
            if !call.output.is_nil() && call.output.parts().is_none() {
                return Err(unknown(call, ":read, answered with the elements"));
            }
            Act::new(Verb::Read, values.intern(call.output))
        }
        _ => return Err(unknown(call, ":add, :remove, :contains and :read")),
    };
    Ok(Some((NIL, act)))
}

fn counter(call: &Call<'_>, values: &mut Values) -> Compiled {
    if call.outcome == Outcome::Fail {
        return Ok(None);
    }
    let ok = call.outcome == Outcome::Ok;
    let number = |value: Value<'_>| value.int().ok_or_else(|| unknown(call, "whole numbers"));
    let add = |sign: i64| {
        let by = if call.input.is_nil() {
            1
        } else {
            number(call.input)?
        };
        by.checked_mul(sign)
            .ok_or_else(|| unknown(call, "numbers of 64 bits"))
    };
    let act = match call.function {
        Some(known::ADD | known::INC) => {
            Act::new(Verb::Add, values.intern_token(Token::Int(add(1)?)))
        }
        Some(known::DEC) => Act::new(Verb::Add, values.intern_token(Token::Int(add(-1)?))),
        Some(known::READ) if !ok => return Ok(None),
        Some(known::READ) => Act::new(
            Verb::Read,
            values.intern_token(Token::Int(number(call.output)?)),
        ),
        _ => return Err(unknown(call, ":add, :inc, :dec and :read")),
    };
    Ok(Some((NIL, act)))
}

fn queue(call: &Call<'_>, model: ModelName, values: &mut Values) -> Compiled {
    if call.outcome == Outcome::Fail {
        return Ok(None);
    }
    let mut whole = |value: Value<'_>| match model {
        ModelName::PriorityQueue if value.int().is_none() => {
            Err(unknown(call, "priorities that are whole numbers"))
        }
        _ => Ok(values.intern(value)),
    };
    let act = match call.function {
        Some(known::ENQUEUE) => Act::new(Verb::Enqueue, whole(call.input)?),
        Some(known::DEQUEUE) if call.outcome != Outcome::Ok => Act::new(Verb::DequeueUnseen, NIL),
        Some(known::DEQUEUE) if call.output.is_nil() => Act::new(Verb::DequeueNothing, NIL),
        Some(known::DEQUEUE) => Act::new(Verb::Dequeue, whole(call.output)?),
        _ => return Err(unknown(call, ":enqueue and :dequeue")),
    };
    Ok(Some((NIL, act)))
}
