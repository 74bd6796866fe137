//! Random small histories of every model, both verdicts frequent, against exhaustive search; each
//! verdict with its certificate, checked. `KEYQUAKE_SLOW=1` draws a million per model.

use elle_rs::certificate::Certificate;
use elle_rs::linear::ModelName;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::textbook::{Act, State, Timed, edn, initial, linearizable, step};
use crate::{checked, is_valid, verified};

pub fn rounds() -> u32 {
    match std::env::var_os("KEYQUAKE_SLOW") {
        Some(_) => 1_000_000,
        None => 20_000,
    }
}

/// An operation, its answer to be filled in. `own` is a value that no other operation has.
fn draw(rng: &mut ChaCha8Rng, model: ModelName, own: i64, unique: bool) -> Act {
    let value = if unique { own } else { rng.random_range(1..=3) };
    let any = rng.random_range(1..=if unique { own + 1 } else { 3 });
    // Unique ones begin no other, but some are inside others.
    let text = match unique {
        true => ["a", "b", "ca", "cb", "ec", "fca"][own as usize % 6].to_owned(),
        false => ["a", "b", "ab", ""][rng.random_range(0..4)].to_owned(),
    };
    match model {
        ModelName::Register => match rng.random_range(0..2) {
            0 => Act::Read(None),
            _ => Act::Write(value),
        },
        ModelName::CasRegister => match rng.random_range(0..6) {
            0 | 1 => Act::Read(None),
            2 => Act::Write(value),
            3 => Act::Swap(value, None),
            _ => Act::Cas(any, value, true),
        },
        ModelName::KvMap => match rng.random_range(0..7) {
            0..3 => Act::Get(text),
            3 => Act::Put(text),
            4 | 5 => Act::Append(text),
            _ => Act::Delete,
        },
        ModelName::MultiRegister => {
            let steps = (0..rng.random_range(1..=3))
                .map(|_| (rng.random(), rng.random_range(0..3), Some(value)))
                .collect();
            Act::Transaction(steps)
        }
        ModelName::Mutex => match rng.random() {
            true => Act::Acquire,
            false => Act::Release,
        },
        ModelName::Set => match rng.random_range(0..6) {
            0 | 1 => Act::Add(any, rng.random_bool(0.3).then_some(true)),
            2 => Act::Remove(any, rng.random_bool(0.3).then_some(true)),
            3 => Act::Contains(any, true),
            _ => Act::Elements(Vec::new()),
        },
        ModelName::Counter => match rng.random() {
            true => Act::Plus(rng.random_range(-1..=2)),
            false => Act::Count(0),
        },
        _ => match rng.random() {
            true => Act::Enqueue(value),
            false => Act::Dequeue(None),
        },
    }
}

/// Fills in what would come back in this state.
pub fn answer(model: ModelName, state: &State, act: &mut Act, rng: &mut ChaCha8Rng) {
    let seen = |number: i64| (number >= 0).then_some(number);
    match act {
        Act::Read(value) | Act::Swap(_, value) => *value = seen(state[0]),
        Act::Cas(old, _, made) => *made = state[0] == *old,
        Act::Get(text) => {
            *text = state
                .iter()
                .filter_map(|&letter| u8::try_from(letter).ok().map(char::from))
                .collect();
        }
        Act::Transaction(steps) => {
            let mut state = state.clone();
            for (write, register, value) in steps {
                let here = &mut state[*register as usize];
                match write {
                    true => *here = value.unwrap_or(-1),
                    false => *value = seen(*here),
                }
            }
        }
        Act::Add(element, first) if first.is_some() => *first = Some(!state.contains(element)),
        Act::Remove(element, there) if there.is_some() || !state.contains(element) => {
            *there = Some(state.contains(element));
        }
        Act::Contains(element, there) => *there = state.contains(element),
        Act::Elements(elements) => *elements = state.clone(),
        Act::Count(number) => *number = state[0],
        Act::Dequeue(value) => {
            *value = match model {
                ModelName::FifoQueue => state.first().copied(),
                ModelName::PriorityQueue => state.last().copied(),
                _ if state.is_empty() => None,
                _ => Some(state[rng.random_range(0..state.len())]),
            };
        }
        _ => {}
    }
}

/// Other answers, perhaps.
fn disturb(rng: &mut ChaCha8Rng, act: &mut Act) {
    match act {
        Act::Read(value) | Act::Swap(_, value) | Act::Dequeue(value) => {
            *value = rng.random_bool(0.8).then(|| rng.random_range(1..=4));
        }
        Act::Cas(_, _, made) => *made = !*made,
        Act::Get(text) => {
            *text =
                ["", "a", "ab", "b", "aab", "ba", "ca", "bca"][rng.random_range(0..8)].to_owned()
        }
        Act::Transaction(steps) => {
            let at = rng.random_range(0..steps.len());
            steps[at].2 = Some(rng.random_range(1..=3));
        }
        Act::Add(_, said) | Act::Remove(_, said) => *said = Some(rng.random()),
        Act::Contains(_, there) => *there = !*there,
        Act::Elements(elements) => {
            *elements = (1..=3).filter(|_| rng.random()).collect();
        }
        Act::Count(number) => *number += rng.random_range(-1..=1),
        _ => {}
    }
}

/// What comes back of a true object, each operation taking effect at its moment. One that cannot be done
/// is answered as failed, this often.
pub fn play(
    rng: &mut ChaCha8Rng,
    model: ModelName,
    mut points: Vec<(u64, Timed)>,
    fails: f64,
) -> Vec<Timed> {
    points.sort_by_key(|(point, _)| *point);
    let mut state = initial(model);
    for (_, timed) in &mut points {
        answer(model, &state, &mut timed.act, rng);
        let happens = timed.kind == "ok" || (timed.kind != "fail" && rng.random());
        let after = step(model, &state, &timed.act, true);
        if happens && let Some(after) = after.into_iter().next() {
            state = after;
        } else if timed.kind == "ok" && rng.random_bool(fails) {
            timed.kind = "fail";
        }
    }
    points.into_iter().map(|(_, timed)| timed).collect()
}

/// A history of a true object, made wrong perhaps.
pub fn history(rng: &mut ChaCha8Rng, model: ModelName) -> Vec<Timed> {
    let count = rng.random_range(2..=6);
    let unique = rng.random();
    let span = count * 4;
    let points = (1..=count)
        .map(|own| {
            let start = rng.random_range(0..span);
            let finish = start + rng.random_range(1..=span / 2);
            let kind =
                ["ok", "ok", "ok", "ok", "ok", "ok", "info", "fail", ""][rng.random_range(0..9)];
            let act = draw(rng, model, own as i64, unique);
            let timed = Timed {
                start,
                finish,
                kind,
                act,
            };
            (rng.random_range(start..=finish), timed)
        })
        .collect();
    let mut operations = play(rng, model, points, 0.7);
    if rng.random_bool(0.6) {
        let at = rng.random_range(0..operations.len());
        disturb(rng, &mut operations[at].act);
    }
    operations
}

fn compare(model: ModelName) {
    let mut rng = ChaCha8Rng::seed_from_u64(model as u64);
    let (mut valid, rounds) = (0, rounds());
    for round in 0..rounds {
        let operations = history(&mut rng, model);
        let text = edn(&operations);
        let expected = linearizable(model, &operations);
        let report = checked(&text, model);
        assert_eq!(
            is_valid(&report),
            expected,
            "{model}, round {round}:\n{text}{report:#?}"
        );
        let certificate = report.certificate().unwrap();
        let told = verified(&certificate, &text);
        let told = told.unwrap_or_else(|error| panic!("{error}\n{text}{certificate:#?}"));
        assert_eq!(told.verdict == "valid", expected);
        if round % 64 == 0 {
            let again = Certificate::parse(certificate.text().as_bytes(), "c".as_ref()).unwrap();
            assert_eq!(again, certificate);
        }
        valid += u32::from(expected);
    }
    println!("{model}: {valid} of {rounds} linearizable");
    assert!(
        valid > rounds / 10 && valid < rounds - rounds / 10,
        "{model}: {valid}"
    );
}

#[test]
fn register() {
    compare(ModelName::Register);
}

#[test]
fn cas_register() {
    compare(ModelName::CasRegister);
}

#[test]
fn multi_register() {
    compare(ModelName::MultiRegister);
}

#[test]
fn kv_map() {
    compare(ModelName::KvMap);
}

#[test]
fn mutex() {
    compare(ModelName::Mutex);
}

#[test]
fn set() {
    compare(ModelName::Set);
}

#[test]
fn counter() {
    compare(ModelName::Counter);
}

#[test]
fn fifo_queue() {
    compare(ModelName::FifoQueue);
}

#[test]
fn unordered_queue() {
    compare(ModelName::UnorderedQueue);
}

#[test]
fn priority_queue() {
    compare(ModelName::PriorityQueue);
}
