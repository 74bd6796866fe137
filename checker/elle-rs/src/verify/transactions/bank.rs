//! Adds up what was read of a bank.

use std::collections::HashMap;

use super::super::{VerifyError, same_length};
use super::forbids;
use crate::certificate::Certificate;
use crate::history::Kind;
use crate::history::stream::{Entry, Reader, Shape, Token, known};
use crate::levels::Level;

/// What an acknowledged read saw.
#[derive(Clone, Copy)]
struct Read {
    /// `None`: a balance is missing.
    total: Option<i128>,
    least: i64,
}

pub(super) fn verify(
    certificate: &Certificate,
    level: Level,
    mut reader: Reader,
) -> Result<String, VerifyError> {
    let (mut entries, mut open) = (0, HashMap::new());
    let mut reads: HashMap<u64, Read> = HashMap::new();
    while let Some(entry) = reader.next_entry()? {
        entries += 1;
        let process = match entry.process {
            Token::Int(process) => process,
            Token::Nil => 0,
            _ => continue,
        };
        if entry.kind == Kind::Invoke {
            open.insert(process, entry.place);
            continue;
        }
        let invoked = open.remove(&process).unwrap_or(entry.place);
        if let Some(read) = read(&entry) {
            reads.insert(invoked, read);
        }
    }
    same_length(certificate, entries)?;
    let shown = match certificate.verdict.as_str() {
        "valid" if reader.torn().is_some() => Err("the history is torn".to_owned()),
        "valid" => holds(certificate, level, &reads),
        "violated" => broken(certificate, level, &reads),
        other => Err(format!("its verdict, {other:?}, is none")),
    };
    shown.map_err(VerifyError::Refuted)
}

fn read(entry: &Entry<'_>) -> Option<Read> {
    let is_map = matches!(entry.value.token(), Token::Open(Shape::Map, _));
    if entry.kind != Kind::Ok || entry.function != Some(known::READ) || !is_map {
        return None;
    }
    let balances = || entry.value.parts().into_iter().flatten().skip(1).step_by(2);
    let total = balances()
        .map(|balance| balance.int().map(i128::from))
        .sum();
    let least = balances().filter_map(|balance| balance.int()).min();
    Some(Read {
        total,
        least: least.unwrap_or(0),
    })
}

fn holds(
    certificate: &Certificate,
    level: Level,
    reads: &HashMap<u64, Read>,
) -> Result<String, String> {
    if !forbids(level, "wrong-total") {
        return Ok(format!("{level} permits any total"));
    }
    let total = certificate.total.ok_or("it names no total")?;
    let mut wrong: Vec<&u64> = reads
        .iter()
        .filter(|(_, read)| read.total != Some(i128::from(total)) || read.least < 0)
        .map(|(place, _)| place)
        .collect();
    wrong.sort_unstable();
    match wrong.first() {
        _ if reads.is_empty() => Err("nobody read the accounts".to_owned()),
        Some(place) => Err(format!("the read invoked at {place} has another total")),
        None => Ok(format!("added up {} reads of the accounts", reads.len())),
    }
}

fn broken(
    certificate: &Certificate,
    level: Level,
    reads: &HashMap<u64, Read>,
) -> Result<String, String> {
    let anomaly = certificate.anomaly.as_deref().unwrap_or_default();
    if !forbids(level, anomaly) {
        return Err(format!("{level} does not forbid {anomaly:?}"));
    }
    let shows = certificate.shows.as_ref().ok_or("no reads are named")?;
    let named: Vec<Read> = shows
        .ops
        .iter()
        .map(|place| reads.get(place).copied())
        .collect::<Option<_>>()
        .ok_or("what is named is no read of the accounts")?;
    let is_there = match (anomaly, &named[..]) {
        ("wrong-total", [a, b]) => a.total.is_some() && b.total.is_some() && a.total != b.total,
        ("wrong-total", [one]) => one.total.is_none(),
        ("negative-balance", [one]) => one.least < 0,
        _ => false,
    };
    match is_there {
        true => Ok(format!("{anomaly}: the balances are as it says")),
        false => Err(format!("the reads named do not show {anomaly:?}")),
    }
}
