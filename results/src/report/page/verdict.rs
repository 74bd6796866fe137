//! The top of the page, and the table of invariants: what was decided, and on what.

use keyquake_judge::{InvariantVerdict, Judgement, Verdict};
use maud::{Markup, html};

use super::View;
use crate::meaning;
use crate::report::counted;
use crate::report::describe::{grouped, moment, percent};

/// Name of the run, verdict, key figures, and where to go from there.
pub fn header(view: &View) -> Markup {
    let run = view.run;
    let verdict = view.judgement.verdict;
    html! {
        header {
            h1 { "keyquake run " span.mono { (run.id) } }
            p.subject {
                (run.system) " " (run.releases()) ", " (counted(run.nodes.len() as u64, "node"))
                ", " (run.network.kind) ", seed " (run.seed)
            }
            div.banner.(verdict.as_str()) role="status" {
                p.word { (symbol(verdict)) " " (capital(verdict.as_str())) }
                p { (sentence(view.judgement)) }
                @let undecided = with(view.judgement, Verdict::Inconclusive);
                @if !undecided.is_empty() {
                    ul {
                        @for one in &undecided {
                            li { span.id { (one.id) } " is not decided: " (one.reason) }
                        }
                    }
                }
                @if let Some(why) = &run.ended_early {
                    p { "The run ended early: " (why) }
                }
                @if let Some(cost) = &run.network.cost {
                    p { "Network " (run.network.kind) ": " (cost) }
                }
            }
            (figures(view))
            pre { (run.command) }
            nav aria-label="Parts of this report" {
                a href="#findings" { "Findings" }
                a href="#invariants" { "Invariants" }
                a href="#time" { "Over time" }
                @if view.evidence.is_some() { a href="#keys" { "Keys" } }
                a href="#faults" { "Faults" }
                a href="#operations" { "Operations" }
                a href="#errors" { "Errors" }
                a href="#run" { "Plan and host" }
            }
        }
    }
}

fn figures(view: &View) -> Markup {
    let all = view.collected;
    let findings: usize = view
        .judgement
        .invariants
        .iter()
        .map(|one| one.findings.len())
        .sum();
    html! {
        dl.figures {
            div { dt { "Findings" } dd { (grouped(findings as u64)) } }
            div { dt { "Operations" } dd { (grouped(all.invoked)) small { (percent(all.totals.ok, all.invoked)) " ok" } } }
            div { dt { "Failed" } dd { (grouped(all.totals.fail)) small { "certainly without effect" } } }
            div { dt { "Indeterminate" } dd { (grouped(all.totals.info + all.unanswered())) small { "effect not known" } } }
            div {
                dt { "Faults proven" }
                dd { (all.faults.proven()) " of " (all.faults.len()) small { "effective and healed" } }
            }
            div { dt { "Run time" } dd { (moment(all.end_ns)) small { "began " (run_start(view)) } } }
        }
    }
}

fn run_start(view: &View) -> String {
    view.run
        .started
        .strftime("%Y-%m-%d %H:%M:%S UTC")
        .to_string()
}

/// One sentence that says what the verdict means for this run.
fn sentence(judgement: &Judgement) -> String {
    let broken = with(judgement, Verdict::Violated);
    match judgement.verdict {
        Verdict::Valid => format!(
            "All {} had enough to look at, and hold.",
            counted(judgement.invariants.len() as u64, "invariant")
        ),
        Verdict::Violated => {
            let findings: usize = broken.iter().map(|one| one.findings.len()).sum();
            let names: Vec<&str> = broken.iter().map(|one| one.id.as_str()).collect();
            let verb = if names.len() == 1 { "is" } else { "are" };
            format!("{} {verb} broken: {}.", listed(&names), counted(findings as u64, "finding"))
        }
        Verdict::Inconclusive => {
            "Nothing was found broken, but the run does not show that everything holds. This is not a pass.".to_owned()
        }
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "The run".to_owned(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn with(judgement: &Judgement, verdict: Verdict) -> Vec<&InvariantVerdict> {
    judgement
        .invariants
        .iter()
        .filter(|one| one.verdict == verdict)
        .collect()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// A shape for each verdict, so that no one needs its colour.
fn symbol(verdict: Verdict) -> Markup {
    let sign = match verdict {
        Verdict::Valid => "✓",
        Verdict::Violated => "✗",
        Verdict::Inconclusive => "?",
    };
    html! { span aria-hidden="true" { (sign) } }
}

/// One row per invariant: what it means, its verdict, and what that rests on.
pub fn invariants(view: &View) -> Markup {
    html! {
        section aria-labelledby="invariants" {
            h2 id="invariants" { "Invariants" }
            div.scroll {
                table {
                    thead { tr {
                        th scope="col" { "Invariant" }
                        th scope="col" { "Verdict" }
                        th scope="col" { "What it rests on" }
                        th.num scope="col" { "Findings" }
                    } }
                    tbody {
                        @for one in &view.judgement.invariants { (row(one)) }
                        @if view.judgement.invariants.is_empty() {
                            tr { td colspan="4" { "No invariant was judged." } }
                        }
                    }
                }
            }
        }
    }
}

fn row(one: &InvariantVerdict) -> Markup {
    html! {
        tr {
            th.id scope="row" { (one.id) }
            td { span.verdict.(one.verdict.as_str()) { (symbol(one.verdict)) " " (one.verdict.as_str()) } }
            td.wrap {
                (one.reason)
                @if let Some(meaning) = meaning(&one.id) { span.meaning { "Holds when " (meaning) "." } }
            }
            td.num { (one.findings.len()) }
        }
    }
}
