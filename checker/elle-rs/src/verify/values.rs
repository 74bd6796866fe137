//! Patterns that values written once make impossible for a register.
//!
//! Every value that was seen has one writer. So whoever saw a value comes behind its writer and
//! before the next one, and an update comes right behind the value that it replaced: values tied
//! together by updates make a chain, which no other chain can stand within.

use rustc_hash::{FxHashMap, FxHashSet};

use super::history::{Did, History, Number, Operation};
use super::{Certificate, Proof, appends, at, replay};

/// The operations of one register, put together by their values.
struct Register<'a> {
    operations: &'a [Operation],
    initial: Number,
    /// Who put a value; more than one, if they are more.
    writers: FxHashMap<Number, Vec<usize>>,
    /// Which operations certainly took effect.
    in_effect: Vec<bool>,
    /// What those saw.
    seen: FxHashSet<Number>,
    /// A text that reads like what was there before everything: the empty one.
    like_initial: Option<Number>,
}

/// The chain of what was there before everything.
const BEGINNING: usize = usize::MAX;

/// Where an operation stands: in which chain (by the writer in front), how far along it, and
/// whether it is behind the writer of its value.
type Place = (usize, usize, bool);

impl Register<'_> {
    fn saw(&self, id: usize) -> Option<Number> {
        match self.operations[id].did {
            Did::Read(value) | Did::Update(value, _) if Some(value) == self.like_initial => {
                Some(self.initial)
            }
            Did::Read(value) | Did::Update(value, _) => Some(value),
            _ => None,
        }
    }

    fn put(&self, id: usize) -> Option<Number> {
        match self.operations[id].did {
            Did::Write(value) | Did::Update(_, value) => Some(value),
            _ => None,
        }
    }

    /// The one writer of a value; `None` for what was there before everything.
    fn writer(&self, value: Number) -> Result<Option<usize>, String> {
        match self.writers.get(&value).map(|writers| &writers[..]) {
            Some([one]) if value != self.initial => Ok(Some(*one)),
            None if value == self.initial => Ok(None),
            _ => Err("a value that was seen has no writer, or several".to_owned()),
        }
    }

    /// Walks from an operation to the front of its chain.
    fn place(&self, id: usize) -> Result<Place, String> {
        if !self.in_effect[id] {
            let place = self.operations[id].invoked;
            return Err(format!("nothing shows that event {place} took effect"));
        }
        let mut writer = match (self.put(id), self.saw(id)) {
            // A value that nobody saw may have other writers.
            (Some(value), _) if self.is_seen(value) => self.writer(value)?,
            (Some(_), _) => Some(id),
            (None, Some(value)) => self.writer(value)?,
            (None, None) => return Err("an operation without a value is named".to_owned()),
        };
        let mut length = 0;
        loop {
            let Some(at) = writer else {
                return Ok((BEGINNING, length, self.put(id).is_none()));
            };
            if !matches!(self.operations[at].did, Did::Update(..)) {
                return Ok((at, length, self.put(id).is_none()));
            }
            writer = self.writer(self.saw(at).unwrap_or(self.initial))?;
            length += 1;
            if length > self.operations.len() {
                return Err("the values go round and round".to_owned());
            }
        }
    }

    fn is_seen(&self, value: Number) -> bool {
        self.seen.contains(&value)
    }
}

/// Checks a proof by values.
pub(super) fn refute(
    certificate: &Certificate,
    history: &History,
    operations: &[Operation],
    proof: &Proof,
) -> Result<String, String> {
    if !matches!(
        certificate.model.as_str(),
        "register" | "cas-register" | "kv-map"
    ) {
        return Err(format!(
            "{:?} is no pattern of a {}",
            proof.pattern, certificate.model
        ));
    }
    let ids = proof
        .ops
        .iter()
        .map(|place| place.map(|place| at(operations, place)).transpose())
        .collect::<Result<Vec<Option<usize>>, String>>()?;
    let updates;
    let appends = |operation: &Operation| matches!(operation.did, Did::Append(_));
    let operations = match operations.iter().any(appends) {
        true => {
            updates = appends::as_updates(operations, history)?;
            &updates[..]
        }
        false => operations,
    };
    let register = register(operations, replay::initial(certificate, history), history)?;
    let whole = || ids.iter().copied().collect::<Option<Vec<usize>>>();
    let refuted = match (proof.pattern.as_str(), &ids[..]) {
        ("thin-air", &[Some(observer)]) => {
            let seen = register.saw(observer).ok_or("it saw nothing")?;
            let nobody = !register.writers.contains_key(&seen) && seen != register.initial;
            register.in_effect[observer] && nobody
        }
        ("replaced-twice", &[Some(first), Some(second)]) => {
            let replaced = |id: usize| match operations[id].did {
                Did::Update(..) if register.in_effect[id] => register.saw(id),
                _ => None,
            };
            let (one, other) = (replaced(first), replaced(second));
            let value = one.filter(|_| one == other && first != second);
            register.writer(value.ok_or("they did not both replace one value")?)?;
            true
        }
        ("circle", _) => circle(&register, &whole().ok_or("a place is missing")?)?,
        ("backwards", &[first, Some(then)]) => backwards(&register, first, then)?,
        ("crossed", &[a_first, Some(b_last), b_first, Some(a_last)]) => {
            crossed(&register, [a_first, Some(b_last), b_first, Some(a_last)])?
        }
        _ => return Err(format!("{:?} is no pattern that is known", proof.pattern)),
    };
    match refuted {
        true => Ok(format!(
            "{}: the values and times are as it says",
            proof.pattern
        )),
        false => Err(format!(
            "the operations named do not make the pattern {:?}",
            proof.pattern
        )),
    }
}

fn register<'a>(
    operations: &'a [Operation],
    initial: Number,
    history: &History,
) -> Result<Register<'a>, String> {
    let is_known = |did: &Did| {
        matches!(
            did,
            Did::Read(_) | Did::Write(_) | Did::Update(..) | Did::Refused(_)
        )
    };
    if operations.iter().any(|operation| !is_known(&operation.did)) {
        return Err("values are deleted, so they say nothing".to_owned());
    }
    let mut register = Register {
        operations,
        initial,
        writers: FxHashMap::default(),
        in_effect: operations.iter().map(|operation| operation.ok).collect(),
        seen: FxHashSet::default(),
        like_initial: None,
    };
    for id in 0..operations.len() {
        if let Some(value) = register.put(id) {
            register.writers.entry(value).or_default().push(id);
        }
    }
    // A missing text reads as an empty one; if someone put that, it tells nothing.
    if initial == super::history::NIL {
        register.like_initial = history.values.empty_text(&history.symbols);
        let puts = |value: &Number| register.writers.contains_key(value);
        if register.like_initial.as_ref().is_some_and(puts) {
            return Err("an empty text was put: a missing one looks the same".to_owned());
        }
    }
    // Who put what was seen took effect too, and so did who put what that one saw.
    let mut waiting: Vec<usize> = (0..operations.len())
        .filter(|&id| operations[id].ok)
        .collect();
    while let Some(id) = waiting.pop() {
        let Some(seen) = register.saw(id) else {
            continue;
        };
        register.seen.insert(seen);
        if let Some([writer]) = register.writers.get(&seen).map(|writers| &writers[..])
            && seen != initial
            && !register.in_effect[*writer]
        {
            register.in_effect[*writer] = true;
            waiting.push(*writer);
        }
    }
    Ok(register)
}

/// Each update saw what another one of them put.
fn circle(register: &Register<'_>, updates: &[usize]) -> Result<bool, String> {
    for (place, &update) in updates.iter().enumerate() {
        let next = updates[(place + 1) % updates.len()];
        let (Did::Update(..), Some(old)) = (&register.operations[next].did, register.saw(next))
        else {
            return Ok(false);
        };
        if !register.in_effect[update] || register.writer(old)? != Some(update) {
            return Ok(false);
        }
    }
    Ok(!updates.is_empty())
}

/// In one chain, `then` stands behind `first`, and yet it had completed before `first` began.
fn backwards(register: &Register<'_>, first: Option<usize>, then: usize) -> Result<bool, String> {
    let first = first.ok_or("nothing completes before the beginning")?;
    let (chain, at, behind) = register.place(first)?;
    let (other, place, behind_writer) = register.place(then)?;
    let stands_behind = (place, behind_writer) > (at, behind);
    let (start, finish) = (
        register.operations[first].invoked,
        register.operations[then].completed,
    );
    Ok(chain == other && stands_behind && finish.is_some_and(|finish| finish < start))
}

/// Two chains, each of which has an operation that completed before one of the other began.
fn crossed(register: &Register<'_>, ids: [Option<usize>; 4]) -> Result<bool, String> {
    let [a_first, b_last, b_first, a_last] = ids;
    // The beginning stands in the chain of what was there before everything.
    let chain = |id: Option<usize>| match id {
        Some(id) => register.place(id).map(|(chain, ..)| chain),
        None => Ok(BEGINNING),
    };
    let before = |first: Option<usize>, last: Option<usize>| {
        let start = last.map(|last| register.operations[last].invoked);
        match first {
            None => start.is_some(),
            Some(first) => {
                let finish = register.operations[first].completed;
                finish
                    .zip(start)
                    .is_some_and(|(finish, start)| finish < start)
            }
        }
    };
    let (a, b) = (chain(a_first)?, chain(b_first)?);
    let apart = a != b && chain(a_last)? == a && chain(b_last)? == b;
    Ok(apart && before(a_first, b_last) && before(b_first, a_last))
}
