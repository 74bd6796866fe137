//! From a history and its judgement to what people read.
//!
//! The history is read once, front to back; what is kept does not grow with the
//! number of operations ([`collect`]). Page, JUnit file and terminal lines are
//! all made from that and from the judgement.

mod collect;
mod describe;
mod junit;
mod page;
mod summary;

use elle_rs::history::Event;
use keyquake_judge::Judgement;

use crate::evidence::EvidenceIndex;
use crate::run_info::RunInfo;
pub use summary::Summary;

/// What people read about a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// One self-contained page: no script, nothing loaded from anywhere.
    pub html: String,
    /// JUnit XML: one test case per invariant.
    pub junit: String,
    /// A few lines for the terminal.
    pub summary: Summary,
}

impl Report {
    /// Builds the report of a run from its plan, its events and its judgement.
    pub fn build(
        run: &RunInfo,
        plan_toml: &str,
        events: impl Iterator<Item = Event>,
        judgement: &Judgement,
    ) -> Report {
        Self::build_with(run, plan_toml, events, judgement, None)
    }

    /// The same, with what was collected while the run went on.
    pub fn build_with(
        run: &RunInfo,
        plan_toml: &str,
        events: impl Iterator<Item = Event>,
        judgement: &Judgement,
        evidence: Option<&EvidenceIndex>,
    ) -> Report {
        let collected = collect::Collected::from_events(events, shown_operations(judgement));
        Report {
            html: page::render(run, plan_toml, &collected, judgement, evidence),
            junit: junit::render(run, judgement),
            summary: Summary::new(run, &collected, judgement),
        }
    }
}

/// Findings shown with table and picture, per invariant. One broken key is often
/// broken a thousand times, and the first few say it all.
const FINDINGS_IN_FULL: usize = 8;

/// Operations shown per finding.
const OPERATIONS_PER_FINDING: usize = 12;

/// The invocation indices of the operations that the page will show.
fn shown_operations(judgement: &Judgement) -> impl Iterator<Item = u64> {
    judgement
        .invariants
        .iter()
        .flat_map(|invariant| invariant.findings.iter().take(FINDINGS_IN_FULL))
        .flat_map(|finding| finding.ops.iter().take(OPERATIONS_PER_FINDING).copied())
}

/// `1 finding`, `2 findings`; thousands are set apart by thin spaces.
fn counted(count: u64, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        describe::grouped(count),
        if count == 1 { "" } else { "s" }
    )
}
