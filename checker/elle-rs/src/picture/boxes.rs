//! Transactions as boxes, one below the other: round a cycle, with the reason of each step between
//! them and the last one leading back to the first; or those that show an anomaly.

use super::scene::{Drawn, End, Scene, shortened};
use super::svg::{CHARACTER, FAINT, INK, LINE, Svg, width};
use crate::certificate::{Certificate, Hop};

const LEFT: i32 = 12;
/// Between two boxes.
const BETWEEN: i32 = 44;
/// Steps told of one transaction, and characters of each.
const STEPS: usize = 12;
const TOLD: usize = 72;

const FILL: &str = "#f3f6fa";
const SHOWN: &str = "#fdf0ec";
const DATA: &str = "#b4321b";
const TIME: &str = "#2b5fa3";

pub(super) fn draw(certificate: &Certificate, scene: &Scene, left_out: usize) -> String {
    let mut svg = Svg::default();
    let anomaly = certificate.anomaly.as_deref().unwrap_or("an anomaly");
    let level = certificate.level.as_deref().unwrap_or("");
    let title = format!("not {level}: {anomaly} ({})", certificate.model);
    let mut y = LEFT + LINE;
    svg.text(LEFT, y, &title, INK, true);
    if left_out > 0 {
        y += LINE;
        svg.text(
            LEFT,
            y,
            &format!("{left_out} more transactions are not drawn"),
            FAINT,
            false,
        );
    }
    y += LINE;
    match (&certificate.cycle, &certificate.shows) {
        (Some(cycle), _) => round(&mut svg, scene, cycle, y),
        (None, Some(shows)) => {
            svg.text(LEFT, y, &seen(anomaly, &shows.values), INK, false);
            y += LINE;
            let keys: Vec<i64> = match anomaly {
                "long-fork" => shows.values.clone(),
                _ => shows.key.into_iter().collect(),
            };
            for (nth, place) in shows.ops.iter().enumerate() {
                // One operation may have two roles.
                if shows.ops[..nth].contains(place) {
                    continue;
                }
                let name = role(anomaly, nth, shows.ops.len());
                let content = content(*place, &scene[place], &name, &keys);
                y = boxed(&mut svg, (*place, &scene[place]), &content, y, SHOWN).1 + LINE;
            }
        }
        (None, None) => {}
    }
    svg.finish(&title)
}

fn round(svg: &mut Svg, scene: &Scene, cycle: &[Hop], mut y: i32) {
    let count = cycle.len();
    let mut edges: Vec<[i32; 3]> = Vec::new();
    let mut right = 0;
    let drawn = cycle
        .iter()
        .take_while(|hop| scene.contains_key(&hop.before));
    for (at, hop) in drawn.enumerate() {
        let before = &cycle[(at + count - 1) % count];
        let keys: Vec<i64> = before.key.into_iter().chain(hop.key).collect();
        let place = hop.before;
        let name = format!("T{}", at + 1);
        let content = content(place, &scene[&place], &name, &keys);
        let (end, bottom) = boxed(svg, (place, &scene[&place]), &content, y, FILL);
        edges.push([y, bottom, end]);
        right = right.max(end);
        if at + 1 < count {
            let ink = ink(hop);
            svg.line(
                &[[LEFT + 40, bottom], [LEFT + 40, bottom + BETWEEN]],
                ink,
                false,
            );
            svg.head([LEFT + 40, bottom + BETWEEN], [0, 1], ink);
            svg.text(
                LEFT + 54,
                bottom + BETWEEN / 2 + 4,
                &reason(hop),
                ink,
                false,
            );
            right = right.max(LEFT + 54 + width(&reason(hop)));
        }
        y = bottom + BETWEEN;
    }
    let (Some([first, _, end]), Some(&[_, bottom, _]), Some(hop)) =
        (edges.first(), edges.last(), cycle.last())
    else {
        return;
    };
    // The way back runs beside everything else.
    let (x, to, ink) = (right + 30, first + LINE, ink(hop));
    svg.line(
        &[
            [LEFT + 60, bottom],
            [LEFT + 60, bottom + 14],
            [x, bottom + 14],
        ],
        ink,
        false,
    );
    svg.line(&[[x, bottom + 14], [x, to], [*end, to]], ink, false);
    svg.head([*end, to], [-1, 0], ink);
    svg.text(x + CHARACTER, (to + bottom) / 2, &reason(hop), ink, false);
}

/// The lines of a box, each with whether it is about the keys that matter.
type Content = Vec<(String, bool)>;

fn content(place: u64, drawn: &Drawn, name: &str, keys: &[i64]) -> Content {
    let until = match drawn.end {
        End::Ok(end) => format!("entries {place} to {end}"),
        End::Failed(end) => format!("entries {place} to {end}, failed"),
        End::Open => format!("from entry {place} on, never answered"),
    };
    let mut lines = vec![(format!("{name}: process {}, {until}", drawn.process), true)];
    let matters = |key: Option<i64>| key.is_some_and(|key| keys.contains(&key));
    let any = drawn.steps.iter().any(|step| matters(step.key));
    let told = drawn.steps.iter().filter(|step| !any || matters(step.key));
    for step in told.take(STEPS) {
        lines.push((shortened(&step.told, TOLD), false));
    }
    if drawn.steps.is_empty() {
        let answer = drawn.answer.as_deref().unwrap_or("?");
        lines.push((
            shortened(&format!("{} → {answer}", drawn.call), TOLD),
            false,
        ));
    }
    let left_out = drawn.steps.len().saturating_sub(lines.len() - 1);
    if left_out > 0 && !drawn.steps.is_empty() {
        lines.push((format!("… and {left_out} more"), false));
    }
    lines
}

/// Draws a box; where it ends, to the right and below.
fn boxed(
    svg: &mut Svg,
    (place, drawn): (u64, &Drawn),
    lines: &Content,
    y: i32,
    fill: &str,
) -> (i32, i32) {
    let widest = lines.iter().map(|(line, _)| width(line)).max().unwrap_or(0);
    let (w, h) = (widest + 2 * CHARACTER, LINE * lines.len() as i32 + 8);
    let steps: Vec<&str> = drawn.steps.iter().map(|step| step.told.as_str()).collect();
    svg.operation(place, [LEFT, y, w, h], fill, &steps.join(" "));
    for (nth, (line, bold)) in lines.iter().enumerate() {
        let base = y + LINE * (nth as i32 + 1);
        svg.text(LEFT + CHARACTER, base, line, INK, *bold);
    }
    (LEFT + w, y + h)
}

fn ink(hop: &Hop) -> &'static str {
    match hop.kind.as_str() {
        "process" | "realtime" => TIME,
        _ => DATA,
    }
}

/// A number, or a word: these have numbers that no history has.
fn number(value: i64) -> String {
    match value.checked_sub(i64::MIN) {
        Some(nth) if nth < 1 << 32 => format!("word #{nth}"),
        _ => value.to_string(),
    }
}

/// Why one transaction of a cycle comes before the next.
fn reason(hop: &Hop) -> String {
    let told = |value: Option<i64>| value.map_or_else(|| "nothing".to_owned(), number);
    let (value, next) = (told(hop.value), told(hop.next));
    let key = told(hop.key);
    let rule = match hop.rule.as_deref() {
        None | Some("read") => String::new(),
        Some(rule) => format!(" ({rule})"),
    };
    match hop.kind.as_str() {
        "wr" => format!("wr: its write of {value} to key {key} was read"),
        "ww" => format!("ww: wrote {value} to key {key}, then {next} was written{rule}"),
        "rw" => format!("rw: read key {key} as of {value}, and missed {next}{rule}"),
        "process" => "process: one process did them in this order".to_owned(),
        _ => format!("realtime: entry {} came after this was complete", hop.after),
    }
}

/// What an anomaly's values say.
fn seen(anomaly: &str, values: &[i64]) -> String {
    let value = |at: usize| {
        values
            .get(at)
            .map_or_else(String::new, |&value| number(value))
    };
    let (first, second) = (value(0), value(1));
    match anomaly {
        "internal" => "what it read contradicts what it did or read itself".to_owned(),
        "thin-air" => format!("{first} was read, and nobody ever wrote it"),
        "G1a" => format!("{first} was read, and whoever wrote it failed"),
        "G1b" => format!("{first} was read, though its writer had replaced it by {second}"),
        "dirty-update" => format!("{second} was written over {first}, whose writer failed"),
        "lost-update" => "both read alike and wrote: one did not see the other".to_owned(),
        "cyclic-versions" => "each overwrote what another of them had written".to_owned(),
        "duplicate-elements" => format!("{first} stands in the list more than once"),
        "incompatible-order" if values.is_empty() => {
            "neither list begins with the other".to_owned()
        }
        "incompatible-order" => format!("{first} was appended before {second}, and read behind it"),
        "lost-append" => format!("{first} and {second} were appended, and only {second} read"),
        "future-read" => format!("{first} was read by the one that wrote it, as another's"),
        "long-fork" => {
            format!("one saw key {first} written and key {second} not, one the opposite")
        }
        "wrong-total" => "the totals differ".to_owned(),
        "negative-balance" => "a balance is below zero".to_owned(),
        other => other.to_owned(),
    }
}

fn role(anomaly: &str, nth: usize, count: usize) -> String {
    let roles: [&str; 2] = match anomaly {
        "G1a" | "G1b" | "lost-append" => ["writer", "reader"],
        "dirty-update" => ["failed", "next"],
        _ => ["first", "second"],
    };
    match roles.get(nth) {
        Some(role) if count == 2 => (*role).to_owned(),
        _ if count > 2 => format!("T{}", nth + 1),
        _ => "here".to_owned(),
    }
}
