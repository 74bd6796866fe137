//! `keyquake check --model` and `keyquake verify`: histories of any tool, and certificates of what
//! was said about them. Models of transactions are in [`super::transactions`].

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, anyhow};
use elle_rs::certificate::Certificate;
use elle_rs::history::stream::{Format, Reader, write_edn, write_json};
use elle_rs::linear::{
    self, CheckError, Method, ModelName, Options, Outcome, Report, UnknownModel,
};
use elle_rs::verify::{self, VerifyError};
use keyquake_judge::{InvariantVerdict, Verdict};
use serde_json::json;

use super::{told, transactions};
use crate::cli::{HistoryArgs, VerifyArgs};
use crate::exit::{Done, Failure, input};

/// Checks a history file by a model.
pub fn check(path: &Path, model: &str, args: &HistoryArgs, as_json: bool) -> Result<Done, Failure> {
    let format = format(args.format.as_deref())?;
    if let Ok(model) = model.parse() {
        let done = transactions::check(path, model, format, args, as_json)?;
        if let Some(file) = &args.export {
            export(path, format, file)?;
        }
        return Ok(done);
    }
    let model: ModelName = model.parse().map_err(|error| {
        let error: UnknownModel = error;
        input(anyhow!(
            "{error}; of transactions there are list-append, rw-register, rmw, bank, long-fork, monotonic"
        ))
    })?;
    if let Some(level) = &args.level {
        return Err(input(anyhow!(
            "--level {level} is for models of transactions; {} is judged for linearizability",
            model.name()
        )));
    }
    let options = Options {
        initial: args.initial,
        budget: args.budget.unwrap_or(Options::BUDGET),
        ..Options::new(model)
    };
    let reader = Reader::open(path, format).map_err(input)?;
    let report = linear::check(reader, &options).map_err(|error| match error {
        CheckError::Read(error) => input(error),
        error => input(anyhow!("{}: {error}", path.display())),
    })?;
    let judged = judge(&report);
    let certificate = report.certificate();
    let certified = certificate.as_ref().ok_or("nothing was decided");
    let kept = told::keep(path, format, args, certified)?;
    if let Some(file) = &args.export {
        export(path, format, file)?;
    }
    let more = json!({"model": model.name(), "operations": report.read});
    let more = more.as_object().cloned().unwrap_or_default();
    told::tell(&judged, &kept, more, &[], as_json)
}

fn format(name: Option<&str>) -> Result<Option<Format>, Failure> {
    name.map(str::parse).transpose().map_err(input)
}

/// Violated if any part is, else inconclusive if any is undecided or nothing was answered.
fn judge(report: &Report) -> InvariantVerdict {
    let mut findings = Vec::new();
    let mut undecided: Vec<(u64, &str)> = Vec::new();
    for part in &report.parts {
        match &part.outcome {
            Outcome::Valid { .. } => {}
            Outcome::Violated { finding, .. } => findings.push(finding.clone()),
            Outcome::Undecided { reason } => undecided.push((part.operations, reason)),
        }
    }
    let sum = |of: fn(&linear::PartReport) -> u64| report.parts.iter().map(of).sum::<u64>();
    let (operations, pending) = (sum(|part| part.operations), sum(|part| part.pending));
    let rests_on = format!(
        "{operations} operations in {}, {pending} of them pending{}",
        match report.parts.len() {
            1 => "1 part".to_owned(),
            parts => format!("{parts} parts"),
        },
        searched(report),
    );
    // The smallest is the one to look at.
    undecided.sort_by_key(|&(operations, _)| operations);
    let (verdict, reason) = match (findings.len(), undecided.first(), &report.torn) {
        (1.., ..) => {
            let parts = findings.len();
            let broken = format!("not linearizable in {parts} of {rests_on}");
            (Verdict::Violated, broken)
        }
        (0, Some((_, reason)), _) => (
            Verdict::Inconclusive,
            format!("undecided: {reason}; looked at {rests_on}"),
        ),
        (0, None, Some(torn)) => (
            Verdict::Inconclusive,
            format!("{torn}; what is left is linearizable: {rests_on}"),
        ),
        (0, None, None) if operations == pending => (
            Verdict::Inconclusive,
            format!("no operation was answered: {rests_on}"),
        ),
        (0, None, None) => (Verdict::Valid, format!("an order explains all: {rests_on}")),
    };
    InvariantVerdict {
        id: "LIN".to_owned(),
        verdict,
        reason,
        findings,
    }
}

/// How many parts had to be searched, and why the first of them.
fn searched(report: &Report) -> String {
    let searched = || {
        report
            .parts
            .iter()
            .filter(|part| part.method == Method::Search)
    };
    match (
        searched().count(),
        searched().find_map(|part| part.note.as_ref()),
    ) {
        (0, _) => String::new(),
        (count, Some(note)) => format!(", {count} searched ({note})"),
        (count, None) => format!(", {count} searched"),
    }
}

/// Writes the history for other tools.
fn export(path: &Path, format: Option<Format>, file: &Path) -> Result<(), Failure> {
    let failed = || format!("failed to write {}", file.display());
    let mut reader = Reader::open(path, format).map_err(input)?;
    let mut out = BufWriter::new(File::create(file).with_context(failed)?);
    let as_json = file.extension().is_some_and(|ending| ending == "json");
    while let Some(entry) = reader.next_entry().map_err(input)? {
        let written = match as_json {
            true => write_json(&mut out, &entry),
            false => write_edn(&mut out, &entry),
        };
        written.with_context(failed)?;
    }
    out.flush().with_context(failed)?;
    Ok(())
}

/// Checks a certificate against its history: 0 if it holds (whatever its verdict), 1 if not.
pub fn verify(args: VerifyArgs) -> Result<Done, Failure> {
    let format = format(args.format.as_deref())?;
    let certificate = Certificate::read(&args.certificate).map_err(input)?;
    let reader = Reader::open(&args.history, format).map_err(input)?;
    let (holds, verdict, reason) = match verify::verify(&certificate, reader) {
        Ok(verified) => (true, verified.verdict, verified.rests_on),
        Err(VerifyError::Read(error)) => return Err(input(error)),
        Err(error) => (false, certificate.verdict, error.to_string()),
    };
    if args.json {
        let told = json!({"holds": holds, "verdict": verdict, "reason": reason});
        println!("{}", serde_json::to_string_pretty(&told)?);
    } else if holds {
        println!("the certificate holds: {verdict}; {reason}");
    } else {
        println!("{reason}");
    }
    Ok(if holds { Done::Fine } else { Done::Refused })
}
