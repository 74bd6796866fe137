//! Operations in lanes, by the process that did them. Time goes to the right, an event a column: how
//! long nothing happened says nothing.

use std::collections::BTreeMap;

use super::scene::{Drawn, End, Scene, shortened};
use super::svg::{CHARACTER, FAINT, INK, LINE, Svg, width};
use crate::certificate::{Certificate, Proof};

const LEFT: i32 = 12;
const BAR: i32 = 22;
const ROW: i32 = 30;
const GAP: i32 = 14;
/// Characters in a bar.
const TOLD: usize = 40;

const FIRST: &str = "#f6b8a8";
const SECOND: &str = "#a9cdf2";
const PLAIN: &str = "#eef1f4";

pub(super) fn draw(certificate: &Certificate, scene: &Scene, left_out: usize) -> String {
    let mut svg = Svg::default();
    let part = certificate.parts.first();
    let proof = part.and_then(|part| part.proof.as_ref());
    let key = part.and_then(|part| part.key.as_deref());
    let title = format!(
        "not linearizable: {}{}",
        certificate.model,
        key.map(|key| format!(", key {key}")).unwrap_or_default()
    );
    let mut top = LEFT + LINE;
    svg.text(LEFT, top, &title, INK, true);
    for line in proof.map(why).unwrap_or_default() {
        top += LINE;
        svg.text(LEFT, top, &line, INK, false);
    }
    if left_out > 0 {
        top += LINE;
        svg.text(
            LEFT,
            top,
            &format!("{left_out} more operations are not drawn"),
            FAINT,
            false,
        );
    }
    top += LINE;
    let columns = Columns::new(scene);
    let mut rows = Rows::default();
    for (&place, drawn) in scene {
        rows.place(place, drawn);
    }
    let mut tops: BTreeMap<(i64, usize), i32> = BTreeMap::new();
    for (process, row) in rows.ends.keys() {
        tops.insert((*process, *row), top);
        if *row == 0 {
            svg.text(LEFT, top + 15, &format!("process {process}"), FAINT, false);
        }
        top += ROW;
    }
    for (place, column) in marks(proof, scene) {
        if let Some(&x) = columns.at.get(&column) {
            let y = tops[&rows.of[&place]];
            svg.line(&[[x, y], [x, top]], FAINT, true);
        }
    }
    for (&place, drawn) in scene {
        bar(
            &mut svg,
            &columns,
            (place, drawn),
            tops[&rows.of[&place]],
            colour(proof, place),
        );
    }
    svg.text(
        LEFT,
        top + LINE,
        "time, an event a column; entries of the history below",
        FAINT,
        false,
    );
    let mut free = 0;
    for (&event, &x) in &columns.at {
        let told = event.to_string();
        if x >= free {
            svg.text(x, top + 2 * LINE, &told, FAINT, false);
            free = x + width(&told) + CHARACTER;
        }
    }
    svg.finish(&title)
}

fn bar(svg: &mut Svg, columns: &Columns, (place, drawn): (u64, &Drawn), y: i32, fill: &str) {
    let x = columns.at[&place];
    let end = match drawn.end {
        End::Ok(end) | End::Failed(end) => columns.at[&end],
        End::Open => columns.end,
    };
    let all = format!("process {}, entry {place}: {}", drawn.process, whole(drawn));
    svg.operation(place, [x, y, end - x, BAR], fill, &all);
    svg.text(x + CHARACTER, y + 15, &told(drawn), INK, false);
    if drawn.end == End::Open {
        // Its end is torn: nobody saw it.
        let steps = (0..=4).map(|at| [end + if at % 2 == 0 { 0 } else { 5 }, y + at * BAR / 4]);
        svg.line(&steps.collect::<Vec<_>>(), INK, false);
    }
}

fn whole(drawn: &Drawn) -> String {
    match &drawn.answer {
        Some(answer) => format!("{} → {answer}", drawn.call),
        None => format!("{} → ?", drawn.call),
    }
}

fn told(drawn: &Drawn) -> String {
    shortened(&whole(drawn), TOLD)
}

/// Where each event stands: each operation is as wide as what is told of it.
struct Columns {
    at: BTreeMap<u64, i32>,
    /// Where operations without an end are drawn to.
    end: i32,
}

impl Columns {
    fn new(scene: &Scene) -> Columns {
        let mut begun: BTreeMap<u64, Option<u64>> = BTreeMap::new();
        for (&place, drawn) in scene {
            begun.insert(place, None);
            if let End::Ok(end) | End::Failed(end) = drawn.end {
                begun.insert(end, Some(place));
            }
        }
        let processes = scene
            .values()
            .map(|drawn| width(&format!("process {}", drawn.process)));
        let mut x = LEFT + processes.max().unwrap_or(0) + GAP;
        let mut columns = Columns {
            at: BTreeMap::new(),
            end: 0,
        };
        let room = |place: &u64| width(&told(&scene[place])) + 2 * CHARACTER;
        for (event, invoked) in begun {
            if let Some(place) = invoked {
                x = x.max(columns.at[&place] + room(&place));
            }
            columns.at.insert(event, x);
            x += GAP;
        }
        let open = scene.iter().filter(|(_, drawn)| drawn.end == End::Open);
        let needed = open.map(|(place, _)| columns.at[place] + room(place)).max();
        columns.end = x.max(needed.unwrap_or(0)) + GAP;
        columns
    }
}

/// Rows of a process: one, unless it goes on after an operation without an end.
#[derive(Default)]
struct Rows {
    of: BTreeMap<u64, (i64, usize)>,
    /// Where the last operation in a row ends.
    ends: BTreeMap<(i64, usize), u64>,
}

impl Rows {
    fn place(&mut self, place: u64, drawn: &Drawn) {
        let mut row = 0;
        while self
            .ends
            .get(&(drawn.process, row))
            .is_some_and(|&end| end > place)
        {
            row += 1;
        }
        let end = match drawn.end {
            End::Ok(end) | End::Failed(end) => end,
            End::Open => u64::MAX,
        };
        self.ends.insert((drawn.process, row), end);
        self.of.insert(place, (drawn.process, row));
    }
}

fn why(proof: &Proof) -> Vec<String> {
    let told = match proof.pattern.as_str() {
        "thin-air" => &["the red operation saw what nobody can have put"][..],
        "replaced-twice" => &["the red and the blue operation both replaced the same value"],
        "circle" => &["each of these saw what the one before it put, round and round"],
        "backwards" => &[
            "the values say that the red operation comes before the blue one,",
            "but the blue one had completed before the red one began",
        ],
        "crossed" => &[
            "the values tie the red operations together, and the blue ones, with nothing between;",
            "but a red one completed before a blue one began, and a blue one before a red one",
        ],
        "taken-twice" => &["both took what was put in once"],
        "overtaken" => &["what was put in first was not taken first"],
        "never-free" => &["at every moment of the red operation something was surely there"],
        "twice" => &["the red operation saw something twice"],
        "apart" => &["the red and the blue operation each saw something that the other did not"],
        "no-multiple" | "out-of-bounds" => &["no choice of the additions gives what was read"],
        "crowded" => &["too few of the other kind stand between these"],
        "search" => &["no order of these operations lets the red one come back as it did"],
        _ => &["no order explains these operations"],
    };
    told.iter().map(|&line| line.to_owned()).collect()
}

/// The two blocks, or the operation that cannot return.
fn colour(proof: Option<&Proof>, place: u64) -> &'static str {
    let Some(proof) = proof else { return PLAIN };
    let at = proof.ops.iter().position(|&op| op == Some(place));
    match (proof.pattern.as_str(), at) {
        ("crossed", Some(0 | 3)) | (_, Some(0)) => FIRST,
        ("crossed", Some(1 | 2)) => SECOND,
        ("backwards" | "replaced-twice" | "taken-twice" | "apart" | "overtaken", Some(1)) => SECOND,
        ("circle", Some(at)) => [FIRST, SECOND][at % 2],
        _ => PLAIN,
    }
}

/// Completions before which, and beginnings behind which, nothing else can stand.
fn marks(proof: Option<&Proof>, scene: &Scene) -> Vec<(u64, u64)> {
    let Some(proof) = proof else {
        return Vec::new();
    };
    let completes = |nth: usize| {
        let place = proof.ops.get(nth).copied().flatten()?;
        match scene.get(&place)?.end {
            End::Ok(end) => Some((place, end)),
            End::Failed(_) | End::Open => None,
        }
    };
    let nths: &[usize] = match proof.pattern.as_str() {
        "crossed" => &[0, 2],
        "backwards" => &[1],
        "search" => &[0],
        _ => &[],
    };
    nths.iter().filter_map(|&nth| completes(nth)).collect()
}
