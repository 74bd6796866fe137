//! What the terminal shows when a run ends. `{}` is plain, `{:#}` has colours.

use std::fmt;
use std::path::{Path, PathBuf};

use keyquake_judge::{Judgement, Verdict};

use super::collect::Collected;
use super::counted;
use super::describe::{grouped, shortened};
use crate::run_info::RunInfo;

/// Findings shown per invariant.
const FINDINGS_SHOWN: usize = 3;

/// Characters of an explanation shown.
const EXPLANATION: usize = 600;

/// A run in a few lines, the last with its line end.
#[derive(Clone, Debug)]
pub struct Summary {
    verdict: Verdict,
    headline: String,
    invariants: Vec<Line>,
    ended_early: Option<String>,
    report: Option<PathBuf>,
    command: String,
}

#[derive(Clone, Debug)]
struct Line {
    id: String,
    verdict: Verdict,
    reason: String,
    findings: Vec<String>,
    hidden: usize,
}

impl Summary {
    pub(super) fn new(run: &RunInfo, collected: &Collected, judgement: &Judgement) -> Self {
        let headline = format!(
            "{} (ok {}, fail {}, info {}), {}, seed {}",
            counted(collected.invoked, "operation"),
            grouped(collected.totals.ok),
            grouped(collected.totals.fail),
            grouped(collected.totals.info),
            match collected.faults.len() {
                0 => "no faults".to_owned(),
                all => format!(
                    "{} of {} proven",
                    collected.faults.proven(),
                    counted(all as u64, "fault")
                ),
            },
            run.seed,
        );
        let invariants = judgement
            .invariants
            .iter()
            .map(|one| Line {
                id: one_line(&one.id),
                verdict: one.verdict,
                reason: one_line(&one.reason),
                findings: one
                    .findings
                    .iter()
                    .take(FINDINGS_SHOWN)
                    .map(|finding| {
                        format!(
                            "{}: {}",
                            one_line(&finding.anomaly),
                            one_line(&finding.explanation)
                        )
                    })
                    .collect(),
                hidden: one.findings.len().saturating_sub(FINDINGS_SHOWN),
            })
            .collect();
        Summary {
            verdict: judgement.verdict,
            headline,
            invariants,
            ended_early: run.ended_early.clone(),
            report: None,
            command: run.command.chars().filter(|c| !c.is_control()).collect(),
        }
    }

    /// The same, saying where the report is.
    #[must_use]
    pub fn with_report(mut self, path: &Path) -> Self {
        self.report = Some(path.to_path_buf());
        self
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let color = f.alternate();
        writeln!(
            f,
            "{}  {}",
            painted(self.verdict, &self.verdict.as_str().to_uppercase(), color),
            self.headline
        )?;
        if let Some(why) = &self.ended_early {
            writeln!(f, "ended early: {}", one_line(why))?;
        }
        writeln!(f)?;
        let id_width = self
            .invariants
            .iter()
            .map(|line| line.id.len())
            .max()
            .unwrap_or(0);
        for line in &self.invariants {
            let mark = painted(
                line.verdict,
                &format!("{} {:<12}", symbol(line.verdict), line.verdict.as_str()),
                color,
            );
            writeln!(f, "  {mark}  {:<id_width$}  {}", line.id, line.reason)?;
            for finding in &line.findings {
                writeln!(f, "      {finding}")?;
            }
            if line.hidden > 0 {
                writeln!(
                    f,
                    "      and {} more, in the report",
                    counted(line.hidden as u64, "finding")
                )?;
            }
        }
        writeln!(f)?;
        if let Some(path) = &self.report {
            writeln!(f, "report  {}", path.display())?;
        }
        writeln!(f, "repeat  {}", self.command)
    }
}

fn symbol(verdict: Verdict) -> char {
    match verdict {
        Verdict::Valid => '✓',
        Verdict::Violated => '✗',
        Verdict::Inconclusive => '?',
    }
}

fn painted(verdict: Verdict, text: &str, color: bool) -> String {
    let code = match verdict {
        Verdict::Valid => 36,
        Verdict::Violated => 31,
        Verdict::Inconclusive => 33,
    };
    if color {
        format!("\x1b[1;{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// A text on one line, without control characters: a store's error may hold
/// anything, and a terminal obeys some of it.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let clean: String = words
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    shortened(&clean, EXPLANATION)
}
