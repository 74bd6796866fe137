//! From a history on disk to a judgement and a report.

use std::path::Path;

use anyhow::Context;
use elle_rs::history::Event;
use elle_rs::history::file::{Reader, TornTail};
use keyquake_audit::Audit;
use keyquake_judge::{Expectations, Judgement, judge};
use keyquake_results::{Report, RunFolder, RunInfo};

use crate::plan::Plan;
use crate::{auditing, wiring};

/// The events of a history, and the torn tail that was cut off.
pub struct History {
    pub events: Vec<Event>,
    pub torn: Option<TornTail>,
}

impl History {
    /// Reads a whole history file.
    pub fn read(path: &Path) -> anyhow::Result<History> {
        let mut reader = Reader::open(path)?;
        let mut events = Vec::new();
        for event in reader.by_ref() {
            events.push(event?);
        }
        Ok(History {
            events,
            torn: reader.torn().cloned(),
        })
    }

    /// Judges it, and the disks of the run that wrote it.
    pub fn judge_run(&self, run: &RunFolder, plan: &Plan) -> (Judgement, Option<Audit>) {
        let mut judgement = self.judge(&wiring::expectations(plan));
        let audit = auditing::audit_into(&mut judgement, run, plan, self);
        (judgement, audit)
    }

    /// Judges it alone.
    pub fn judge(&self, expectations: &Expectations) -> Judgement {
        judge(&self.events, self.torn.as_ref(), expectations)
    }
}

/// Builds a run's report from what is on disk.
pub fn report(
    folder: &RunFolder,
    info: &RunInfo,
    history: History,
    judgement: &Judgement,
) -> anyhow::Result<Report> {
    let plan = folder.read_plan().context("the report shows the plan")?;
    let evidence = folder.read_evidence()?;
    Ok(Report::build_with(
        info,
        &plan,
        history.events.into_iter(),
        judgement,
        evidence.as_ref(),
    ))
}
