//! `keyquake check`: judge a stored history again.

use std::path::Path;

use anyhow::anyhow;
use keyquake_judge::{Expectations, Judgement};
use keyquake_results::{RunFolder, Runs};

use crate::cli::CheckArgs;
use crate::exit::{Done, Failure, input};
use crate::judging::History;
use crate::plan::Plan;

/// Judges a run's history and disks, or a history file on its own; one of another tool by a model.
/// Writes nothing that is not asked for.
pub fn check(args: CheckArgs) -> Result<Done, Failure> {
    let path = Path::new(&args.subject);
    if let Some(model) = &args.model {
        return super::history::check(path, model, &args.history, args.json);
    }
    let judgement = if path.is_file() {
        History::read(path)
            .map_err(Failure::Input)?
            .judge(&Expectations::default())
    } else {
        judge_run(
            &Runs::at(&args.results.root)
                .find(&args.subject)
                .map_err(input)?,
        )?
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&judgement)?);
    } else {
        println!("{judgement}");
    }
    Ok(Done::Judged(judgement.verdict))
}

fn judge_run(folder: &RunFolder) -> Result<Judgement, Failure> {
    let plan = folder.read_plan().map_err(input)?;
    let plan = Plan::parse(&plan)
        .map_err(|error| input(anyhow!("{}: {error:#}", folder.plan().display())))?;
    let history = History::read(&folder.history()).map_err(Failure::Input)?;
    Ok(history.judge_run(folder, &plan).0)
}
