//! Texts put and appended, some of them by several: random histories against exhaustive search, each
//! verdict with its certificate, checked.

use elle_rs::linear::{Method, ModelName};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::random::{play, rounds};
use crate::textbook::{Act, Timed, edn, linearizable};
use crate::verifier::refuses_any;
use crate::{checked, is_valid, verified};

/// None begins another; one stands within others.
const TEXTS: [&str; 6] = ["a", "b", "ca", "cb", "ec", "fca"];

/// What one came back with comes back with another, longer or shorter perhaps.
fn disturb(rng: &mut ChaCha8Rng, operations: &mut [Timed]) {
    let mut seen: Vec<&mut String> = operations
        .iter_mut()
        .filter_map(|timed| match &mut timed.act {
            Act::Get(seen) => Some(seen),
            _ => None,
        })
        .collect();
    if seen.is_empty() {
        return;
    }
    let mut text = seen[rng.random_range(0..seen.len())].clone();
    match rng.random_range(0..3) {
        0 => text += TEXTS[rng.random_range(0..TEXTS.len())],
        1 => text.truncate(rng.random_range(0..=text.len())),
        _ => {}
    }
    let mine = rng.random_range(0..seen.len());
    *seen[mine] = text;
}

/// A history of a true map with `count` operations, each as long as `longest` begin in, its answers
/// changed so many times.
fn history(rng: &mut ChaCha8Rng, count: u64, longest: u64, changes: u32) -> Vec<Timed> {
    let texts = rng.random_range(2..=TEXTS.len());
    let (puts, pending) = (rng.random_range(0.0..0.3), rng.random_range(0.0..0.3));
    let span = count * 4;
    let points = (0..count)
        .map(|_| {
            let start = rng.random_range(0..span);
            let finish = start + rng.random_range(1..=longest * 4);
            let kind = match rng.random_bool(pending) {
                true => ["info", ""][rng.random_range(0..2)],
                false => "ok",
            };
            let text = TEXTS[rng.random_range(0..texts)].to_owned();
            let act = match rng.random_range(0..2) {
                0 => Act::Get(String::new()),
                _ if rng.random_bool(puts) => Act::Put(text),
                _ => Act::Append(text),
            };
            let timed = Timed {
                start,
                finish,
                kind,
                act,
            };
            (rng.random_range(start..=finish), timed)
        })
        .collect();
    let mut operations = play(rng, ModelName::KvMap, points, 1.0);
    for _ in 0..changes {
        disturb(rng, &mut operations);
    }
    operations
}

fn small(rng: &mut ChaCha8Rng) -> Vec<Timed> {
    let (count, changes) = (rng.random_range(4..=9), rng.random_range(0..=3));
    history(rng, count, count / 3, changes)
}

/// Whether some text is put or appended by several.
fn has_twins(operations: &[Timed]) -> bool {
    let mut texts: Vec<&str> = operations
        .iter()
        .filter_map(|timed| match &timed.act {
            Act::Put(text) | Act::Append(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    texts.sort_unstable();
    texts.windows(2).any(|pair| pair[0] == pair[1])
}

#[test]
fn texts_of_several() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let (mut valid, mut of_several, mut without_search) = (0, 0, 0);
    for round in 0..rounds() {
        let operations = small(&mut rng);
        let text = edn(&operations);
        let expected = linearizable(ModelName::KvMap, &operations);
        let report = checked(&text, ModelName::KvMap);
        assert_eq!(
            is_valid(&report),
            expected,
            "round {round}:\n{text}{report:#?}"
        );
        let certificate = report.certificate().unwrap();
        let told = verified(&certificate, &text);
        let told = told.unwrap_or_else(|error| panic!("{error}\n{text}{certificate:#?}"));
        assert_eq!(told.verdict == "valid", expected);
        valid += u32::from(expected);
        if !expected && has_twins(&operations) {
            of_several += 1;
            let exact = report.parts.iter().all(|part| part.method == Method::Exact);
            without_search += u32::from(exact);
        }
    }
    println!(
        "kv-map, texts of several: {valid} of {} linearizable",
        rounds()
    );
    println!("of {of_several} others with such texts, {without_search} without a search");
    assert!(valid > rounds() / 10 && valid < rounds() / 10 * 9);
    assert!(without_search > of_several / 4 && without_search < of_several);
}

/// Whatever pattern and operations are named, a linearizable history is not shown to be none.
#[test]
fn no_proof_of_a_violation_that_is_none() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut tried = 0;
    for _ in 0..rounds() / 5 {
        let operations = small(&mut rng);
        if has_twins(&operations) && linearizable(ModelName::KvMap, &operations) {
            tried += refuses_any(&mut rng, &edn(&operations), ModelName::KvMap);
        }
    }
    assert!(tried > 50_000, "{tried}");
}

/// Longer ones: as the map was they are linearizable, and otherwise whatever they are is proven.
#[test]
fn longer_ones() {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let mut broken = 0;
    for round in 0..rounds() / 40 {
        let changes = round % 3;
        let operations = history(&mut rng, 60, 4, changes);
        let text = edn(&operations);
        let report = checked(&text, ModelName::KvMap);
        assert!(changes > 0 || is_valid(&report), "{text}{report:#?}");
        let certificate = report.certificate().unwrap();
        let told = verified(&certificate, &text);
        told.unwrap_or_else(|error| panic!("{error}\n{text}{certificate:#?}"));
        broken += u32::from(!is_valid(&report));
    }
    assert!(broken > rounds() / 160, "{broken}");
}
