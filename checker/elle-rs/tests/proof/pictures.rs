//! Pictures of counterexamples: well-formed, everything within, nothing over another, and every
//! operation of the counterexample there.

use elle_rs::certificate::Certificate;
use elle_rs::levels::Level;
use elle_rs::linear::{self, ModelName, Options};
use elle_rs::picture::{PictureError, draw};
use elle_rs::transactions::Model;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use roxmltree::{Document, Node};

use crate::list_store::Store;
use crate::lists::{damage, drawn, edn};
use crate::{reader, verified};

/// From the left and the top to the right and the bottom.
type Area = [i32; 4];

fn number(node: Node<'_, '_>, name: &str) -> i32 {
    let text = node.attribute(name).unwrap_or("0");
    text.parse().unwrap_or_else(|_| panic!("{name} is {text}"))
}

fn overlap(a: Area, b: Area) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

fn within(a: Area, b: Area) -> bool {
    a[0] >= b[0] && a[1] >= b[1] && a[2] <= b[2] && a[3] <= b[3]
}

/// Keeps a picture for people to look at, if `KEYQUAKE_PICTURES` names a folder; the last of its kind.
fn keep(picture: &str, certificate: &Certificate) {
    let Some(folder) = std::env::var_os("KEYQUAKE_PICTURES") else {
        return;
    };
    let proof = certificate
        .parts
        .first()
        .and_then(|part| part.proof.as_ref());
    let pattern = proof.map(|proof| proof.pattern.as_str());
    let name = certificate.anomaly.as_deref().or(pattern).unwrap_or("some");
    let size = certificate.counterexample().len();
    let path = std::path::Path::new(&folder).join(format!("{name}-{size}.svg"));
    std::fs::write(path, picture).unwrap();
}

/// Looks at a picture as a reader would.
fn looked_at(picture: &str, certificate: &Certificate) {
    keep(picture, certificate);
    let document = Document::parse(picture).unwrap_or_else(|error| panic!("{error}\n{picture}"));
    let root = document.root_element();
    let view: Vec<i32> = root
        .attribute("viewBox")
        .unwrap()
        .split(' ')
        .map(|n| n.parse().unwrap())
        .collect();
    let view: Area = [view[0], view[1], view[2], view[3]];
    let mut operations: Vec<(String, Area)> = Vec::new();
    let mut texts: Vec<(String, Area)> = Vec::new();
    for node in root.descendants().filter(Node::is_element) {
        let (x, y) = (number(node, "x"), number(node, "y"));
        match node.tag_name().name() {
            "svg" | "title" => {}
            "rect" => {
                let area = [x, y, x + number(node, "width"), y + number(node, "height")];
                assert!(within(area, view), "{area:?} in {view:?}\n{picture}");
                operations.extend(node.attribute("id").map(|id| (id.to_owned(), area)));
            }
            "text" => {
                let text = node.text().unwrap().to_owned();
                let area = [x, y - 10, x + number(node, "textLength"), y + 3];
                assert!(within(area, view), "{text}: {area:?} in {view:?}");
                texts.push((text, area));
            }
            "polyline" | "polygon" => {
                for point in node.attribute("points").unwrap().split(' ') {
                    let (x, y) = point.split_once(',').unwrap();
                    let (x, y): (i32, i32) = (x.parse().unwrap(), y.parse().unwrap());
                    assert!(within([x, y, x, y], view), "{x},{y} in {view:?}\n{picture}");
                }
            }
            other => panic!("{other} in a picture"),
        }
    }
    for (at, (id, area)) in operations.iter().enumerate() {
        for (other, others) in &operations[at + 1..] {
            assert!(!overlap(*area, *others), "{id} over {other}\n{picture}");
        }
        for (text, place) in &texts {
            let apart = !overlap(*area, *place) || within(*place, *area);
            assert!(apart, "{text:?} leaves {id}\n{picture}");
        }
    }
    for (at, (text, area)) in texts.iter().enumerate() {
        for (other, others) in &texts[at + 1..] {
            assert!(
                !overlap(*area, *others),
                "{text:?} over {other:?}\n{picture}"
            );
        }
    }
    let mut drawn: Vec<u64> = operations
        .iter()
        .map(|(id, _)| id.strip_prefix("op-").unwrap().parse().unwrap())
        .collect();
    drawn.sort_unstable();
    assert_eq!(drawn, certificate.counterexample(), "{picture}");
}

/// Random operations on a register or a queue, most of which fit together by chance only.
fn operations(rng: &mut ChaCha8Rng, queue: bool) -> String {
    let mut text = String::new();
    let mut open: Vec<(u32, String)> = Vec::new();
    let mut next = 0;
    for process in 0..rng.random_range(3..12) {
        let reads = rng.random_bool(0.5);
        let name = match (queue, reads) {
            (true, true) => "dequeue",
            (true, false) => "enqueue",
            (false, true) => "read",
            (false, false) => "write",
        };
        next += u32::from(!reads);
        let asked = if reads {
            "nil".to_owned()
        } else {
            next.to_string()
        };
        text += &format!("{{:type :invoke, :process {process}, :f :{name}, :value {asked}}}\n");
        let seen = if reads {
            rng.random_range(0..=next + 1).to_string()
        } else {
            asked
        };
        let dice = rng.random_range(0..10);
        if dice > 0 {
            let kind = if dice == 1 { "info" } else { "ok" };
            open.push((
                process,
                format!(":type :{kind}, :process {process}, :f :{name}, :value {seen}"),
            ));
        }
        while open.len() > rng.random_range(0..4) {
            let (_, answer) = open.remove(rng.random_range(0..open.len()));
            text += &format!("{{{answer}}}\n");
        }
    }
    text
}

#[test]
fn of_operations() {
    let mut rng = ChaCha8Rng::seed_from_u64(41);
    let mut patterns = std::collections::BTreeMap::new();
    for round in 0..3_000 {
        let queue = round % 3 == 0;
        let text = operations(&mut rng, queue);
        let model = if queue {
            ModelName::FifoQueue
        } else {
            ModelName::CasRegister
        };
        let report = linear::check(reader(&text), &Options::new(model)).unwrap();
        let certificate = report.certificate().unwrap();
        let drawn = draw(&certificate, reader(&text));
        if certificate.verdict == "valid" {
            assert!(matches!(drawn, Err(PictureError::Nothing { .. })));
            continue;
        }
        let pattern = certificate.parts[0].proof.as_ref().unwrap().pattern.clone();
        *patterns.entry(pattern).or_insert(0) += 1;
        looked_at(&drawn.unwrap(), &certificate);
    }
    println!("{patterns:?}");
    assert!(patterns.len() >= 4, "{patterns:?}");
}

#[test]
fn of_transactions() {
    let mut rng = ChaCha8Rng::seed_from_u64(42);
    let (mut cycles, mut others) = (0, 0);
    for round in 0..600 {
        let store = *[Store::Serial, Store::Careless].choose(&mut rng).unwrap();
        let count = rng.random_range(2..25);
        let mut transactions = drawn(&mut rng, store, count);
        for _ in 0..round % 3 {
            damage(&mut rng, &mut transactions);
        }
        let text = edn(&transactions);
        for level in [Level::StrictSerializable, Level::ReadUncommitted] {
            let Some(certificate) = verified(&text, Model::ListAppend, level) else {
                continue;
            };
            if certificate.verdict == "violated" {
                looked_at(&draw(&certificate, reader(&text)).unwrap(), &certificate);
                cycles += u32::from(certificate.cycle.is_some());
                others += u32::from(certificate.shows.is_some());
            }
        }
    }
    println!("{cycles} cycles, {others} others");
    assert!(cycles > 100 && others > 30);
}

/// Whatever is written in a history, the picture is one.
#[test]
fn of_odd_words() {
    let text = "{:type :invoke, :process 0, :f :write, :value \"<&>\\\"\\u0007 \\\\ ]]>\"}\n\
         {:type :ok, :process 0, :f :write, :value \"<&>\\\"\\u0007 \\\\ ]]>\"}\n\
         {:type :invoke, :process -1, :f :read, :value nil}\n\
         {:type :ok, :process -1, :f :read, :value \"<script>alert(1)</script>, and so on for quite a while\"}\n";
    let report = linear::check(reader(text), &Options::new(ModelName::Register)).unwrap();
    let certificate = report.certificate().unwrap();
    let picture = draw(&certificate, reader(text)).unwrap();
    looked_at(&picture, &certificate);
    assert!(!picture.contains("<script"));
    let other = draw(&certificate, reader(&text.replace("invoke", "info")));
    assert!(matches!(other, Err(PictureError::Missing { .. })));
}
