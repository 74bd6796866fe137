//! The matrix as Markdown: the page of the book that this command makes.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::tally::Matrix;

/// The whole page. `command` is what made it.
pub fn page(matrix: &Matrix, command: &str) -> String {
    let mut page = format!(
        "# The detection matrix\n\n\
         Which seeded bug of the reference store is found under which plan, by its own invariant, how often and how soon. \
         Made by\n\n```sh\n{command}\n```\n\n\
         `keyquake matrix --help` says how it is made anew or in part. It can be ended at any time: the same command goes on\n\
         where it was ended, and runs only what has changed.\n\n"
    );
    let _ = writeln!(page, "{}\n", summary(matrix));
    page += "*Found* counts the runs in which the invariant that the bug breaks was violated; what else was, stands *beside*\n\
             it. *After* is the median, in seconds, of the time from the start of the workloads to the moment when the evidence\n\
             was there: the last of a finding's operations complete, or what came of an operator's step recorded. What the disks show is found\n\
             by the audit at the end, and that nothing succeeds when its bound has gone by; there it is the time of the whole run, its start\n\
             and its end included.\n\n\
             | bug | breaks | plan | found | after | beside |\n|---|---|---|---|---|---|\n";
    for row in &matrix.bugs {
        let untold = match row.inconclusive {
            0 => String::new(),
            count => format!(" ({count} inconclusive)"),
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | [{}]({}.toml) | {} of {}{untold} | {} | {} |",
            row.bug,
            row.breaks,
            short(&row.plan),
            row.plan,
            row.found,
            row.runs,
            row.median_s.map_or("–".to_owned(), |s| format!("{s:.1}")),
            counts(&row.beside)
        );
    }
    if !matrix.clean.is_empty() {
        page += "\n## The clean store\n\nEach plan without a bug.\n\n\
                 | plan | valid | inconclusive | violated |\n|---|---|---|---|\n";
        for row in &matrix.clean {
            let _ = writeln!(
                page,
                "| [{}]({}.toml) | {} | {} | {} {}|",
                short(&row.plan),
                row.plan,
                row.valid,
                row.inconclusive,
                row.violated,
                counts(&row.broken)
            );
        }
    }
    if !matrix.left_out.is_empty() {
        page += "\n## Shown by no plan\n\n| bug | breaks | why |\n|---|---|---|\n";
        for row in &matrix.left_out {
            let _ = writeln!(page, "| `{}` | {} | {} |", row.bug, row.breaks, row.why);
        }
    }
    page
}

/// The figures, in a line.
pub fn summary(matrix: &Matrix) -> String {
    let mut found: BTreeMap<&str, bool> = BTreeMap::new();
    for row in &matrix.bugs {
        *found.entry(&row.bug).or_default() |= row.found > 0;
    }
    let named = found.values().filter(|found| **found).count();
    let mut text = format!("{named} of {} bugs found", found.len());
    if let (Some(median), Some(slowest)) = (matrix.median_s, matrix.slowest_s) {
        let _ = write!(
            text,
            "; median time to find {median:.1} s, of the slowest {slowest:.1} s"
        );
    }
    if !matrix.clean.is_empty() {
        let runs: u64 = (matrix.clean.iter())
            .map(|row| row.valid + row.violated + row.inconclusive)
            .sum();
        let valid: u64 = matrix.clean.iter().map(|row| row.valid).sum();
        let _ = write!(text, "; {valid} of {runs} clean runs valid");
    }
    if matrix.missing > 0 {
        let _ = write!(text, "; {} runs are missing", matrix.missing);
    }
    text + "."
}

fn short(plan: &str) -> &str {
    plan.strip_prefix("plans/").unwrap_or(plan)
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    let words: Vec<_> = counts
        .iter()
        .map(|(word, count)| format!("{word} {count}×"))
        .collect();
    words.join(", ")
}
