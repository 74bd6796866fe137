//! The end of a run: judge history and disks, write the report, print the verdict.

use crate::cli::RunArgs;
use crate::exit::{Done, Failure};
use crate::judging::{self, History};

use super::stage::Stage;

/// Judges what is on disk and tells.
pub fn conclude(mut stage: Stage, args: &RunArgs) -> Result<Done, Failure> {
    let history = History::read(&stage.folder.history())?;
    let (judgement, audit) = history.judge_run(&stage.folder, &stage.plan);
    if let Some(audit) = audit {
        stage.folder.write_audit(&audit)?;
    }
    stage.folder.write_verdict(&judgement)?;
    stage.phase_done("judge");
    stage.folder.write_run(&stage.info)?;
    let report = judging::report(&stage.folder, &stage.info, history, &judgement)?;
    let page = stage.folder.write_report(&report)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&judgement)?);
    } else {
        print!("{}", report.summary.with_report(&page));
    }
    Ok(Done::Judged(judgement.verdict))
}
