//! The history as the verifier reads it: its own pairing, its own understanding of operations.

use rustc_hash::FxHashMap;

use crate::history::stream::{Kind, ReadError, Reader, Symbols, Token, Value, known};

/// A value, by number: equal ones have equal numbers.
pub(super) type Number = u32;

/// The number of `nil`.
pub(super) const NIL: Number = 0;

/// What an operation did, as far as its answer tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Did {
    /// Saw a value.
    Read(Number),
    Write(Number),
    /// Put the second where the first was.
    Update(Number, Number),
    /// Did not find this.
    Refused(Number),
    Append(Number),
    Delete,
    /// (is it a write, key, value).
    Transaction(Vec<(bool, Number, Number)>),
    Acquire,
    Release,
    /// To a set; whether it is said that it was not there.
    Insert(Number, bool),
    Remove(Number),
    Contains(Number, bool),
    Enqueue(Number),
    /// `None`: nothing was there.
    Dequeue(Option<Number>),
    DequeueUnseen,
    /// To a counter.
    Plus(i64),
    Count(i64),
}

impl Did {
    /// Whether it changes nothing, whatever the state.
    pub fn looks(&self) -> bool {
        match self {
            Did::Read(_)
            | Did::Refused(_)
            | Did::Contains(..)
            | Did::Dequeue(None)
            | Did::Count(_) => true,
            Did::Transaction(steps) => steps.iter().all(|&(write, ..)| !write),
            _ => false,
        }
    }
}

pub(super) struct Operation {
    pub invoked: u64,
    /// `None`: pending.
    pub completed: Option<u64>,
    pub ok: bool,
    pub did: Did,
}

pub(super) struct History {
    parts: FxHashMap<Number, Vec<Operation>>,
    pub values: Numbers,
    pub symbols: Symbols,
    pub entries: u64,
    pub torn: bool,
}

#[derive(Default)]
pub(super) struct Numbers {
    numbers: FxHashMap<Vec<Token>, Number>,
    pub all: Vec<Vec<Token>>,
}

impl Numbers {
    pub fn number(&mut self, value: Value<'_>) -> Number {
        if let Some(&number) = self.numbers.get(value.tokens()) {
            return number;
        }
        let number = self.all.len() as Number;
        self.all.push(value.tokens().to_vec());
        self.numbers.insert(value.tokens().to_vec(), number);
        number
    }

    pub fn find_all(&self, tokens: &[Token]) -> Option<Number> {
        self.numbers.get(tokens).copied()
    }

    pub fn empty_text(&self, symbols: &Symbols) -> Option<Number> {
        self.find(Token::Text(symbols.find("")?))
    }

    pub fn find(&self, token: Token) -> Option<Number> {
        self.numbers.get(&[token][..]).copied()
    }
}

impl History {
    pub fn part(&self, key: Option<&str>) -> Option<&[Operation]> {
        let named = |number: Number| {
            let tokens = &self.values.all[number as usize];
            Value::over(tokens).display(&self.symbols).to_string()
        };
        let number = match key {
            None => NIL,
            Some(key) => *self
                .parts
                .keys()
                .find(|&&number| number != NIL && named(number) == key)?,
        };
        self.parts.get(&number).map(|operations| &operations[..])
    }

    pub fn parts(&self) -> impl Iterator<Item = &[Operation]> {
        self.parts.values().map(|operations| &operations[..])
    }
}

/// What an entry says, kept until its completion.
struct Said {
    place: u64,
    function: Option<crate::history::stream::Symbol>,
    key: Option<Vec<Token>>,
    value: Vec<Token>,
    swapped: Option<bool>,
}

/// Reads a history. The inner error: it is none of the model.
pub(super) fn read(mut reader: Reader, model: &str) -> Result<Result<History, String>, ReadError> {
    let mut open: FxHashMap<i64, Said> = FxHashMap::default();
    let mut history = History {
        parts: FxHashMap::default(),
        values: Numbers::default(),
        symbols: Symbols::default(),
        entries: 0,
        torn: false,
    };
    history.values.number(Value::NIL);
    while let Some(entry) = reader.next_entry()? {
        let process = match entry.process {
            Token::Int(process) => process,
            Token::Nil => 0,
            _ => continue,
        };
        history.entries += 1;
        let said = Said {
            place: entry.place,
            function: entry.function,
            key: (!entry.key.is_nil()).then(|| entry.key.tokens().to_vec()),
            value: entry.value.tokens().to_vec(),
            swapped: entry.swapped,
        };
        if entry.kind == Kind::Invoke {
            if open.insert(process, said).is_some() {
                return Ok(Err(format!("process {process} does two things at once")));
            }
            continue;
        }
        let Some(mut asked) = open.remove(&process) else {
            return Ok(Err(format!(
                "process {process} completes what it did not invoke"
            )));
        };
        // What was asked may be said only at the end, be the outcome known or not.
        asked.function = asked.function.or(said.function);
        let answer = (entry.kind == Kind::Ok).then_some(said);
        if entry.kind == Kind::Fail {
            continue;
        }
        if let Err(reason) = history.add(model, asked, answer) {
            return Ok(Err(reason));
        }
    }
    for asked in open.into_values() {
        if let Err(reason) = history.add(model, asked, None) {
            return Ok(Err(reason));
        }
    }
    if matches!(model, "set" | "unordered-queue") {
        history.split();
    }
    for operations in history.parts.values_mut() {
        operations.sort_by_key(|operation| operation.invoked);
    }
    if model == "multi-register" {
        history.split_registers();
    }
    history.torn = reader.torn().is_some();
    history.symbols = reader.into_symbols();
    Ok(Ok(history))
}

impl History {
    fn add(&mut self, model: &str, asked: Said, answer: Option<Said>) -> Result<(), String> {
        let input = Value::over(&asked.value);
        let output = answer.as_ref().map(|answer| Value::over(&answer.value));
        let swapped = answer.as_ref().and_then(|answer| answer.swapped);
        let name = match (asked.function, model) {
            (Some(name), _) => name,
            // What these ask for stands in their steps.
            (None, "multi-register") => known::READ,
            _ => return Err(format!("event {} has no :f", asked.place)),
        };
        let unknown = || format!("event {} asks for nothing that a {model} has", asked.place);
        let has_keys = matches!(model, "register" | "cas-register" | "kv-map" | "mutex");
        let field = asked.key.as_deref().filter(|_| has_keys).map(Value::over);
        // [key value]; the value of a compare-and-set is a pair itself.
        let split = |value: Value<'_>, is_pair: bool| match value.pair() {
            Some([_, rest]) if has_keys && field.is_none() => !is_pair || rest.pair().is_some(),
            _ => false,
        };
        let is_cas = name == known::CAS;
        let (mut key, mut asked_value) = (field, input);
        if split(input, is_cas)
            && let Some([front, rest]) = input.pair()
        {
            (key, asked_value) = (Some(front), rest);
        }
        let mut seen = output;
        if let Some(output) = output.filter(|&output| split(output, is_cas || name == known::SWAP))
            && let Some([front, rest]) = output.pair()
        {
            seen = Some(rest);
            // Who looks may say only in the answer where.
            if matches!(name, known::READ | known::GET) && *key.get_or_insert(front) != front {
                return Err(unknown());
            }
        }
        let values = &mut self.values;
        let key = key.map_or(NIL, |key| values.number(key));
        let value = |values: &mut Numbers| values.number(asked_value);
        let ok = answer.is_some();
        let whole = |value: Value<'_>| value.int().ok_or_else(unknown);
        let said = match seen.map(Value::token) {
            Some(Token::Bool(said)) => Some(said),
            _ => None,
        };
        let did = match (model, name) {
            ("register" | "cas-register" | "kv-map", known::READ | known::GET) => {
                seen.map(|seen| Did::Read(values.number(seen)))
            }
            ("register" | "cas-register" | "kv-map", known::WRITE | known::PUT) => {
                Some(Did::Write(value(values)))
            }
            ("cas-register" | "kv-map", known::CAS) => {
                let [expected, new] = asked_value.pair().ok_or_else(unknown)?;
                let expected = values.number(expected);
                match swapped {
                    Some(false) => Some(Did::Refused(expected)),
                    _ => Some(Did::Update(expected, values.number(new))),
                }
            }
            ("cas-register" | "kv-map", known::SWAP) => match seen {
                None => Some(Did::Write(value(values))),
                Some(seen) => {
                    let [old, new] = seen.pair().ok_or_else(unknown)?;
                    Some(Did::Update(values.number(old), values.number(new)))
                }
            },
            ("kv-map", known::APPEND) if asked_value.is_nil() => return Err(unknown()),
            ("kv-map", known::APPEND) => Some(Did::Append(value(values))),
            ("kv-map", known::DELETE) => Some(Did::Delete),
            ("multi-register", _) => {
                transaction(values, input, output.filter(|seen| !seen.is_nil()), ok)
                    .ok_or_else(unknown)?
                    .map(Did::Transaction)
            }
            ("mutex", known::ACQUIRE) => Some(Did::Acquire),
            ("mutex", known::RELEASE) => Some(Did::Release),
            ("set", known::ADD) if said == Some(false) => Some(Did::Contains(value(values), true)),
            ("set", known::ADD) => Some(Did::Insert(value(values), said == Some(true))),
            ("set", known::REMOVE) if said == Some(false) => {
                Some(Did::Contains(value(values), false))
            }
            ("set", known::REMOVE) => Some(Did::Remove(value(values))),
            ("set", known::CONTAINS) => said.map(|said| Did::Contains(value(values), said)),
            ("set", known::READ) => seen.map(|seen| Did::Read(values.number(seen))),
            ("counter", known::ADD | known::INC | known::DEC) => {
                let by = if input.is_nil() { 1 } else { whole(input)? };
                let by = if name == known::DEC {
                    by.checked_neg().ok_or_else(unknown)?
                } else {
                    by
                };
                Some(Did::Plus(by))
            }
            ("counter", known::READ) => seen.map(|seen| whole(seen).map(Did::Count)).transpose()?,
            ("fifo-queue" | "unordered-queue" | "priority-queue", known::ENQUEUE) => {
                Some(Did::Enqueue(value(values)))
            }
            ("fifo-queue" | "unordered-queue" | "priority-queue", known::DEQUEUE) => {
                Some(match seen {
                    None => Did::DequeueUnseen,
                    Some(seen) if seen.is_nil() => Did::Dequeue(None),
                    Some(seen) => Did::Dequeue(Some(values.number(seen))),
                })
            }
            _ => return Err(unknown()),
        };
        // What only looked and was not answered says nothing.
        let Some(did) = did else { return Ok(()) };
        self.parts.entry(key).or_default().push(Operation {
            invoked: asked.place,
            completed: answer.map(|answer| answer.place),
            ok,
            did,
        });
        Ok(())
    }
}

impl History {
    /// What happens to one element says nothing about another, unless the whole was seen.
    fn split(&mut self) {
        let mut whole = self.parts.values().flatten();
        let element = |did: &Did| match did {
            Did::Insert(element, _) | Did::Remove(element) | Did::Contains(element, _) => {
                Some(*element)
            }
            Did::Enqueue(element) | Did::Dequeue(Some(element)) => Some(*element),
            _ => None,
        };
        if whole.any(|operation| element(&operation.did).is_none()) {
            return;
        }
        let mut parts: FxHashMap<Number, Vec<Operation>> = FxHashMap::default();
        for operation in std::mem::take(&mut self.parts).into_values().flatten() {
            if let Some(element) = element(&operation.did) {
                parts.entry(element).or_default().push(operation);
            }
        }
        self.parts = parts;
    }
}

impl History {
    /// Registers that no transaction ties together say nothing about each other.
    fn split_registers(&mut self) {
        let Some(whole) = self.parts.get_mut(&NIL) else {
            return;
        };
        let Some(parts) = super::connected::split(whole) else {
            return;
        };
        let mut whole: Vec<Option<Operation>> = whole.drain(..).map(Some).collect();
        let mut take =
            |ids: Vec<usize>| ids.into_iter().filter_map(|id| whole[id].take()).collect();
        self.parts = parts
            .into_iter()
            .map(|(name, ids)| (name, take(ids)))
            .collect();
    }
}

type Steps = Vec<(bool, Number, Number)>;

/// The steps of a transaction; the inner `None`: nothing is known of it and it wrote nothing.
fn transaction(
    values: &mut Numbers,
    asked: Value<'_>,
    seen: Option<Value<'_>>,
    ok: bool,
) -> Option<Option<Steps>> {
    let mut steps = Vec::new();
    for step in seen.unwrap_or(asked).parts()? {
        let mut parts = step.parts()?;
        let name = parts.next()?.name()?;
        let key = values.number(parts.next()?);
        let value = values.number(parts.next().unwrap_or(Value::NIL));
        match name {
            known::R | known::READ if ok => steps.push((false, key, value)),
            known::R | known::READ => {}
            known::W | known::WRITE => steps.push((true, key, value)),
            _ => return None,
        }
    }
    let says_something = ok || steps.iter().any(|&(write, ..)| write);
    Some(says_something.then_some(steps))
}
