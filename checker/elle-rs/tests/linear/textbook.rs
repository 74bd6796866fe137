//! Objects told as plainly as can be, and every order of a small history tried: slow, and too
//! plain to be wrong.

use elle_rs::linear::ModelName;

/// An operation with its answer.
#[derive(Clone, Debug)]
pub enum Act {
    Read(Option<i64>),
    Write(i64),
    /// Expected, new, whether it was made.
    Cas(i64, i64, bool),
    /// New, old.
    Swap(i64, Option<i64>),
    Get(String),
    Put(String),
    Append(String),
    Delete,
    /// (is it a write, register, value)
    Transaction(Vec<(bool, i64, Option<i64>)>),
    Acquire,
    Release,
    /// The element, and whether it is said that it was not there.
    Add(i64, Option<bool>),
    Remove(i64, Option<bool>),
    Contains(i64, bool),
    Elements(Vec<i64>),
    Plus(i64),
    Count(i64),
    Enqueue(i64),
    Dequeue(Option<i64>),
}

/// When an operation was invoked and how it ended.
#[derive(Clone, Debug)]
pub struct Timed {
    pub start: u64,
    pub finish: u64,
    /// `ok`, `info`, `fail`, or nothing where it was never answered.
    pub kind: &'static str,
    pub act: Act,
}

/// What an object holds: numbers (a missing value is `NONE`), letters, elements.
pub type State = Vec<i64>;
const NONE: i64 = -1;

pub fn initial(model: ModelName) -> State {
    match model {
        ModelName::Register | ModelName::CasRegister | ModelName::KvMap => vec![NONE],
        ModelName::MultiRegister => vec![NONE, NONE, NONE],
        ModelName::Mutex | ModelName::Counter => vec![0],
        _ => Vec::new(),
    }
}

fn letters(text: &str) -> State {
    text.bytes().map(i64::from).collect()
}

fn flag(holds: bool, state: &State) -> Vec<State> {
    if holds {
        vec![state.clone()]
    } else {
        Vec::new()
    }
}

fn without(state: &State, at: usize) -> State {
    let mut state = state.clone();
    state.remove(at);
    state
}

/// The states that an operation may leave behind; what came back counts only if it was `answered`.
pub fn step(model: ModelName, state: &State, act: &Act, answered: bool) -> Vec<State> {
    let number = |value: &Option<i64>| value.unwrap_or(NONE);
    match act {
        Act::Read(seen) => flag(!answered || state[0] == number(seen), state),
        Act::Write(new) => vec![vec![*new]],
        Act::Cas(old, new, made) => match (state[0] == *old, answered) {
            (true, false) => vec![vec![*new], state.clone()],
            (false, false) => vec![state.clone()],
            (there, true) if there != *made => Vec::new(),
            (true, true) => vec![vec![*new]],
            (false, true) => vec![state.clone()],
        },
        Act::Swap(new, old) if !answered || state[0] == number(old) => vec![vec![*new]],
        Act::Swap(..) => Vec::new(),
        Act::Get(seen) => {
            let now = if *state == [NONE] {
                Vec::new()
            } else {
                state.clone()
            };
            flag(!answered || now == letters(seen), state)
        }
        Act::Put(text) => vec![letters(text)],
        Act::Append(text) => {
            let now = if *state == [NONE] {
                Vec::new()
            } else {
                state.clone()
            };
            vec![[now, letters(text)].concat()]
        }
        Act::Delete => vec![vec![NONE]],
        Act::Transaction(steps) => {
            let mut state = state.clone();
            for (write, register, value) in steps {
                if *write {
                    state[*register as usize] = number(value);
                } else if answered && state[*register as usize] != number(value) {
                    return Vec::new();
                }
            }
            vec![state]
        }
        Act::Acquire if state[0] == 0 => vec![vec![1]],
        Act::Release if state[0] == 1 => vec![vec![0]],
        Act::Acquire | Act::Release => Vec::new(),
        Act::Add(element, first) => match state.binary_search(element) {
            Ok(_) => flag(!answered || *first != Some(true), state),
            Err(_) if answered && *first == Some(false) => Vec::new(),
            Err(at) => {
                let mut state = state.clone();
                state.insert(at, *element);
                vec![state]
            }
        },
        Act::Remove(element, there) => match state.binary_search(element) {
            Ok(_) if answered && *there == Some(false) => Vec::new(),
            Ok(at) => vec![without(state, at)],
            Err(_) => flag(!answered || *there == Some(false), state),
        },
        Act::Contains(element, there) => {
            flag(!answered || state.contains(element) == *there, state)
        }
        Act::Elements(seen) => flag(!answered || state == seen, state),
        Act::Plus(by) => vec![vec![state[0] + by]],
        Act::Count(seen) => flag(!answered || state[0] == *seen, state),
        Act::Enqueue(value) => {
            let mut state = state.clone();
            state.push(*value);
            if model != ModelName::FifoQueue {
                state.sort_unstable();
            }
            vec![state]
        }
        Act::Dequeue(seen) => {
            let takes: Vec<usize> = match model {
                _ if state.is_empty() => Vec::new(),
                ModelName::FifoQueue => vec![0],
                ModelName::PriorityQueue => vec![state.len() - 1],
                _ => (0..state.len()).collect(),
            };
            let fits = |at: &usize| !answered || *seen == Some(state[*at]);
            let mut after: Vec<State> = takes
                .into_iter()
                .filter(fits)
                .map(|at| without(state, at))
                .collect();
            if state.is_empty() && (!answered || seen.is_none()) {
                after.push(Vec::new());
            }
            after
        }
    }
}

/// Whether some order explains them all.
pub fn linearizable(model: ModelName, operations: &[Timed]) -> bool {
    let considered: Vec<&Timed> = operations.iter().filter(|op| op.kind != "fail").collect();
    search(model, &considered, 0, &initial(model))
}

fn search(model: ModelName, operations: &[&Timed], done: u32, state: &State) -> bool {
    let left = || (0..operations.len()).filter(|i| done & (1 << i) == 0);
    if left().all(|i| operations[i].kind != "ok") {
        return true;
    }
    left().any(|i| {
        let now = operations[i];
        let barred = left().any(|j| operations[j].kind == "ok" && operations[j].finish < now.start);
        !barred
            && step(model, state, &now.act, now.kind == "ok")
                .iter()
                .any(|state| search(model, operations, done | 1 << i, state))
    })
}

fn spelled(value: &Option<i64>) -> String {
    value.map_or("nil".to_owned(), |value| value.to_string())
}

impl Act {
    /// `:f`, the value asked and the value answered.
    fn edn(&self) -> (&'static str, String, String) {
        let same = |f, value: String| (f, value.clone(), value);
        let nil = || "nil".to_owned();
        match self {
            Act::Read(seen) => ("read", nil(), spelled(seen)),
            Act::Write(new) => same("write", new.to_string()),
            Act::Cas(old, new, made) => {
                let pair = format!("[{old} {new}]");
                ("cas", pair.clone(), format!("{pair}, :swapped {made}"))
            }
            Act::Swap(new, old) => ("swap", new.to_string(), format!("[{} {new}]", spelled(old))),
            Act::Get(seen) => ("get", nil(), format!("\"{seen}\"")),
            Act::Put(text) => same("put", format!("\"{text}\"")),
            Act::Append(text) => same("append", format!("\"{text}\"")),
            Act::Delete => same("delete", nil()),
            Act::Transaction(steps) => {
                let spell = |asked: bool| {
                    let steps = steps.iter().map(|(write, register, value)| match write {
                        true => format!("[:w {register} {}]", spelled(value)),
                        false if asked => format!("[:r {register} nil]"),
                        false => format!("[:r {register} {}]", spelled(value)),
                    });
                    format!("[{}]", steps.collect::<Vec<_>>().join(" "))
                };
                ("txn", spell(true), spell(false))
            }
            Act::Acquire => same("acquire", nil()),
            Act::Release => same("release", nil()),
            Act::Add(element, first) => {
                let answer = first.map_or(element.to_string(), |first| first.to_string());
                ("add", element.to_string(), answer)
            }
            Act::Remove(element, there) => {
                let answer = there.map_or(element.to_string(), |there| there.to_string());
                ("remove", element.to_string(), answer)
            }
            Act::Contains(element, there) => ("contains", element.to_string(), there.to_string()),
            Act::Elements(seen) => ("read", nil(), format!("{seen:?}")),
            Act::Plus(by) => same("add", by.to_string()),
            Act::Count(seen) => ("read", nil(), seen.to_string()),
            Act::Enqueue(value) => same("enqueue", value.to_string()),
            Act::Dequeue(seen) => ("dequeue", nil(), spelled(seen)),
        }
    }
}

/// The history in EDN, each operation by a process of its own. At equal moments invocations come
/// first.
pub fn edn(operations: &[Timed]) -> String {
    let mut events: Vec<(u64, bool, usize)> = Vec::new();
    for (process, operation) in operations.iter().enumerate() {
        events.push((operation.start, false, process));
        if !operation.kind.is_empty() {
            events.push((operation.finish, true, process));
        }
    }
    events.sort_unstable();
    let mut text = String::new();
    for (_, completes, process) in events {
        let operation = &operations[process];
        let (f, asked, answered) = operation.act.edn();
        let (kind, value) = match (completes, operation.kind) {
            (false, _) => ("invoke", asked),
            (true, "ok") => ("ok", answered),
            (true, kind) => (kind, asked),
        };
        text += &format!("{{:type :{kind}, :process {process}, :f :{f}, :value {value}}}\n");
    }
    text
}
