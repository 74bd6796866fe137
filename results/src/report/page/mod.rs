//! The page: one HTML file that needs nothing else. No script, so that it can be
//! opened anywhere and nothing a store said can run; a policy in the head says so
//! to the browser too.

mod chart;
mod faults;
mod findings;
mod keys;
mod lifelines;
mod operations;
mod overtime;
mod run;
mod verdict;

use keyquake_judge::Judgement;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::collect::Collected;
use crate::evidence::EvidenceIndex;
use crate::run_info::RunInfo;

const STYLE: &str = include_str!("style.css");

/// What every part of the page may look at.
struct View<'a> {
    run: &'a RunInfo,
    plan: &'a str,
    collected: &'a Collected,
    judgement: &'a Judgement,
    evidence: Option<&'a EvidenceIndex>,
}

/// The whole page.
pub fn render(
    run: &RunInfo,
    plan: &str,
    collected: &Collected,
    judgement: &Judgement,
    evidence: Option<&EvidenceIndex>,
) -> String {
    let view = View {
        run,
        plan,
        collected,
        judgement,
        evidence,
    };
    let page: Markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (judgement.verdict.as_str()) " – keyquake run " (run.id) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (verdict::header(&view))
                main {
                    (findings::section(&view))
                    (verdict::invariants(&view))
                    (overtime::section(&view))
                    (keys::section(&view))
                    (faults::section(&view))
                    (operations::section(&view))
                    (run::section(&view))
                }
                footer {
                    p { "keyquake " (run.suite_version) ", run " (run.id) }
                }
            }
        }
    };
    page.into_string()
}
