//! From cells to the rows of the matrix, and to one verdict over all of it.

use std::collections::BTreeMap;

use keyquake_judge::Verdict;
use serde::Serialize;

use super::cells::Row;
use super::state::{Came, Ended};
use super::sweep::Done;
use super::table::Table;

/// The whole matrix.
#[derive(Debug, Serialize)]
pub struct Matrix {
    /// Violated: a bug was not found, or the clean store was said to be broken.
    pub verdict: Verdict,
    /// Of each bug the median of its times, and the median of those: seconds.
    pub median_s: Option<f64>,
    /// The longest of the bugs' medians, in seconds.
    pub slowest_s: Option<f64>,
    /// Bugs under plans, in the catalogue's order.
    pub bugs: Vec<BugRow>,
    /// Plans on the clean store.
    pub clean: Vec<CleanRow>,
    /// Bugs that no plan shows.
    pub left_out: Vec<LeftOut>,
    /// Runs that were asked for and are not done.
    pub missing: u64,
}

/// A bug under a plan.
#[derive(Debug, Serialize)]
pub struct BugRow {
    pub bug: String,
    pub breaks: String,
    pub plan: String,
    /// Runs in which its own invariant named it.
    pub found: u64,
    pub runs: u64,
    /// Runs without a verdict either way.
    pub inconclusive: u64,
    pub median_s: Option<f64>,
    /// What else was named as broken, and in how many runs.
    pub beside: BTreeMap<String, u64>,
}

/// A plan on the clean store.
#[derive(Debug, Serialize)]
pub struct CleanRow {
    pub plan: String,
    pub valid: u64,
    pub violated: u64,
    pub inconclusive: u64,
    /// What was said to be broken.
    pub broken: BTreeMap<String, u64>,
}

/// A bug that no plan shows.
#[derive(Debug, Serialize)]
pub struct LeftOut {
    pub bug: String,
    pub breaks: String,
    pub why: String,
}

impl Matrix {
    /// Of all cells that were asked for, done or not.
    pub fn of(table: &Table, rows: &[Row], done: &[Done]) -> Matrix {
        let mut matrix = Matrix {
            verdict: Verdict::Valid,
            median_s: None,
            slowest_s: None,
            bugs: Vec::new(),
            clean: Vec::new(),
            left_out: left_out(table),
            missing: done.iter().filter(|(_, came)| came.is_none()).count() as u64,
        };
        for row in rows {
            let of_row = done.iter().filter(|(cell, _)| cell.row == *row);
            let came: Vec<&Came> = of_row.filter_map(|(_, came)| came.as_ref()).collect();
            match &row.bug {
                Some(bug) => {
                    let row = BugRow::of(&bug.name, &bug.breaks, &row.plan.name, &came);
                    matrix.bugs.push(row);
                }
                None => matrix.clean.push(CleanRow::of(&row.plan.name, &came)),
            }
        }
        matrix.judge(done);
        matrix
    }

    fn judge(&mut self, done: &[Done]) {
        let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut bugs: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for row in &self.bugs {
            let (found, missed) = bugs.entry(&row.bug).or_default();
            *found += row.found;
            *missed += row.runs - row.found - row.inconclusive;
        }
        for (cell, came) in done {
            if let (Some(bug), Some(came)) = (&cell.row.bug, came) {
                times
                    .entry(&bug.name)
                    .or_default()
                    .extend(came.found_after_s);
            }
        }
        let verdicts = bugs.values().map(|(found, missed)| match (found, missed) {
            (1.., _) => Verdict::Valid,
            (0, 1..) => Verdict::Violated,
            (0, 0) => Verdict::Inconclusive,
        });
        let clean = self.clean.iter().map(|row| match row {
            row if row.violated > 0 => Verdict::Violated,
            row if row.inconclusive > 0 => Verdict::Inconclusive,
            _ => Verdict::Valid,
        });
        let unfinished = (self.missing > 0).then_some(Verdict::Inconclusive);
        let all = verdicts.chain(clean).chain(unfinished);
        self.verdict = all.max().unwrap_or(Verdict::Inconclusive);
        let medians: Vec<f64> = times.into_values().filter_map(median).collect();
        self.slowest_s = medians.iter().copied().reduce(f64::max);
        self.median_s = median(medians);
    }
}

impl BugRow {
    fn of(bug: &str, breaks: &str, plan: &str, came: &[&Came]) -> BugRow {
        let found: Vec<f64> = came.iter().filter_map(|came| came.found_after_s).collect();
        let untold = |came: &&&Came| {
            let no_verdict = matches!(came.ended, Ended::Inconclusive | Ended::Failed);
            came.found_after_s.is_none() && no_verdict
        };
        let broken = came.iter().flat_map(|came| &came.broken);
        BugRow {
            bug: bug.to_owned(),
            breaks: breaks.to_owned(),
            plan: plan.to_owned(),
            found: found.len() as u64,
            runs: came.len() as u64,
            inconclusive: came.iter().filter(untold).count() as u64,
            median_s: median(found),
            beside: counted(broken.filter(|id| *id != breaks)),
        }
    }
}

impl CleanRow {
    fn of(plan: &str, came: &[&Came]) -> CleanRow {
        let ended = |how: &[Ended]| came.iter().filter(|came| how.contains(&came.ended)).count();
        CleanRow {
            plan: plan.to_owned(),
            valid: ended(&[Ended::Valid]) as u64,
            violated: ended(&[Ended::Violated]) as u64,
            inconclusive: ended(&[Ended::Inconclusive, Ended::Failed]) as u64,
            broken: counted(came.iter().flat_map(|came| &came.broken)),
        }
    }
}

fn left_out(table: &Table) -> Vec<LeftOut> {
    let entries = table.bugs.iter();
    let left_out = entries.filter_map(|(bug, entry)| {
        Some(LeftOut {
            bug: bug.clone(),
            breaks: entry.breaks.clone(),
            why: entry.left_out()?.to_owned(),
        })
    });
    left_out.collect()
}

fn counted<'a>(words: impl Iterator<Item = &'a String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word.clone()).or_default() += 1;
    }
    counts
}

fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() % 2 {
        1 => numbers.get(middle).copied(),
        _ => Some((numbers.get(middle.checked_sub(1)?)? + numbers.get(middle)?) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::cells::{Cell, NamedPlan, Sought};
    use super::*;

    fn row(bug: Option<&str>) -> Row {
        Row {
            bug: bug.map(|name| Sought {
                name: name.to_owned(),
                breaks: "LIN".to_owned(),
            }),
            plan: NamedPlan {
                name: "plan".to_owned(),
                path: "plan.toml".into(),
            },
        }
    }

    fn came(ended: Ended, broken: &[&str], found_after_s: Option<f64>) -> Came {
        Came {
            ended,
            broken: broken.iter().map(|&id| id.to_owned()).collect(),
            found_after_s,
            took_s: 9.0,
            said: String::new(),
        }
    }

    fn matrix(cells: &[(Option<&str>, Option<Came>)]) -> Matrix {
        let mut rows: Vec<Row> = Vec::new();
        for (bug, _) in cells {
            if !rows.contains(&row(*bug)) {
                rows.push(row(*bug));
            }
        }
        let done: Vec<Done> = cells
            .iter()
            .map(|(bug, came)| {
                let cell = Cell {
                    row: row(*bug),
                    number: 0,
                    text: String::new(),
                };
                (cell, came.clone())
            })
            .collect();
        let table = Table {
            format: 1,
            bugs: BTreeMap::new(),
        };
        Matrix::of(&table, &rows, &done)
    }

    #[test]
    fn a_bug_is_found_if_its_own_invariant_ever_names_it() {
        let found = || Some(came(Ended::Violated, &["LIN", "DUR"], Some(4.0)));
        let other = || Some(came(Ended::Violated, &["DUR"], None));
        let late = || Some(came(Ended::Violated, &["LIN"], Some(7.0)));
        let untold = || Some(came(Ended::Inconclusive, &[], None));
        let clean = || Some(came(Ended::Valid, &[], None));

        let all = matrix(&[
            (Some("a"), found()),
            (Some("a"), other()),
            (Some("a"), late()),
            (Some("b"), late()),
            (None, clean()),
        ]);
        assert_eq!(all.verdict, Verdict::Valid);
        let a = &all.bugs[0];
        assert_eq!((a.found, a.runs, a.median_s), (2, 3, Some(5.5)));
        assert_eq!(a.beside, BTreeMap::from([("DUR".to_owned(), 2)]));
        assert_eq!((all.median_s, all.slowest_s), (Some(6.25), Some(7.0)));

        let verdict = |cells: &[_]| matrix(cells).verdict;
        assert_eq!(verdict(&[(Some("a"), other())]), Verdict::Violated);
        assert_eq!(verdict(&[(Some("a"), clean())]), Verdict::Violated);
        assert_eq!(verdict(&[(Some("a"), untold())]), Verdict::Inconclusive);
        assert_eq!(
            verdict(&[(Some("a"), untold()), (Some("a"), clean())]),
            Verdict::Violated
        );
        assert_eq!(verdict(&[(None, untold())]), Verdict::Inconclusive);
        assert_eq!(
            verdict(&[(None, other()), (None, untold())]),
            Verdict::Violated
        );
        assert_eq!(
            verdict(&[(Some("a"), found()), (None, None)]),
            Verdict::Inconclusive
        );
    }
}
