//! `keyquake matrix`: every seeded bug under the plans that have to show it, and every plan without.
//!
//! [`table`] says which plan is for which bug, [`cells`] makes runs of that, [`sweep`] runs them, each
//! as a process of its own ([`one_run`]), [`state`] remembers, [`tally`] counts, [`page`] tells.

mod cells;
mod found;
mod one_run;
mod page;
mod state;
mod sweep;
mod table;
mod tally;
pub mod words;
mod workshop;

use anyhow::Context;

use self::state::State;
use self::table::Table;
use self::tally::Matrix;
use self::words::MatrixArgs;
use self::workshop::Workshop;
use crate::exit::{Done, Failure, input};

/// Runs the cells that are not done yet, and tells of all.
pub fn matrix(args: MatrixArgs) -> Result<Done, Failure> {
    let table = Table::read(&args.table).map_err(input)?;
    let rows = cells::rows(&table, &args).map_err(input)?;
    let cells = cells::cells(&rows, args.runs).map_err(input)?;
    let workshop = Workshop::open(&args.results.root)?;
    let mut state = State::open(&workshop.state())?;
    // On this thread alone: a run ends when the thread that started it does.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the async runtime")?;
    let side_by_side = args.side_by_side as usize;
    let swept = sweep::sweep(cells, side_by_side, &workshop, &mut state);
    let done = runtime.block_on(swept)?;
    let matrix = Matrix::of(&table, &rows, &done);
    for (cell, came) in &done {
        if let Some(came) = came.as_ref().filter(|came| !came.said.is_empty()) {
            let kept = workshop.kept(cell);
            eprintln!("{cell}, kept in {}:\n{}", kept.display(), came.said);
        }
    }
    let page = page::page(&matrix, &command(&args));
    if let Some(out) = &args.out {
        let written = std::fs::write(out, &page);
        written.with_context(|| format!("failed to write {}", out.display()))?;
    }
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&matrix)?),
        false if args.out.is_none() => print!("{page}"),
        false => println!("{}", page::summary(&matrix)),
    }
    Ok(Done::Judged(matrix.verdict))
}

/// The command that makes this matrix again.
fn command(args: &MatrixArgs) -> String {
    let mut words = vec!["keyquake matrix".to_owned()];
    words.extend(args.bugs.iter().map(|bug| format!("--bug {bug}")));
    let plans = args.plans.iter();
    words.extend(plans.map(|plan| format!("--plan {}", plan.display())));
    words.push(format!("--runs {}", args.runs));
    if args.clean {
        words.push("--clean".to_owned());
    }
    if let Some(out) = &args.out {
        words.push(format!("--out {}", out.display()));
    }
    words.join(" ")
}
