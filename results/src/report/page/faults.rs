//! The faults: as bands above the pictures, and as a table with their evidence.

use elle_rs::history::{FaultEvent, FaultStep, OutcomeEvent};
use maud::{Markup, html};

use super::View;
use super::chart::{Scale, text_width};
use crate::report::collect::FaultLife;
use crate::report::counted;
use crate::report::describe::{moment, shortened};
use crate::run_info::RunInfo;

/// Faults in the table and in the pictures; more can't be told apart in either.
const FAULTS_SHOWN: usize = 200;

/// Characters of a piece of evidence.
const EVIDENCE_LENGTH: usize = 1200;

/// Rows of names above a picture.
const ROWS: usize = 3;
const ROW_HEIGHT: f64 = 22.0;
const NAME_SIZE: f64 = 11.0;

/// A fault's number and name, the same in pictures and table.
fn title(run: &RunInfo, life: &FaultLife) -> String {
    let nodes: Vec<String> = life.nodes.iter().map(|node| run.node_name(*node)).collect();
    format!("{} {} {}", life.fault, life.name, nodes.join(" "))
        .trim_end()
        .to_owned()
}

/// The faults along the time axis of a picture.
pub struct Lane {
    bands: Vec<Band>,
    rows: usize,
}

struct Band {
    name: String,
    full: String,
    row: usize,
    /// Where it was armed, where it took effect, where it was over.
    armed: f64,
    effective: Option<f64>,
    ended: f64,
}

impl Lane {
    /// Places the faults so that their names do not overlap.
    pub fn new(view: &View, time: &Scale, left: f64, right: f64) -> Self {
        let place = |ns: u64| time.at(ns as f64 / 1e9);
        let mut taken = [left; ROWS];
        let mut bands = Vec::new();
        for life in view.collected.faults.iter().take(FAULTS_SHOWN) {
            let armed = place(life.began_ns());
            let ended = place(life.ended_ns().unwrap_or(view.collected.end_ns));
            let full = title(view.run, life);
            // The whole name where there is room, else the number, else only the bar.
            let fits = |text: &str| {
                let start = armed.min(right - text_width(text, NAME_SIZE));
                taken
                    .iter()
                    .position(|end| *end <= start || (start == left && *end <= left))
            };
            let number = life.fault.to_string();
            let (row, name) = match (fits(&full), fits(&number)) {
                (Some(row), _) => (row, full.clone()),
                (None, Some(row)) => (row, number),
                (None, None) => (ROWS - 1, String::new()),
            };
            let start = armed.min(right - text_width(&name, NAME_SIZE));
            taken[row] = ended.max(start + text_width(&name, NAME_SIZE)) + 8.0;
            let effective = if life.was_effective() {
                life.time_of(FaultStep::Effective)
            } else {
                None
            };
            let full = format!("{full}: {}", life.outcome());
            bands.push(Band {
                name,
                full,
                row,
                armed,
                effective: effective.map(place),
                ended,
            });
        }
        let rows = bands.iter().map(|band| band.row + 1).max().unwrap_or(0);
        Lane { bands, rows }
    }

    /// How much height the names take.
    pub fn height(&self) -> f64 {
        self.rows as f64 * ROW_HEIGHT + 8.0
    }

    /// Bands from `top` to `bottom`, and the names above them.
    pub fn draw(&self, top: f64, bottom: f64) -> Markup {
        html! {
            @for band in &self.bands {
                @if let Some(effective) = band.effective {
                    rect.band x=(round(effective)) y=(top) width=(round((band.ended - effective).max(1.0)))
                        height=(round(bottom - top)) {}
                }
            }
            @for band in &self.bands { (band.draw()) }
        }
    }
}

impl Band {
    fn draw(&self) -> Markup {
        let y = self.row as f64 * ROW_HEIGHT + 15.0;
        let at_right = self.armed + text_width(&self.name, NAME_SIZE) > super::chart::WIDTH - 22.0;
        let (x, anchor) = if at_right {
            (super::chart::WIDTH - 22.0, "end")
        } else {
            (self.armed, "start")
        };
        html! {
            g {
                title { (self.full) }
                rect.band-armed x=(round(self.armed)) y=(y) height="5"
                    width=(round((self.effective.unwrap_or(self.ended) - self.armed).max(1.0))) {}
                @if let Some(effective) = self.effective {
                    rect.band-bar x=(round(effective)) y=(y) height="5" width=(round((self.ended - effective).max(2.0))) {}
                }
                text.band-name x=(round(x)) y=(y - 3.0) text-anchor=(anchor) { (self.name) }
            }
        }
    }
}

fn round(number: f64) -> String {
    format!("{number:.1}")
}

/// Each fault with what was seen of it.
pub fn section(view: &View) -> Markup {
    let faults = &view.collected.faults;
    html! {
        section aria-labelledby="faults" {
            h2 id="faults" { "Faults" }
            @if faults.len() == 0 {
                p { "No fault was injected." }
            } @else {
                div.scroll {
                    table {
                        caption { "A fault counts only when something was seen that shows it in force, and again when it was undone." }
                        thead { tr {
                            th scope="col" { "Fault" }
                            th scope="col" { "Outcome" }
                            th scope="col" { "Evidence" }
                        } }
                        tbody { @for life in faults.iter().take(FAULTS_SHOWN) { (row(view, life)) } }
                    }
                }
                @if let Some(hidden @ 1..) = faults.len().checked_sub(FAULTS_SHOWN) {
                    p.soft { "And " (counted(hidden as u64, "more fault")) " in the history." }
                }
            }
        }
    }
}

fn row(view: &View, life: &FaultLife) -> Markup {
    let proven = life.outcome() == "effective, healed";
    html! {
        tr {
            th.nowrap scope="row" { (title(view.run, life)) }
            td.nowrap {
                span.verdict.(if proven { "valid" } else { "inconclusive" }) {
                    span aria-hidden="true" { (if proven { "✓ " } else { "? " }) } (life.outcome())
                }
            }
            td {
                ol { @for event in &life.steps { li.wrap { (step(event)) } } }
                @if !life.outcomes.is_empty() {
                    ol { @for event in &life.outcomes { li.wrap { (outcome(event)) } } }
                }
            }
        }
    }
}

/// What came of an operator's step beside what must; the verdict on it is the judge's.
fn outcome(event: &OutcomeEvent) -> Markup {
    html! {
        span.soft { (moment(event.time_ns)) } " " strong { (event.subject) } ": " (event.observed)
        span.soft { " (" (event.invariant) ": " (event.expected.join(" or ")) "; " (event.because) ")" }
        @if !event.evidence.is_empty() { ": " (shortened(&event.evidence, EVIDENCE_LENGTH)) }
    }
}

fn step(event: &FaultEvent) -> Markup {
    let name = match event.step {
        FaultStep::Armed => "armed",
        FaultStep::Effective => "effective",
        FaultStep::Ineffective => "no effect",
        FaultStep::Healed => "healed",
        FaultStep::HealFailed => "healing failed",
    };
    html! {
        span.soft { (moment(event.time_ns)) } " " strong { (name) }
        @if !event.evidence.is_empty() { ": " (shortened(&event.evidence, EVIDENCE_LENGTH)) }
    }
}
