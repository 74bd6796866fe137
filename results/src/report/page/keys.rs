//! Keys over time: a lane for each node with its processes, what its sidecar said, and what it
//! refused or halted at, below the faults, on one time axis.

use maud::{Markup, html};

use super::View;
use super::chart::{self, Scale, WIDTH, text_width};
use super::faults::Lane;
use crate::evidence::{EvidenceIndex, Load, NodeCopy, SidecarState};
use crate::report::describe::{moment, shortened};

const LEFT: f64 = 58.0;
const RIGHT: f64 = 22.0;
const LANE: f64 = 56.0;
const BAR: f64 = 16.0;
/// Where the two bars of a lane begin.
const PROCESS: f64 = 6.0;
const SIDECAR: f64 = 28.0;
const AXIS: f64 = 24.0;
const TEXT: f64 = 11.0;
/// Lines of the table; a run of hours has thousands of starts.
const EVENTS_SHOWN: usize = 400;
const TEXT_LENGTH: usize = 300;

/// Something that happened to a node's keys or processes.
struct Happened {
    time_ns: u64,
    node: String,
    what: String,
    /// A refusal or a halt.
    is_stop: bool,
}

/// The picture and its table; nothing where no evidence was collected.
pub fn section(view: &View) -> Markup {
    let Some(evidence) = view.evidence.filter(|evidence| !evidence.loads.is_empty()) else {
        return html! {};
    };
    let events = happened(view, evidence);
    html! {
        section aria-labelledby="keys" {
            h2 id="keys" { "Keys over time" }
            figure {
                figcaption {
                    span.soft {
                        "A lane for each node: above, the processes that it ran as, with release and flags; below, what "
                        "its sidecar said. Lines across the lower bar: the sidecar changed. ✗: it refused to start, or halted. "
                        "Ticks at the foot: its files were copied (" (evidence.collections.len()) " collections, "
                        (evidence.bytes / 1_000_000) " MB), and it stood still for as long as they are wide "
                        "(" (still(longest_still(evidence))) " at the longest)."
                    }
                }
                ul.legend {
                    @for (class, name) in [
                        ("key-none", "no keys"), ("key-first", "keys, in the clear"),
                        ("key-storage", "values encrypted"), ("key-raft", "log encrypted too"),
                    ] { li { (swatch(class)) (name) } }
                }
                div.scroll { (picture(view, evidence, &events)) }
                details {
                    summary { "What happened, in words" }
                    div.scroll { (table(&events)) }
                }
                @if !evidence.lost.is_empty() {
                    p { "Not collected: " (evidence.lost.join("; ")) }
                }
            }
        }
    }
}

fn swatch(class: &str) -> Markup {
    html! { svg viewBox="0 0 22 12" aria-hidden="true" { rect.(class) x="4" y="0" width="14" height="12" {} } }
}

fn picture(view: &View, evidence: &EvidenceIndex, events: &[Happened]) -> Markup {
    let seconds = (view.collected.end_ns as f64 / 1e9).max(1.0);
    let time = Scale::new(0.0, seconds, LEFT, WIDTH - RIGHT);
    let faults = Lane::new(view, &time, LEFT, WIDTH - RIGHT);
    let top = faults.height() + 6.0;
    let nodes = nodes(evidence);
    let bottom = top + nodes.len() as f64 * LANE;
    let name = format!(
        "Releases, sidecars and refusals of {} nodes over {}; the table below has them in words.",
        nodes.len(),
        chart::clock(seconds)
    );
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {:.0}", bottom + AXIS)) role="img" aria-label=(name) {
            (faults.draw(top, bottom))
            @for (position, node) in nodes.iter().enumerate() {
                (lane(evidence, node, &time, top + position as f64 * LANE, view.collected.end_ns, events))
            }
            path.axis d=(format!("M{LEFT} {bottom}H{}", WIDTH - RIGHT)) {}
            @for tick in chart::time_ticks(seconds) {
                @let x = format!("{:.1}", time.at(tick));
                path.axis d=(format!("M{x} {bottom}v5")) {}
                text.tick x=(x) y=(bottom + 18.0) text-anchor="middle" { (chart::clock(tick)) }
            }
        }
    }
}

/// The nodes that ran, in order.
fn nodes(evidence: &EvidenceIndex) -> Vec<&str> {
    let mut nodes: Vec<&str> = evidence.loads.iter().map(|load| &*load.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

fn lane(
    evidence: &EvidenceIndex,
    node: &str,
    time: &Scale,
    top: f64,
    end_ns: u64,
    events: &[Happened],
) -> Markup {
    let at = |ns: u64| time.at(ns as f64 / 1e9);
    let loads = evidence.loads.iter().filter(|load| load.node == node);
    let states: Vec<_> = evidence
        .sidecars
        .iter()
        .filter(|state| state.node == node)
        .collect();
    let ends = states
        .iter()
        .skip(1)
        .map(|state| state.time_ns)
        .chain([end_ns]);
    let copies = evidence.collections.iter().filter_map(|collection| {
        let copy = collection.nodes.iter().find(|copy| copy.node == node)?;
        Some((copy, collection.why.as_str()))
    });
    let stops = events
        .iter()
        .filter(|event| event.is_stop && event.node == node);
    html! {
        text.tick x=(LEFT - 10.0) y=(top + 30.0) text-anchor="end" { (node) }
        path.lane d=(format!("M{LEFT} {}H{}", top + LANE, WIDTH - RIGHT)) {}
        @for load in loads {
            (bar("load", &words(load), &words(load), at(load.begun_ns), at(load.ended_ns.unwrap_or(end_ns)), top + PROCESS))
        }
        @for (state, until) in states.iter().zip(ends) {
            @let (class, name) = phase(state);
            (bar(class, name, &said(state), at(state.time_ns), at(until), top + SIDECAR))
        }
        @for state in states.iter().skip(1) {
            path.key-change d=(format!("M{:.1} {}v{}", at(state.time_ns), top + SIDECAR - 3.0, BAR + 6.0)) {}
        }
        @for (copy, why) in copies {
            @let (from, to) = (at(copy.time_ns), at(copy.time_ns + copy.stopped_ns));
            path.copied d=(format!("M{from:.1} {}v4h{:.1}v-4", top + LANE - 5.0, to - from)) {
                title { (copied(copy, why)) }
            }
        }
        @for stop in stops {
            text.stop x=(format!("{:.1}", at(stop.time_ns))) y=(top + PROCESS + 13.0) text-anchor="middle" {
                title { (stop.what) } "✗"
            }
        }
    }
}

/// A bar with its name in it, where that fits.
fn bar(class: &str, name: &str, full: &str, from: f64, to: f64, y: f64) -> Markup {
    let width = (to - from).max(1.5);
    let shorter = name.split(',').next().unwrap_or_default();
    let shown = [name, shorter]
        .into_iter()
        .find(|text| text_width(text, TEXT) + 8.0 <= width);
    html! {
        g {
            title { (full) }
            rect.(class) x=(format!("{from:.1}")) y=(y) width=(format!("{width:.1}")) height=(BAR) {}
            @if let Some(text) = shown {
                text.bar-name x=(format!("{:.1}", from + 4.0)) y=(y + 12.0) { (text) }
            }
        }
    }
}

/// How a node's files were copied, and what that did to it.
fn copied(copy: &NodeCopy, why: &str) -> String {
    match copy.stopped_ns {
        0 => format!("its files were copied ({why}): {}", copy.stood),
        ns => format!(
            "stood still for {} while its files were copied ({why})",
            still(ns)
        ),
    }
}

/// A time for which a node was stopped.
fn still(ns: u64) -> String {
    format!("{:.1} ms", ns as f64 / 1e6)
}

fn longest_still(evidence: &EvidenceIndex) -> u64 {
    let copies = evidence.collections.iter().flat_map(|one| &one.nodes);
    copies.map(|copy| copy.stopped_ns).max().unwrap_or_default()
}

fn words(load: &Load) -> String {
    match load.flags.as_str() {
        "" => load.release.clone(),
        flags => format!("{}, {flags}", load.release),
    }
}

fn phase(state: &SidecarState) -> (&'static str, &'static str) {
    match state {
        _ if state.file.is_none() => ("key-none", "no sidecar"),
        _ if state.raft_cutover > 0 => ("key-raft", "log encrypted"),
        _ if state.storage_on => ("key-storage", "values encrypted"),
        _ if state.active != (0, 0) => ("key-first", "keys"),
        _ => ("key-none", "no keys"),
    }
}

fn said(state: &SidecarState) -> String {
    if state.file.is_none() {
        return "no sidecar".to_owned();
    }
    let (storage, raft) = state.active;
    let mut parts = vec![format!(
        "storage key {storage} at epoch {}, raft key {raft}",
        state.epoch
    )];
    if state.storage_on {
        parts.push("values encrypted".to_owned());
    }
    if state.raft_cutover > 0 {
        parts.push(format!("raft cutover at {}", state.raft_cutover));
    }
    parts.join(", ")
}

/// Everything in the order of time.
fn happened(view: &View, evidence: &EvidenceIndex) -> Vec<Happened> {
    let mut all = Vec::new();
    let mut add = |time_ns, node: &str, what: String, is_stop| {
        all.push(Happened {
            time_ns,
            node: node.to_owned(),
            what,
            is_stop,
        });
    };
    for load in &evidence.loads {
        let begun = format!("began as {} (pid {})", words(load), load.pid);
        add(load.begun_ns, &load.node, begun, false);
        if let Some(ended) = load.ended_ns {
            let ending = load.ending.as_deref().unwrap_or("ended");
            add(ended, &load.node, ending.to_owned(), false);
        }
    }
    for state in &evidence.sidecars {
        let what = format!("sidecar: {}", said(state));
        add(state.time_ns, &state.node, what, false);
    }
    for collection in &evidence.collections {
        for copy in collection.nodes.iter().filter(|copy| copy.stopped_ns > 0) {
            add(
                copy.time_ns,
                &copy.node,
                copied(copy, &collection.why),
                false,
            );
        }
    }
    for outcome in view.collected.faults.iter().flat_map(|life| &life.outcomes) {
        let stops = ["refused", "halts"]
            .iter()
            .any(|word| outcome.observed.starts_with(word));
        let Some(node) = outcome.node.filter(|_| stops) else {
            continue;
        };
        let what = format!("{}: {}", outcome.observed, outcome.evidence);
        let what = shortened(&what, TEXT_LENGTH);
        add(outcome.time_ns, &view.run.node_name(node), what, true);
    }
    all.sort_by_key(|event| event.time_ns);
    all
}

fn table(events: &[Happened]) -> Markup {
    html! {
        table {
            thead { tr {
                th.num scope="col" { "When" } th scope="col" { "Node" } th scope="col" { "What" }
            } }
            tbody {
                @for event in events.iter().take(EVENTS_SHOWN) {
                    tr {
                        td.num { (moment(event.time_ns)) }
                        td { (event.node) }
                        td.wrap { @if event.is_stop { "✗ " } (event.what) }
                    }
                }
            }
        }
        @if let Some(hidden @ 1..) = events.len().checked_sub(EVENTS_SHOWN) {
            p.soft { "And " (hidden) " more in evidence/evidence.json." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stood_still_is_told_and_for_how_long() {
        let copy = |stood: &str, stopped_ns| NodeCopy {
            node: "n1".to_owned(),
            folder: String::new(),
            raft_id: "n1".to_owned(),
            time_ns: 5,
            stood: stood.to_owned(),
            stopped_ns,
            pid: None,
        };
        assert_eq!(
            copied(&copy("stopped", 12_340_000), "after fault 3 (kill)"),
            "stood still for 12.3 ms while its files were copied (after fault 3 (kill))"
        );
        assert_eq!(
            copied(&copy("down", 0), "n1 went down"),
            "its files were copied (n1 went down): down"
        );
    }
}
