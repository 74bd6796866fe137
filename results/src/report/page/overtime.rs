//! Throughput and latency of each workload, with the faults, on one time axis.

use elle_rs::history::Phase;
use maud::{Markup, html};

use super::View;
use super::chart::{self, Scale, WIDTH};
use super::faults::Lane;
use crate::report::collect::{Bin, Timeline, Workload};
use crate::report::describe::{duration_us, grouped};

const LEFT: f64 = 58.0;
const RIGHT: f64 = 22.0;
const RATE_HEIGHT: f64 = 130.0;
const LATENCY_HEIGHT: f64 = 140.0;
const GAP: f64 = 34.0;
const AXIS: f64 = 24.0;

/// One picture per workload.
pub fn section(view: &View) -> Markup {
    html! {
        section aria-labelledby="time" {
            h2 id="time" { "Over time" }
            @if view.collected.timelines.is_empty() { p { "No operation was recorded." } }
            @for (workload, timeline) in &view.collected.timelines { (figure(view, *workload, timeline)) }
        }
    }
}

fn figure(view: &View, workload: Workload, timeline: &Timeline) -> Markup {
    let totals = timeline.totals;
    html! {
        figure {
            figcaption {
                h3 { (workload.name()) }
                span.soft {
                    "Completions per second, stacked, when they came; latency of successful operations, when they began; "
                    "in steps of " (chart::clock(timeline.width_ns() as f64 / 1e9)) ". Shaded: a fault in force."
                }
            }
            ul.legend {
                li { (swatch("area-ok")) "ok " (grouped(totals.ok)) }
                li { (swatch("area-fail")) "fail " (grouped(totals.fail)) }
                li { (swatch("area-info")) "info " (grouped(totals.info)) }
                li { (stroke("line-p50")) "p50" }
                li { (stroke("line-p99")) "p99" }
                li { (stroke("line-max")) "max" }
            }
            div.scroll { (picture(view, workload, timeline)) }
            details {
                summary { "The numbers of this picture" }
                div.scroll { (numbers(timeline)) }
            }
        }
    }
}

fn swatch(class: &str) -> Markup {
    html! { svg viewBox="0 0 22 12" aria-hidden="true" { rect.(class) x="4" y="0" width="14" height="12" {} } }
}

fn stroke(class: &str) -> Markup {
    html! { svg viewBox="0 0 22 12" aria-hidden="true" { path.(class) d="M1 6H21" {} } }
}

fn picture(view: &View, workload: Workload, timeline: &Timeline) -> Markup {
    let seconds = (view.collected.end_ns as f64 / 1e9).max(1.0);
    let time = Scale::new(0.0, seconds, LEFT, WIDTH - RIGHT);
    let lane = Lane::new(view, &time, LEFT, WIDTH - RIGHT);
    let rate_top = lane.height() + 12.0;
    let rate_bottom = rate_top + RATE_HEIGHT;
    let latency_top = rate_bottom + GAP;
    let latency_bottom = latency_top + LATENCY_HEIGHT;
    let height = latency_bottom + AXIS;
    let name = format!(
        "{}: throughput and latency over {}, with {} faults. The table below has the same numbers.",
        workload.name(),
        chart::clock(seconds),
        view.collected.faults.len()
    );
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height:.0}")) role="img" aria-label=(name) {
            (lane.draw(rate_top, latency_bottom))
            (rates(timeline, &time, seconds, rate_top, rate_bottom))
            (latencies(timeline, &time, latency_top, latency_bottom))
            (phases(view, &time, rate_top, latency_bottom))
            @for tick in chart::time_ticks(seconds) {
                @let x = format!("{:.1}", time.at(tick));
                path.axis d=(format!("M{x} {latency_bottom}v5")) {}
                text.tick x=(x) y=(latency_bottom + 18.0) text-anchor="middle" { (chart::clock(tick)) }
            }
        }
    }
}

/// The phases that begin in the middle of the picture, as dashed lines.
fn phases(view: &View, time: &Scale, top: f64, bottom: f64) -> Markup {
    let start = view
        .collected
        .phases
        .iter()
        .find(|(phase, _)| *phase == Phase::Final);
    html! {
        @if let Some((_, ns)) = start {
            @let x = time.at(*ns as f64 / 1e9);
            path.phase d=(format!("M{x:.1} {top}V{bottom}")) {}
            text.tick x=(format!("{:.1}", x - 4.0)) y=(top + 10.0) text-anchor="end" { "final reads →" }
        }
    }
}

/// Seconds that a bin really covers: the last one ends with the run.
fn covered(timeline: &Timeline, position: usize, seconds: f64) -> f64 {
    let width = timeline.width_ns() as f64 / 1e9;
    let start = position as f64 * width;
    // A sliver of a bin would make a rate out of one operation.
    (seconds - start).clamp(width / 2.0, width)
}

fn rates(timeline: &Timeline, time: &Scale, seconds: f64, top: f64, bottom: f64) -> Markup {
    let width = timeline.width_ns() as f64 / 1e9;
    let rate = |position: usize, count: u64| count as f64 / covered(timeline, position, seconds);
    let bins = || timeline.bins().iter().enumerate();
    let highest = bins()
        .map(|(at, bin)| rate(at, bin.counts.total()))
        .fold(0.0, f64::max);
    let marks = chart::ticks(highest, 4.0);
    let scale = Scale::new(0.0, marks.last().copied().unwrap_or(1.0), bottom, top);
    let stack = |below: fn(&Bin) -> u64, count: fn(&Bin) -> u64| {
        chart::boxes(bins().map(|(at, bin)| {
            let left = time.at(at as f64 * width);
            let right = time.at((at + 1) as f64 * width);
            let (low, high) = (below(bin), below(bin) + count(bin));
            (
                left,
                right,
                scale.at(rate(at, low)),
                scale.at(rate(at, high)),
            )
        }))
    };
    html! {
        text.tick x=(LEFT) y=(top - 5.0) { "operations per second" }
        (grid(&marks.iter().map(|mark| (scale.at(*mark), short(*mark))).collect::<Vec<_>>()))
        path.area-ok d=(stack(|_| 0, |bin| bin.counts.ok)) {}
        path.area-fail d=(stack(|bin| bin.counts.ok, |bin| bin.counts.fail)) {}
        path.area-info d=(stack(|bin| bin.counts.ok + bin.counts.fail, |bin| bin.counts.info)) {}
        path.axis d=(format!("M{LEFT} {bottom}H{}", WIDTH - RIGHT)) {}
    }
}

fn latencies(timeline: &Timeline, time: &Scale, top: f64, bottom: f64) -> Markup {
    let width = timeline.width_ns() as f64 / 1e9;
    let all = |quantile: f64| {
        timeline
            .bins()
            .iter()
            .filter_map(move |bin| bin.latency_us(quantile))
    };
    // Whole powers of ten around what there is.
    let low = all(0.5).min().unwrap_or(1).max(1).ilog10();
    let high = all(1.0).max().unwrap_or(10).max(1).ilog10() + 1;
    let scale = Scale::new(f64::from(low), f64::from(high), bottom, top);
    let marks: Vec<_> = (low..=high)
        .map(|power| (scale.at(f64::from(power)), power_of_ten(power)))
        .collect();
    let line = |quantile: f64| {
        chart::line(timeline.bins().iter().enumerate().map(|(at, bin)| {
            let x = time.at((at as f64 + 0.5) * width);
            (
                x,
                bin.latency_us(quantile)
                    .map(|us| scale.at((us.max(1) as f64).log10())),
            )
        }))
    };
    html! {
        text.tick x=(LEFT) y=(top - 5.0) { "latency, logarithmic" }
        (grid(&marks))
        path.line-max d=(line(1.0)) {}
        path.line-p99 d=(line(0.99)) {}
        path.line-p50 d=(line(0.5)) {}
        path.axis d=(format!("M{LEFT} {bottom}H{}", WIDTH - RIGHT)) {}
    }
}

fn grid(marks: &[(f64, String)]) -> Markup {
    html! {
        @for (y, label) in marks {
            path.grid d=(format!("M{LEFT} {y:.1}H{}", WIDTH - RIGHT)) {}
            text.tick x=(LEFT - 7.0) y=(format!("{:.1}", y + 4.0)) text-anchor="end" { (label) }
        }
    }
}

fn power_of_ten(power: u32) -> String {
    let (number, unit) = match power {
        0..=2 => (10_u64.pow(power), "µs"),
        3..=5 => (10_u64.pow(power - 3), "ms"),
        _ => (10_u64.pow(power.min(20) - 6), "s"),
    };
    format!("{number} {unit}")
}

fn short(number: f64) -> String {
    match number {
        _ if number >= 10_000.0 => format!("{}k", number / 1000.0),
        _ => format!("{}", (number * 100.0).round() / 100.0),
    }
}

fn numbers(timeline: &Timeline) -> Markup {
    let width = timeline.width_ns() as f64 / 1e9;
    let latency = |bin: &Bin, quantile| {
        bin.latency_us(quantile)
            .map_or_else(|| "–".to_owned(), duration_us)
    };
    html! {
        table {
            thead { tr {
                th.num scope="col" { "From" }
                th.num scope="col" { "ok" } th.num scope="col" { "fail" } th.num scope="col" { "info" }
                th.num scope="col" { "p50" } th.num scope="col" { "p99" } th.num scope="col" { "max" }
            } }
            tbody {
                @for (at, bin) in timeline.bins().iter().enumerate() {
                    tr {
                        td.num { (format!("{:.2} s", at as f64 * width)) }
                        td.num { (bin.counts.ok) } td.num { (bin.counts.fail) } td.num { (bin.counts.info) }
                        td.num { (latency(bin, 0.5)) } td.num { (latency(bin, 0.99)) } td.num { (latency(bin, 1.0)) }
                    }
                }
            }
        }
    }
}
