//! `keyquake check --model list-append --level serializable` and its kin: histories of transactions of
//! any tool, by an isolation level.

use std::path::Path;

use anyhow::{Context, anyhow};
use elle_rs::history::stream::{Format, Reader};
use elle_rs::levels::Level;
use elle_rs::proof::{self, Certificate, ProofError};
use elle_rs::transactions::{self, Model, Report};
use elle_rs::txn::{Decision, TransactionsError};
use keyquake_judge::{InvariantVerdict, Verdict};
use serde_json::json;

use crate::cli::HistoryArgs;
use crate::exit::{Done, Failure, input};

/// Checks a history file at a level: strict serializable unless another is asked for.
pub fn check(
    path: &Path,
    model: Model,
    format: Option<Format>,
    args: &HistoryArgs,
    as_json: bool,
) -> Result<Done, Failure> {
    let level = args.level.as_deref().map(str::parse).transpose();
    let level = level.map_err(input)?.unwrap_or(Level::StrictSerializable);
    if args.initial.is_some() || args.budget.is_some() {
        return Err(input(anyhow!(
            "--initial and --budget are for models of single operations; {model} is one of transactions"
        )));
    }
    let report = transactions::check(path, format, model, level).map_err(|error| match error {
        TransactionsError::Read(error) => input(error),
        error => input(anyhow!("{}: {error}", path.display())),
    })?;
    let judged = judge(&report);
    if let (Some(file), Some(certificate)) = (&args.certificate, &report.certificate) {
        std::fs::write(file, certificate.text())
            .with_context(|| format!("failed to write the certificate {}", file.display()))?;
    }
    let written = args
        .certificate
        .as_ref()
        .filter(|_| report.certificate.is_some());
    let ruled = &report.outcome.ruled;
    if as_json {
        let told = json!({
            "verdict": judged.verdict,
            "model": model.to_string(),
            "level": level.name(),
            "not": ruled.not,
            "also_not": ruled.also_not,
            "may_hold": ruled.may_hold,
            "certificate": written,
            "invariants": [judged],
        });
        println!("{}", serde_json::to_string_pretty(&told)?);
    } else {
        println!("{judged}");
        for finding in &judged.findings {
            println!("  {}: {}", finding.anomaly, finding.explanation);
        }
        if !ruled.not.is_empty() {
            println!("ruled out: {}", ruled.not.join(", "));
            println!("may still hold: {}", ruled.may_hold.join(", "));
        }
        match (&args.certificate, written) {
            (_, Some(file)) => println!("certificate: {}", file.display()),
            (Some(_), None) => println!("no certificate: this verdict has none"),
            (None, None) => {}
        }
        println!("{}", judged.verdict);
    }
    Ok(Done::Judged(judged.verdict))
}

fn judge(report: &Report) -> InvariantVerdict {
    let counts = report.outcome.counts;
    let level = report.outcome.level.name();
    let rests_on = format!(
        "{} transactions on {} keys, {} reads and {} writes, and {} pending transactions",
        counts.committed, counts.keys, counts.reads, counts.appends, counts.indeterminate
    );
    let (verdict, reason, findings) = match &report.outcome.decision {
        Decision::Valid => (
            Verdict::Valid,
            format!("nothing that {level} forbids; it rests on {rests_on}"),
            Vec::new(),
        ),
        Decision::Undecided { reason } => (
            Verdict::Inconclusive,
            format!("undecided at {level}: {reason}; looked at {rests_on}"),
            Vec::new(),
        ),
        Decision::Violated { findings } => (
            Verdict::Violated,
            format!("not {level}; looked at {rests_on}"),
            findings.clone(),
        ),
    };
    InvariantVerdict {
        id: "SSER".to_owned(),
        verdict,
        reason,
        findings,
    }
}

/// Checks the text of a certificate of transactions against its history: its verdict, and what that
/// rests on or why it does not hold.
pub fn verify(text: &[u8], reader: Reader) -> Result<(bool, String, String), Failure> {
    let certificate = Certificate::parse(text).map_err(input)?;
    let verdict = certificate.verdict.clone();
    match proof::verify_from(&certificate, reader) {
        Ok(rests_on) => Ok((true, verdict, rests_on)),
        Err(ProofError::Refuted(reason)) => Ok((
            false,
            verdict,
            format!("the certificate does not hold: {reason}"),
        )),
        Err(error) => Err(input(error)),
    }
}

/// Whether the text is a certificate of transactions.
pub fn is_certificate(text: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Kind {
        kind: String,
    }
    serde_json::from_slice::<Kind>(text).is_ok_and(|kind| kind.kind == proof::TRANSACTIONS)
}
