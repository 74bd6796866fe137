//! The cells of the matrix: a plan, a bug or none, and which of its runs.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use keyquake_node::bugs;

use super::table::Table;
use super::words::MatrixArgs;
use crate::plan::Plan;

/// A plan under the name that the matrix shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedPlan {
    pub name: String,
    pub path: PathBuf,
}

impl NamedPlan {
    fn new(folder: &Path, path: &Path) -> NamedPlan {
        let below = path.strip_prefix(folder).unwrap_or(path);
        let name = below.with_extension("").display().to_string();
        let path = path.to_owned();
        NamedPlan { name, path }
    }
}

/// A bug under a plan, or a plan without one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// `None`: the clean store, which must be valid.
    pub bug: Option<Sought>,
    pub plan: NamedPlan,
}

/// A bug, and what has to name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sought {
    pub name: String,
    pub breaks: String,
}

/// One run of a row.
#[derive(Clone, Debug)]
pub struct Cell {
    pub row: Row,
    pub number: u32,
    /// The plan as it is run: with the bug in it, and a seed of its own.
    pub text: String,
}

impl Cell {
    /// What it is kept under, and its folder's name.
    pub fn key(&self) -> String {
        let bug = self.row.bug.as_ref().map_or("clean", |bug| &bug.name);
        let plan = self.row.plan.name.replace(['/', '\\'], ".");
        format!("{plan}@{bug}@{}", self.number)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plan, number) = (&self.row.plan.name, self.number + 1);
        match &self.row.bug {
            Some(bug) => write!(f, "{} under {plan}, run {number}", bug.name),
            None => write!(f, "{plan} clean, run {number}"),
        }
    }
}

/// The rows that are asked for: bugs in the catalogue's order, then plans without one.
///
/// # Errors
/// A bug that is not known, or one that nothing is named for.
pub fn rows(table: &Table, args: &MatrixArgs) -> anyhow::Result<Vec<Row>> {
    for bug in &args.bugs {
        let entry = table
            .bugs
            .get(bug)
            .with_context(|| format!("there is no bug {bug}; `keyquake bugs` lists them"))?;
        if let Some(why) = entry.left_out().filter(|_| args.plans.is_empty()) {
            anyhow::bail!("no plan shows {bug}: {why}");
        }
    }
    let folder = args.table.parent().unwrap_or(Path::new(""));
    let asked: Vec<_> = args.plans.iter().map(PathBuf::as_path).collect();
    let asked: Vec<_> = asked.iter().map(|p| NamedPlan::new(folder, p)).collect();
    let mut rows = Vec::new();
    for info in bugs::catalogue() {
        let named = args.bugs.iter().any(|bug| bug == info.name);
        let Some(entry) = table.bugs.get(info.name) else {
            continue;
        };
        if !named && !args.bugs.is_empty() {
            continue;
        }
        let own = entry.plans.iter().map(|plan| folder.join(plan));
        let own: Vec<_> = own.map(|path| NamedPlan::new(folder, &path)).collect();
        let plans = match (named, asked.is_empty()) {
            (_, true) => own,
            (true, false) => asked.clone(),
            (false, false) => own.into_iter().filter(|p| asked.contains(p)).collect(),
        };
        let bug = Sought {
            name: info.name.to_owned(),
            breaks: info.breaks.to_owned(),
        };
        rows.extend(plans.into_iter().map(|plan| Row {
            bug: Some(bug.clone()),
            plan,
        }));
    }
    if args.clean {
        let plans: BTreeSet<NamedPlan> = rows.iter().map(|row| row.plan.clone()).collect();
        let plans = plans.into_iter().chain(asked).collect::<BTreeSet<_>>();
        rows.extend(plans.into_iter().map(|plan| Row { bug: None, plan }));
    }
    ensure!(
        !rows.is_empty(),
        "the table names no bug for these plans: name one with --bug, or ask for --clean"
    );
    Ok(rows)
}

/// Every run of these rows: first the first of each, so that what there is early is broad.
pub fn cells(rows: &[Row], runs: u32) -> anyhow::Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for number in 0..runs {
        for row in rows {
            let text = text(row, number)?;
            let row = row.clone();
            cells.push(Cell { row, number, text });
        }
    }
    Ok(cells)
}

/// The plan of a run: each has a seed of its own, so that the runs differ.
fn text(row: &Row, number: u32) -> anyhow::Result<String> {
    let mut plan = Plan::read(&row.plan.path)?;
    ensure!(
        plan.cluster.bugs.is_empty(),
        "the plan {} has a bug in it: leave `bugs` out, the matrix puts them in",
        row.plan.path.display()
    );
    plan.seed += u64::from(number);
    plan.cluster.bugs = row.bug.iter().map(|bug| bug.name.clone()).collect();
    plan.to_toml()
}
