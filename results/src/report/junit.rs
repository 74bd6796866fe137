//! JUnit XML: one test case per invariant. Violated is a failure, inconclusive
//! is an error: neither passes a build.

use keyquake_judge::{InvariantVerdict, Judgement, Verdict};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::counted;
use crate::run_info::RunInfo;

/// Findings written out per invariant; the rest is in `verdict.json`.
const FINDINGS_SHOWN: usize = 20;

/// The JUnit XML of a run.
pub fn render(run: &RunInfo, judgement: &Judgement) -> String {
    let mut suite = TestSuite::new(format!("keyquake.{}", run.system));
    for (name, value) in [
        ("seed", run.seed.to_string()),
        ("command", run.command.clone()),
        ("run", run.id.clone()),
        ("system", run.system.clone()),
        ("releases", run.releases()),
        ("verdict", judgement.verdict.as_str().to_owned()),
    ] {
        suite.add_property((name, value.as_str()));
    }
    suite.add_test_cases(
        judgement
            .invariants
            .iter()
            .map(|invariant| test_case(run, invariant)),
    );
    if judgement.verdict != Verdict::Valid
        && judgement
            .invariants
            .iter()
            .all(|one| one.verdict == Verdict::Valid)
    {
        // A file without a failing case reads as success to every CI.
        suite.add_test_case(total(run, judgement));
    }
    let mut report = Report::new("keyquake");
    report.add_test_suite(suite);
    report.to_string().unwrap_or_else(|error| {
        // Writing to memory fails for no reason that is known; if it does, no CI may take it for a pass.
        format!("keyquake could not write this report: {error}")
    })
}

fn test_case(run: &RunInfo, invariant: &InvariantVerdict) -> TestCase {
    let mut status = match invariant.verdict {
        Verdict::Valid => TestCaseStatus::success(),
        Verdict::Violated => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if invariant.verdict != Verdict::Valid {
        status.set_message(invariant.reason.as_str());
        status.set_type(invariant.verdict.as_str());
        status.set_description(details(run, invariant));
    }
    case(run, &invariant.id, status)
}

fn total(run: &RunInfo, judgement: &Judgement) -> TestCase {
    let kind = match judgement.verdict {
        Verdict::Violated => NonSuccessKind::Failure,
        Verdict::Valid | Verdict::Inconclusive => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(format!(
        "the run as a whole is {}",
        judgement.verdict.as_str()
    ));
    case(run, "run", status)
}

fn case(run: &RunInfo, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(format!("keyquake.{}", run.system));
    case
}

fn details(run: &RunInfo, invariant: &InvariantVerdict) -> String {
    let mut text = format!("{}: {}\n", invariant.id, invariant.reason);
    for finding in invariant.findings.iter().take(FINDINGS_SHOWN) {
        text.push_str(&format!("\n{}: {}\n", finding.anomaly, finding.explanation));
        if !finding.ops.is_empty() {
            text.push_str(&format!("operations: {:?}\n", finding.ops));
        }
    }
    if let Some(rest @ 1..) = invariant.findings.len().checked_sub(FINDINGS_SHOWN) {
        text.push_str(&format!(
            "\nand {} more in verdict.json\n",
            counted(rest as u64, "finding")
        ));
    }
    text.push_str(&format!("\nrepeat: {}\n", run.command));
    text
}
