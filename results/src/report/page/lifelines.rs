//! A picture of the few operations of a finding: a lane per process, a bar per
//! operation. Their order is true to the history; long waits are drawn shorter,
//! because the operations of a finding can be milliseconds long and a minute apart.

use std::collections::BTreeMap;

use elle_rs::history::Kind;
use maud::{Markup, html};

use super::View;
use super::chart::{WIDTH, text_width};
use super::findings::what;
use crate::report::collect::Involved;
use crate::report::describe::{exact_moment, moment, shortened};

const LEFT: f64 = 100.0;
const RIGHT: f64 = 20.0;
const ROW_HEIGHT: f64 = 40.0;
const BAR_HEIGHT: f64 = 12.0;
const AXIS: f64 = 26.0;
const TEXT_SIZE: f64 = 12.0;

/// Characters of an operation's name in the picture; the table has all of it.
const NAME_LENGTH: usize = 60;

/// A bar in its place.
struct Bar {
    class: &'static str,
    from: f64,
    to: f64,
    name: String,
    name_at: f64,
}

/// A lane with bars that leave each other room.
struct Row {
    process: u32,
    bars: Vec<Bar>,
    taken: f64,
}

/// The picture of some operations.
pub fn picture(view: &View, involved: &[&Involved]) -> Markup {
    let axis = Axis::of(involved);
    let rows = rows(view, involved, &axis);
    let bottom = rows.len() as f64 * ROW_HEIGHT + 6.0;
    let label = format!(
        "Timeline of {} operations by process; the table below lists them.",
        involved.len()
    );
    html! {
        div.scroll {
            svg viewBox=(format!("0 0 {WIDTH} {:.0}", bottom + AXIS)) role="img" aria-label=(label) {
                @for (x, _) in &axis.places { path.lane d=(format!("M{x:.1} 0V{bottom}")) {} }
                @for (position, row) in rows.iter().enumerate() { (lane(row, position as f64 * ROW_HEIGHT)) }
                path.axis d=(format!("M{LEFT} {bottom}H{}", WIDTH - RIGHT)) {}
                (axis.labels(bottom))
            }
        }
    }
}

fn rows(view: &View, involved: &[&Involved], axis: &Axis) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for op in involved {
        let process = op.invoke.process;
        let (bar, width) = bar(view, op, axis);
        let (start, end) = (
            bar.from.min(bar.name_at),
            bar.to.max(bar.name_at + width) + 10.0,
        );
        match rows
            .iter_mut()
            .find(|row| row.process == process && row.taken <= start)
        {
            Some(row) => {
                row.taken = end;
                row.bars.push(bar);
            }
            None => rows.push(Row {
                process,
                bars: vec![bar],
                taken: end,
            }),
        }
    }
    // A process that needed a second lane has it below its first.
    let order: Vec<u32> = rows.iter().map(|row| row.process).collect();
    rows.sort_by_key(|row| order.iter().position(|process| *process == row.process));
    rows
}

/// An operation's bar, and how wide its name is.
fn bar(view: &View, op: &Involved, axis: &Axis) -> (Bar, f64) {
    let from = axis.at(op.invoke.time_ns);
    let (class, to, outcome) = match &op.completion {
        Some(done) if done.kind == Kind::Ok => ("op-ok", axis.at(done.time_ns), ""),
        Some(done) if done.kind == Kind::Fail => ("op-fail", axis.at(done.time_ns), " (fail)"),
        // What has no certain end may take effect at any later moment.
        Some(_) => ("op-info", WIDTH - RIGHT, " (info)"),
        None => ("op-info", WIDTH - RIGHT, " (no answer)"),
    };
    let node = op.invoke.node.map_or_else(String::new, |node| {
        format!("{}: ", view.run.node_name(node))
    });
    let name = format!("{node}{}{outcome}", shortened(&what(op), NAME_LENGTH));
    let width = text_width(&name, TEXT_SIZE);
    let name_at = from.min(WIDTH - RIGHT - width).max(LEFT);
    (
        Bar {
            class,
            from,
            to: to.max(from + 3.0),
            name,
            name_at,
        },
        width,
    )
}

fn lane(row: &Row, top: f64) -> Markup {
    let middle = top + 26.0;
    html! {
        path.lane d=(format!("M{LEFT} {middle}H{}", WIDTH - RIGHT)) {}
        text.tick x="0" y=(middle + 4.0) { "process " (row.process) }
        @for bar in &row.bars {
            rect.(bar.class) x=(format!("{:.1}", bar.from)) y=(middle - BAR_HEIGHT / 2.0) rx="2"
                width=(format!("{:.1}", bar.to - bar.from)) height=(BAR_HEIGHT) {}
            text.op-name x=(format!("{:.1}", bar.name_at)) y=(middle - 11.5) { (bar.name) }
        }
    }
}

/// Moments to places: the order is kept, distances are squeezed.
struct Axis {
    /// Place and moment of each beginning and end.
    places: Vec<(f64, u64)>,
    by_time: BTreeMap<u64, f64>,
}

impl Axis {
    fn of(involved: &[&Involved]) -> Self {
        let ends = involved
            .iter()
            .filter_map(|one| one.completion.as_ref())
            .map(|done| done.time_ns);
        let mut moments: Vec<u64> = involved
            .iter()
            .map(|one| one.invoke.time_ns)
            .chain(ends)
            .collect();
        moments.sort_unstable();
        moments.dedup();
        let gaps: Vec<u64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let least = gaps.iter().copied().min().unwrap_or(1).max(1);
        // Each gap is at least one unit wide, and one more for each tenfold of the least.
        let weight = |gap: u64| 1.0 + (gap as f64 / least as f64).log10();
        let all: f64 = gaps.iter().map(|gap| weight(*gap)).sum();
        // Room on the right for what never ended.
        let width = WIDTH - RIGHT - LEFT - 60.0;
        let mut x = LEFT + 8.0;
        let mut places = Vec::with_capacity(moments.len());
        for (position, moment) in moments.iter().enumerate() {
            if position > 0 {
                x += width * weight(gaps[position - 1]) / all;
            }
            places.push((x, *moment));
        }
        let by_time = places.iter().map(|(x, moment)| (*moment, *x)).collect();
        Axis { places, by_time }
    }

    fn at(&self, time_ns: u64) -> f64 {
        self.by_time.get(&time_ns).copied().unwrap_or(LEFT)
    }

    /// Times under the places, as many as fit, exact where a millisecond is too coarse.
    fn labels(&self, y: f64) -> Markup {
        let exact = self
            .places
            .windows(2)
            .any(|pair| pair[1].1 - pair[0].1 < 1_000_000);
        let mut free = 0.0;
        let mut shown = Vec::new();
        for (x, time) in &self.places {
            let text = if exact {
                exact_moment(*time)
            } else {
                moment(*time)
            };
            let half = text_width(&text, 11.0) / 2.0;
            if x - half >= free {
                free = x + half + 6.0;
                shown.push((*x, text));
            }
        }
        html! {
            text.tick x="0" y=(y + 18.0) { "not to scale" }
            @for (x, text) in shown {
                path.axis d=(format!("M{x:.1} {y}v5")) {}
                text.tick x=(format!("{x:.1}")) y=(y + 18.0) text-anchor="middle" { (text) }
            }
        }
    }
}
