//! The findings: what is broken, in words, with the few operations that show it.

use elle_rs::Finding;
use elle_rs::history::{Kind, Op};
use keyquake_judge::{InvariantVerdict, Verdict};
use maud::{Markup, html};

use super::{View, lifelines};
use crate::meaning;
use crate::report::collect::Involved;
use crate::report::describe::{action, exact_moment, shortened};
use crate::report::{FINDINGS_IN_FULL, OPERATIONS_PER_FINDING, counted};

/// Findings named in a line each, after those shown in full.
const FINDINGS_IN_SHORT: usize = 40;

/// Characters of an action in the table; a transaction can be long.
const ACTION_LENGTH: usize = 400;

/// Characters of an explanation.
const EXPLANATION_LENGTH: usize = 4000;

/// All findings, by invariant.
pub fn section(view: &View) -> Markup {
    let with_findings: Vec<_> = view
        .judgement
        .invariants
        .iter()
        .filter(|one| !one.findings.is_empty())
        .collect();
    html! {
        section aria-labelledby="findings" {
            h2 id="findings" { "Findings" }
            @if with_findings.is_empty() {
                @match view.judgement.verdict {
                    Verdict::Valid => p { "None." },
                    Verdict::Violated => p { "None is written down; the table below says what is broken." },
                    Verdict::Inconclusive => p { "None. The table below says what could not be decided, and why." },
                }
            }
            @for one in with_findings { (of_invariant(view, one)) }
        }
    }
}

fn of_invariant(view: &View, invariant: &InvariantVerdict) -> Markup {
    let rest = invariant
        .findings
        .get(FINDINGS_IN_FULL..)
        .unwrap_or_default();
    html! {
        @for finding in invariant.findings.iter().take(FINDINGS_IN_FULL) {
            (in_full(view, invariant, finding))
        }
        @if !rest.is_empty() {
            details {
                summary { (counted(rest.len() as u64, "more finding")) " of " (invariant.id) }
                ul {
                    @for finding in rest.iter().take(FINDINGS_IN_SHORT) {
                        li.wrap { strong { (finding.anomaly) } ": " (shortened(&finding.explanation, ACTION_LENGTH)) }
                    }
                }
                @if let Some(hidden @ 1..) = rest.len().checked_sub(FINDINGS_IN_SHORT) {
                    p.soft { "And " (counted(hidden as u64, "more")) " in verdict.json." }
                }
            }
        }
    }
}

fn in_full(view: &View, invariant: &InvariantVerdict, finding: &Finding) -> Markup {
    let named = &finding.ops[..finding.ops.len().min(OPERATIONS_PER_FINDING)];
    let mut involved: Vec<&Involved> = named
        .iter()
        .filter_map(|index| view.collected.involved.get(index))
        .collect();
    let lost = named.len() - involved.len();
    // As the picture and the history have them: by when they began.
    involved.sort_by_key(|one| one.invoke.index);
    html! {
        article.finding.inconclusive[invariant.verdict == Verdict::Inconclusive] {
            h3 {
                span.id { (invariant.id) } " · " span.anomaly { (finding.anomaly) }
                @if let Some(key) = finding.key { span.tag { " · key " (key) } }
            }
            @if let Some(meaning) = meaning(&invariant.id) {
                p.soft { (invariant.id) " holds when " (meaning) "." }
            }
            p.explanation { (shortened(&finding.explanation, EXPLANATION_LENGTH)) }
            @if !involved.is_empty() {
                (lifelines::picture(view, &involved))
                (table(view, &involved))
            }
            @if let Some(hidden @ 1..) = finding.ops.len().checked_sub(OPERATIONS_PER_FINDING) {
                p.soft { "And " (counted(hidden as u64, "more operation")) ", named in verdict.json." }
            }
            @if lost > 0 {
                p.soft { (counted(lost as u64, "operation")) " named by this finding is not in the history." }
            }
        }
    }
}

fn table(view: &View, involved: &[&Involved]) -> Markup {
    html! {
        div.scroll {
            table {
                caption { "The operations involved" }
                thead { tr {
                    th.num scope="col" { "Index" }
                    th scope="col" { "Process" }
                    th scope="col" { "Node" }
                    th scope="col" { "Operation" }
                    th scope="col" { "Outcome" }
                    th.num scope="col" { "Began" }
                    th.num scope="col" { "Ended" }
                } }
                tbody { @for one in involved { (row(view, one)) } }
            }
        }
    }
}

fn row(view: &View, one: &Involved) -> Markup {
    let last = one.completion.as_ref().unwrap_or(&one.invoke);
    let ended = one
        .completion
        .as_ref()
        .map_or_else(|| "never".to_owned(), |op| exact_moment(op.time_ns));
    html! {
        tr {
            td.num { (one.invoke.index) }
            td { (one.invoke.process) }
            td { (one.invoke.node.map_or_else(|| "–".to_owned(), |node| view.run.node_name(node))) }
            td.wrap { (shortened(&what(one), ACTION_LENGTH)) }
            td.wrap.(outcome_class(last.kind)) {
                (outcome(last.kind))
                @if let Some(error) = &last.error { span.meaning { (shortened(error, ACTION_LENGTH)) } }
            }
            td.num { (exact_moment(one.invoke.time_ns)) }
            td.num { (ended) }
        }
    }
}

/// What an operation did, as far as is known: what came back if it is `ok`, else what was asked.
pub fn what(one: &Involved) -> String {
    let told: &Op = match &one.completion {
        Some(op) if op.kind == Kind::Ok => op,
        _ => &one.invoke,
    };
    action(told)
}

fn outcome(kind: Kind) -> &'static str {
    match kind {
        Kind::Invoke => "no answer",
        Kind::Ok => "ok",
        Kind::Fail => "fail",
        Kind::Info => "info",
    }
}

fn outcome_class(kind: Kind) -> &'static str {
    match kind {
        Kind::Ok => "ok",
        Kind::Fail => "fail",
        Kind::Invoke | Kind::Info => "info",
    }
}
