//! Goes through the cells, several side by side, until all are done or somebody ends it.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::Context;
use futures_util::stream::{FuturesUnordered, StreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use keyquake_results::digest_file;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::cells::Cell;
use super::one_run;
use super::state::{Came, Ended, State};
use super::workshop::Workshop;

/// A cell and what became of it; `None` if it was not run.
pub type Done = (Cell, Option<Came>);

/// Runs what is not done yet. The cells come back in their order.
pub async fn sweep(
    cells: Vec<Cell>,
    side_by_side: usize,
    workshop: &Workshop,
    state: &mut State,
) -> anyhow::Result<Vec<Done>> {
    let program = std::env::current_exe().context("failed to find this program")?;
    let of_program = digest_file(&program)?;
    let mut waiting = VecDeque::new();
    let mut done: Vec<Done> = Vec::new();
    for (at, cell) in cells.into_iter().enumerate() {
        let folder = workshop.folder(&cell);
        let plan = one_run::prepare(&folder, &cell)?;
        let digest = format!("{of_program} {}", digest_file(&plan)?);
        let known = state.get(&cell.key(), &digest).cloned();
        if known.is_some() {
            std::fs::remove_dir_all(&folder)?;
        } else {
            waiting.push_back((at, digest));
        }
        done.push((cell, known));
    }
    let shown = Shown::new(done.len(), done.len() - waiting.len());
    let (stop, stopped) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < side_by_side && !*stopped.borrow() {
            let Some((at, digest)) = waiting.pop_front() else {
                break;
            };
            let cell = done[at].0.clone();
            let (program, stopped): (PathBuf, _) = (program.clone(), stopped.clone());
            let folder = workshop.folder(&cell);
            running.push(async move {
                let came = one_run::run(&program, &folder, &cell, stopped).await;
                (at, digest, came)
            });
        }
        tokio::select! {
            _ = interrupt.recv() => end_early(&stop, "Ctrl-C"),
            _ = terminate.recv() => end_early(&stop, "SIGTERM"),
            next = running.next() => {
                let Some((at, digest, came)) = next else { break };
                let (cell, slot) = &mut done[at];
                let came = came?;
                let keep = came.as_ref().is_some_and(|came| !came.said.is_empty());
                workshop.put_away(cell, keep)?;
                if let Some(came) = came {
                    shown.done(cell, &came);
                    state.put(cell.key(), digest, came.clone())?;
                    *slot = Some(came);
                }
            }
        }
    }
    shown.end();
    for (at, _) in waiting {
        workshop.put_away(&done[at].0, false)?;
    }
    Ok(done)
}

fn end_early(stop: &watch::Sender<bool>, why: &str) {
    eprintln!("{why}: ending the runs under way; the same command goes on from here");
    stop.send_replace(true);
}

/// What a person sees meanwhile: a bar on a terminal, a line for each cell elsewhere.
struct Shown(Option<ProgressBar>);

impl Shown {
    fn new(all: usize, done: usize) -> Shown {
        if done > 0 {
            eprintln!("{done} of {all} runs are done already");
        }
        Shown(std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:20} {pos}/{len} {elapsed} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(all as u64).with_style(style);
            bar.set_position(done as u64);
            bar
        }))
    }

    fn done(&self, cell: &Cell, came: &Came) {
        let how = match (came.found_after_s, came.ended) {
            (Some(seconds), _) => format!("found after {seconds:.1} s"),
            (None, Ended::Valid) => "valid".to_owned(),
            (None, Ended::Violated) => format!("violated: {}", came.broken.join(", ")),
            (None, Ended::Inconclusive) => "inconclusive".to_owned(),
            (None, Ended::Failed) => "failed".to_owned(),
        };
        let line = format!("{cell}: {how}");
        match &self.0 {
            Some(bar) => {
                bar.inc(1);
                bar.set_message(line);
            }
            None => eprintln!("{line}"),
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
