//! One cell: a process of its own that runs the plan, and what became of it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::Context;
use keyquake_judge::{Judgement, Verdict};
use keyquake_results::Runs;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::sync::watch;

use super::cells::Cell;
use super::found;
use super::state::{Came, Ended};
use crate::judging::History;

const PLAN: &str = "plan.toml";
const RUNS: &str = "runs";
const SAID: &str = "said.txt";
/// Of what a run said that failed, this much is kept.
const SAID_BYTES_MAX: usize = 2000;

/// Where the results of a cell's run are.
pub fn runs_of(folder: &Path) -> PathBuf {
    folder.join(RUNS)
}

/// The file with the plan of a cell, made anew.
pub fn prepare(folder: &Path, cell: &Cell) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let plan = folder.join(PLAN);
    fs::write(&plan, &cell.text).with_context(|| format!("failed to write {}", plan.display()))?;
    Ok(plan)
}

/// Runs a cell whose folder is prepared, to its end. `None` if it was stopped before.
pub async fn run(
    program: &Path,
    folder: &Path,
    cell: &Cell,
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<Option<Came>> {
    let begun = Instant::now();
    let said = folder.join(SAID);
    let log = File::create(&said).with_context(|| format!("failed to make {}", said.display()))?;
    let child = command(program, folder, log).spawn();
    let child = child.with_context(|| format!("failed to start {}", program.display()))?;
    let pid = child.id();
    let output = child.wait_with_output();
    tokio::pin!(output);
    let ended = tokio::select! {
        ended = &mut output => Some(ended),
        _ = stopped.wait_for(|stop| *stop) => None,
    };
    let Some(ended) = ended else {
        // It takes its cluster down itself.
        if let Some(pid) = pid {
            let _ = kill(Pid::from_raw(pid as i32), Signal::SIGTERM);
        }
        output.await.context("failed to wait for a run")?;
        return Ok(None);
    };
    let ended = ended.context("failed to wait for a run")?;
    let took_s = begun.elapsed().as_secs_f64();
    let said = last_of(&said);
    Ok(Some(came(cell, folder, &ended.stdout, took_s, said)))
}

/// In a process group of its own, so that Ctrl-C on a terminal reaches this process alone; asked to
/// end if this one dies.
fn command(program: &Path, folder: &Path, log: File) -> Command {
    let mut command = Command::new(program);
    command
        .args(["run", "--json", "--plan"])
        .arg(folder.join(PLAN))
        .env("KEYQUAKE_RESULTS", runs_of(folder))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true);
    let bind = || set_pdeathsig(Signal::SIGTERM).map_err(std::io::Error::from);
    // SAFETY: `prctl` is one system call, and may be made between fork and exec.
    unsafe { command.pre_exec(bind) };
    command
}

/// From what the run answered to what became of the cell.
fn came(cell: &Cell, folder: &Path, answer: &[u8], took_s: f64, said: String) -> Came {
    let Ok(judgement) = serde_json::from_slice::<Judgement>(answer) else {
        return Came {
            ended: Ended::Failed,
            broken: Vec::new(),
            found_after_s: None,
            took_s,
            said,
        };
    };
    let broken = judgement.invariants.iter();
    let broken: Vec<_> = broken.filter(|i| i.verdict == Verdict::Violated).collect();
    let own = cell.row.bug.as_ref().and_then(|bug| {
        let mut own = broken.iter().filter(|one| one.id == bug.breaks);
        own.next().copied()
    });
    let found_after_s = own.map(|own| {
        let history = Runs::at(runs_of(folder))
            .find("latest")
            .ok()
            .and_then(|run| History::read(&run.history()).ok());
        let on_clock = history.and_then(|history| found::seconds(&history.events, own));
        on_clock.unwrap_or(took_s)
    });
    let reasons = judgement.invariants.iter();
    let reasons = reasons.filter(|one| one.verdict != Verdict::Valid);
    let reasons: Vec<_> = reasons.map(|one| one.to_string()).collect();
    let as_must_be = match &cell.row.bug {
        Some(_) => found_after_s.is_some(),
        None => judgement.verdict == Verdict::Valid,
    };
    Came {
        ended: match judgement.verdict {
            Verdict::Valid => Ended::Valid,
            Verdict::Violated => Ended::Violated,
            Verdict::Inconclusive => Ended::Inconclusive,
        },
        broken: broken.iter().map(|one| one.id.clone()).collect(),
        found_after_s,
        took_s,
        said: match (as_must_be, reasons.is_empty()) {
            (true, _) => String::new(),
            (false, true) => format!("it ended {}", judgement.verdict),
            (false, false) => reasons.join("\n"),
        },
    }
}

/// The end of what a run said.
fn last_of(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let from = bytes.len().saturating_sub(SAID_BYTES_MAX);
    let text = String::from_utf8_lossy(&bytes[from..]);
    text.trim().to_owned()
}
