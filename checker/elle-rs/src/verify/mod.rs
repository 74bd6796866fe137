//! Checks verdicts by their certificates, with nothing but the history: this module shares no code
//! with the checkers that made them, only the reader of histories and the form of certificates. What
//! it makes of entries stands here a second time on purpose: a mistake in how a checker understands
//! a history is found only by somebody who understands it on his own.
//!
//! A witness is replayed and a pattern by values checked in linear time; what was found by search
//! is searched anew, by a plain search. Transactions have their own checks.

mod appends;
mod connected;
mod history;
mod objects;
mod replay;
mod search;
mod transactions;
mod values;

use crate::certificate::{Certificate, LINEARIZABILITY, Proof, TRANSACTIONS};
use crate::history::stream::{ReadError, Reader};
use history::{History, Operation};

/// Why a certificate is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The history can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It does not show what it claims.
    #[error("the certificate does not hold: {0}")]
    Refuted(String),
}

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The verdict, `valid` or `violated`.
    pub verdict: String,
    /// What it rests on, in words.
    pub rests_on: String,
}

/// Checks a certificate against its history.
pub fn verify(certificate: &Certificate, reader: Reader) -> Result<Verified, VerifyError> {
    let refuted = VerifyError::Refuted;
    match certificate.kind.as_str() {
        LINEARIZABILITY => verify_linearizability(certificate, reader),
        TRANSACTIONS => Ok(Verified {
            verdict: certificate.verdict.clone(),
            rests_on: transactions::verify(certificate, reader)?,
        }),
        other => Err(refuted(format!("its kind, {other:?}, is not known"))),
    }
}

fn same_length(certificate: &Certificate, entries: u64) -> Result<(), VerifyError> {
    if entries == certificate.entries {
        return Ok(());
    }
    Err(VerifyError::Refuted(format!(
        "it is about a history of {} entries, and this one has {entries}",
        certificate.entries
    )))
}

fn verify_linearizability(
    certificate: &Certificate,
    reader: Reader,
) -> Result<Verified, VerifyError> {
    let refuted = VerifyError::Refuted;
    let history = history::read(reader, &certificate.model)?.map_err(refuted)?;
    same_length(certificate, history.entries)?;
    match certificate.verdict.as_str() {
        "valid" if history.torn => Err(refuted("the history is torn".to_owned())),
        "valid" => verify_valid(certificate, &history).map_err(refuted),
        "violated" => verify_violated(certificate, &history).map_err(refuted),
        other => Err(refuted(format!("its verdict, {other:?}, is none"))),
    }
}

fn verify_valid(certificate: &Certificate, history: &History) -> Result<Verified, String> {
    let mut certified = 0;
    for part in &certificate.parts {
        let operations = history
            .part(part.key.as_deref())
            .ok_or_else(|| format!("the history has no key {:?}", part.key))?;
        let witness = part.witness.as_ref().ok_or("a part has no witness")?;
        replay::replay(certificate, history, operations, witness)
            .map_err(|reason| format!("key {:?}: {reason}", part.key))?;
        certified += 1;
    }
    let mut keys: Vec<_> = certificate.parts.iter().map(|part| &part.key).collect();
    keys.sort();
    keys.dedup();
    if keys.len() != certified {
        return Err("a key stands in it twice".to_owned());
    }
    // A part in which nothing was answered needs no witness.
    let needed = history
        .parts()
        .filter(|operations| operations.iter().any(|op| op.ok));
    let without = needed.count().saturating_sub(certified);
    if without > 0 {
        return Err(format!("{without} keys of the history have no witness"));
    }
    Ok(Verified {
        verdict: "valid".to_owned(),
        rests_on: format!(
            "replayed {} operations in the order of their witnesses, key by key",
            certificate
                .parts
                .iter()
                .filter_map(|part| part.witness.as_ref())
                .map(Vec::len)
                .sum::<usize>()
        ),
    })
}

fn verify_violated(certificate: &Certificate, history: &History) -> Result<Verified, String> {
    let [part] = &certificate.parts[..] else {
        return Err("a violation is shown by one part".to_owned());
    };
    let proof = part.proof.as_ref().ok_or("its part has no proof")?;
    let operations = history
        .part(part.key.as_deref())
        .ok_or_else(|| format!("the history has no key {:?}", part.key))?;
    let rests_on = if proof.pattern == "search" {
        search::refute(certificate, history, operations, proof)?
    } else if objects::has(&certificate.model) {
        objects::refute(certificate, history, operations, proof)?
    } else {
        values::refute(certificate, history, operations, proof)?
    };
    Ok(Verified {
        verdict: "violated".to_owned(),
        rests_on,
    })
}

/// Finds the operation invoked at a place.
fn at(operations: &[Operation], place: u64) -> Result<usize, String> {
    operations
        .binary_search_by_key(&place, |operation| operation.invoked)
        .map_err(|_| format!("event {place} invokes nothing there that took effect"))
}
