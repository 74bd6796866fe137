//! `keyquake report`: write a run's report again, from what is on disk.

use anyhow::anyhow;
use keyquake_results::Runs;
use serde_json::json;

use crate::cli::ReportArgs;
use crate::exit::{Done, Failure, input};
use crate::judging::{self, History};
use crate::plan::Plan;

/// Judges the run again and writes `verdict.json`, `junit.xml` and `report.html`.
pub fn report(args: ReportArgs) -> Result<Done, Failure> {
    let folder = Runs::at(&args.results.root)
        .find(&args.subject)
        .map_err(input)?;
    let info = folder.read_run().map_err(input)?;
    let plan = Plan::parse(&folder.read_plan().map_err(input)?)
        .map_err(|error| input(anyhow!("{}: {error:#}", folder.plan().display())))?;
    let history = History::read(&folder.history()).map_err(Failure::Input)?;
    let (judgement, audit) = history.judge_run(&folder, &plan);
    if let Some(audit) = audit {
        folder.write_audit(&audit)?;
    }
    let report = judging::report(&folder, &info, history, &judgement)?;
    folder.write_verdict(&judgement)?;
    let page = folder.write_report(&report)?;
    if args.json {
        println!(
            "{}",
            serde_json::to_string_pretty(
                &json!({"run": info, "report": page, "judgement": judgement})
            )?
        );
    } else {
        print!("{}", report.summary.with_report(&page));
    }
    Ok(Done::Judged(judgement.verdict))
}
