//! `keyquake check --model list-append --level serializable` and its kin: histories of transactions of
//! any tool, by an isolation level.

use std::path::Path;

use anyhow::anyhow;
use elle_rs::history::stream::Format;
use elle_rs::levels::Level;
use elle_rs::transactions::{self, Model, Report};
use elle_rs::txn::{Decision, TransactionsError};
use keyquake_judge::{InvariantVerdict, Verdict};
use serde_json::json;

use super::told;
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
    let why = report.uncertified.as_deref().unwrap_or_default();
    let certified = report.certificate.as_ref().ok_or(why);
    let kept = told::keep(path, format, args, certified)?;
    let ruled = &report.outcome.ruled;
    let more = json!({
        "model": model.to_string(),
        "level": level.name(),
        "not": ruled.not,
        "also_not": ruled.also_not,
        "may_hold": ruled.may_hold,
    });
    let more = more.as_object().cloned().unwrap_or_default();
    let lines = match ruled.not.is_empty() {
        true => Vec::new(),
        false => vec![
            format!("ruled out: {}", ruled.not.join(", ")),
            format!("may still hold: {}", ruled.may_hold.join(", ")),
        ],
    };
    told::tell(&judged, &kept, more, &lines, as_json)
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
