//! The operations of a picture, as the history has them.

use std::collections::BTreeMap;

use crate::history::Kind;
use crate::history::stream::{Entry, ReadError, Reader, Token, Value};

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Ok(u64),
    Failed(u64),
    /// Never answered, or nobody knows.
    Open,
}

/// One step of a transaction.
pub(super) struct Step {
    pub key: Option<i64>,
    pub told: String,
}

/// One operation.
pub(super) struct Drawn {
    pub process: i64,
    pub end: End,
    pub call: String,
    pub answer: Option<String>,
    /// What its value consists of, as answered if it was.
    pub steps: Vec<Step>,
}

/// By the place of the invocation.
pub(super) type Scene = BTreeMap<u64, Drawn>;

/// Reads what is wanted.
pub(super) fn read(mut reader: Reader, wanted: &[u64]) -> Result<Scene, ReadError> {
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    let mut scene = Scene::new();
    let mut open: BTreeMap<i64, u64> = BTreeMap::new();
    while let Some(entry) = reader.next_entry()? {
        let process = match entry.process {
            Token::Int(process) => process,
            Token::Nil => 0,
            _ => continue,
        };
        if entry.kind == Kind::Invoke {
            if wanted.binary_search(&entry.place).is_ok() {
                open.insert(process, entry.place);
                scene.insert(entry.place, invoked(&entry, process));
            }
            continue;
        }
        let place = open.remove(&process);
        if let Some(drawn) = place.and_then(|place| scene.get_mut(&place)) {
            complete(drawn, &entry);
        }
        if open.is_empty() && scene.len() == wanted.len() {
            break;
        }
    }
    Ok(scene)
}

fn invoked(entry: &Entry<'_>, process: i64) -> Drawn {
    let name = entry
        .function
        .map_or("", |name| entry.symbols.spelling(name));
    let mut call = name.to_owned();
    for value in [entry.key, entry.value] {
        if !value.is_nil() {
            call += &format!(" {}", value.display(entry.symbols));
        }
    }
    Drawn {
        process,
        end: End::Open,
        call: call.trim_start().to_owned(),
        answer: None,
        steps: steps(entry),
    }
}

fn complete(drawn: &mut Drawn, entry: &Entry<'_>) {
    drawn.end = match entry.kind {
        Kind::Ok => End::Ok(entry.place),
        Kind::Fail => End::Failed(entry.place),
        Kind::Info | Kind::Invoke => End::Open,
    };
    drawn.answer = match entry.kind {
        Kind::Ok => {
            drawn.steps = steps(entry);
            let value = entry.value.display(entry.symbols).to_string();
            let swapped = entry.swapped.map(|swapped| swapped.to_string());
            let said = swapped.unwrap_or(value);
            Some(if drawn.call.ends_with(&said) {
                "ok".to_owned()
            } else {
                said
            })
        }
        Kind::Fail => Some("fail".to_owned()),
        Kind::Info | Kind::Invoke => None,
    };
}

fn steps(entry: &Entry<'_>) -> Vec<Step> {
    let parts = entry.value.parts().into_iter().flatten();
    parts
        .map(|step| Step {
            key: step
                .parts()
                .and_then(|mut parts| parts.nth(1))
                .and_then(Value::int),
            told: step.display(entry.symbols).to_string(),
        })
        .collect()
}

/// At most so many characters, the middle left out.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let half = most.saturating_sub(1) / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(count - half).collect();
    format!("{head}…{tail}")
}
