//! What a person sees while a run goes on: one line that renews itself on a
//! terminal, a plain line every few seconds elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use keyquake_workloads::{Live, WorkloadName};

/// How often the line on a terminal is renewed.
const REFRESH: Duration = Duration::from_millis(200);
/// How often a plain line is printed.
const PLAIN: Duration = Duration::from_secs(5);

/// The state of a run at one moment.
pub struct Moment {
    /// Time since the workloads began.
    pub elapsed: Duration,
    /// The workloads' counters.
    pub live: Live,
    /// The fault in force, if any.
    pub fault: Option<String>,
    /// The leader's name, if one is known.
    pub leader: Option<String>,
}

/// Shows moments on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    names: Vec<WorkloadName>,
    total: Duration,
    last: Option<(Duration, u64)>,
}

impl Progress {
    /// For a run of these workloads and this length.
    pub fn new(names: Vec<WorkloadName>, total: Duration) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:20} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total.as_millis() as u64).with_style(style)
        });
        Progress {
            bar,
            names,
            total,
            last: None,
        }
    }

    /// How long to wait between two moments.
    pub fn interval(&self) -> Duration {
        if self.bar.is_some() { REFRESH } else { PLAIN }
    }

    /// Shows a moment.
    pub fn show(&mut self, moment: &Moment) {
        let line = self.line(moment);
        match &self.bar {
            Some(bar) => {
                bar.set_position(moment.elapsed.min(self.total).as_millis() as u64);
                bar.set_message(line);
            }
            None => eprintln!("{line}"),
        }
    }

    /// Takes the renewing line away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&mut self, moment: &Moment) -> String {
        let completed = moment
            .live
            .workloads
            .iter()
            .map(|workload| workload.ok + workload.fail + workload.info)
            .sum();
        let (since, before) = self
            .last
            .replace((moment.elapsed, completed))
            .unwrap_or_default();
        let seconds = moment
            .elapsed
            .saturating_sub(since)
            .as_secs_f64()
            .max(0.001);
        let rate = completed.saturating_sub(before) as f64 / seconds;
        let counters: Vec<_> = self
            .names
            .iter()
            .zip(&moment.live.workloads)
            .map(|(name, live)| {
                format!(
                    "{name} ok {} fail {} info {}",
                    live.ok, live.fail, live.info
                )
            })
            .collect();
        format!(
            "{:>4.0}s/{}s  {rate:>5.0} op/s  {}  leader {}  fault {}",
            moment.elapsed.as_secs_f64(),
            self.total.as_secs(),
            counters.join(" · "),
            moment.leader.as_deref().unwrap_or("none"),
            moment.fault.as_deref().unwrap_or("none"),
        )
    }
}
