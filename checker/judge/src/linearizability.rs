//! LIN: every register's history is linearizable.

use elle_rs::register::{Outcome, check};

use crate::judgement::InvariantVerdict;
use crate::run::{Run, Workload, anomalies, count, few, inconclusive, valid, violated};

const ID: &str = "LIN";

pub(crate) fn judge(run: &Run<'_>) -> Option<InvariantVerdict> {
    if !run.has(Workload::Register) {
        return None;
    }
    let reports = match check(run.events) {
        Ok(reports) => reports,
        Err(_) => return run.malformed(ID),
    };
    let sum = |of: fn(&elle_rs::register::KeyReport) -> u64| reports.iter().map(of).sum::<u64>();
    let operations = sum(|report| report.operations);
    let pending = sum(|report| report.pending);
    if operations == pending {
        return Some(inconclusive(
            ID,
            "no register operation was acknowledged".to_owned(),
        ));
    }
    let rests_on = format!(
        "{operations} operations on {}, {pending} of them pending and {} refused compare-and-sets",
        count(reports.len(), "key"),
        sum(|report| report.refused),
    );
    let mut findings = Vec::new();
    let mut broken = Vec::new();
    let mut undecided = Vec::new();
    for report in reports {
        match report.outcome {
            Outcome::Valid { .. } => {}
            Outcome::Violated { finding } => {
                broken.push(report.key);
                findings.push(finding);
            }
            Outcome::Undecided { reason } => undecided.push(reason),
        }
    }
    if !findings.is_empty() {
        let reason = format!(
            "key {} not linearizable ({}); looked at {rests_on}",
            few(&broken),
            anomalies(&findings)
        );
        return Some(violated(ID, reason, findings));
    }
    if !undecided.is_empty() {
        let reason = format!("undecided: {}; looked at {rests_on}", few(&undecided));
        return Some(inconclusive(ID, reason));
    }
    Some(valid(
        ID,
        format!("an order explains each key; it rests on {rests_on}, all of them placed"),
    ))
}
