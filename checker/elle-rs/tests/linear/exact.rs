//! Objects decided without a search: random histories whose values are put in once, in any other
//! way as others' are (many pending, many at once), against exhaustive search, and longer ones
//! against the general search. Each verdict has its certificate checked.

use elle_rs::linear::models::MutexModel;
use elle_rs::linear::{
    Found, Method, ModelName, NEVER, Operation, Options, Outcome, PartReport, Question, Report,
    Verb, check, search,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::random::{play, rounds};
use crate::textbook::{Act, Timed, edn, linearizable};
use crate::verifier::refuses_any;
use crate::{checked, is_valid, reader, verified};

const MODELS: [ModelName; 6] = [
    ModelName::FifoQueue,
    ModelName::PriorityQueue,
    ModelName::UnorderedQueue,
    ModelName::Set,
    ModelName::Counter,
    ModelName::Mutex,
];

/// An operation whose value no other has, its answer to be filled in.
fn draw(rng: &mut ChaCha8Rng, model: ModelName, own: i64, amount: i64, looks: f64) -> Act {
    let looks = rng.random_bool(looks);
    match model {
        ModelName::Mutex if looks => Act::Acquire,
        ModelName::Mutex => Act::Release,
        ModelName::Set if looks => Act::Elements(Vec::new()),
        ModelName::Set => Act::Add(own, rng.random_bool(0.2).then_some(true)),
        ModelName::Counter if looks => Act::Count(0),
        ModelName::Counter => Act::Plus(amount),
        _ if looks => Act::Dequeue(None),
        // Each once, up and down.
        _ => Act::Enqueue(own * 37 % 101),
    }
}

/// What came back of one operation is what came back of another, or nearly.
fn disturb(rng: &mut ChaCha8Rng, operations: &mut [Timed], amount: i64) {
    let (at, other) = (
        rng.random_range(0..operations.len()),
        rng.random_range(0..operations.len()),
    );
    let theirs = operations[other].act.clone();
    match (&mut operations[at].act, theirs) {
        (Act::Dequeue(mine), Act::Dequeue(theirs)) => *mine = theirs,
        (Act::Dequeue(mine), Act::Enqueue(theirs)) => *mine = Some(theirs),
        (Act::Dequeue(mine), _) if rng.random() => *mine = None,
        (Act::Elements(mine), Act::Add(theirs, _)) => match mine.binary_search(&theirs) {
            Ok(at) => drop(mine.remove(at)),
            Err(at) => mine.insert(at, theirs),
        },
        (Act::Elements(mine), Act::Elements(theirs)) => *mine = theirs,
        (Act::Count(mine), _) => *mine += amount * rng.random_range(-1..=1),
        (act @ Act::Acquire, _) if rng.random() => *act = Act::Release,
        (act @ Act::Release, _) if rng.random() => *act = Act::Acquire,
        (Act::Acquire | Act::Release, _) => {
            let span = operations[at].finish - operations[at].start;
            operations[at].start = operations[other].start;
            operations[at].finish = operations[at].start + span;
        }
        _ => {}
    }
}

/// A history of a true object with `count` operations, about `crowd` of them at once; made wrong
/// perhaps.
fn history(rng: &mut ChaCha8Rng, model: ModelName, count: u64, crowd: u64) -> Vec<Timed> {
    let amount = [1, 1, 2, -3][rng.random_range(0..4)];
    let looks = [0.3, 0.5, 0.6][rng.random_range(0..3)];
    let pending = [0.0, 0.1, 0.3][rng.random_range(0..3)];
    let span = count * 4;
    let longest = crowd * 4;
    let points = (1..=count as i64)
        .map(|own| {
            let start = rng.random_range(0..span);
            let finish = start + rng.random_range(1..=longest);
            let kind = match rng.random_bool(pending) {
                true => ["info", ""][rng.random_range(0..2)],
                false => "ok",
            };
            let act = draw(rng, model, own, amount, looks);
            let timed = Timed {
                start,
                finish,
                kind,
                act,
            };
            (rng.random_range(start..=finish), timed)
        })
        .collect();
    let mut operations = play(rng, model, points, 1.0);
    for _ in 0..rng.random_range(0..=4) {
        disturb(rng, &mut operations, amount);
    }
    operations
}

fn with_its_certificate(report: &Report, text: &str, expected: bool) {
    let certificate = report.certificate().unwrap();
    let told = verified(&certificate, text);
    let told = told.unwrap_or_else(|error| panic!("{error}\n{text}{certificate:#?}"));
    assert_eq!(told.verdict == "valid", expected);
}

fn compare(model: ModelName) {
    let mut rng = ChaCha8Rng::seed_from_u64(100 + model as u64);
    let (mut valid, mut searched, rounds) = (0, 0, rounds());
    for round in 0..rounds {
        let count = rng.random_range(2..=7);
        let operations = history(&mut rng, model, count, count / 2);
        let text = edn(&operations);
        let expected = linearizable(model, &operations);
        let report = checked(&text, model);
        assert_eq!(
            is_valid(&report),
            expected,
            "{model}, round {round}:\n{text}{report:#?}"
        );
        for part in report
            .parts
            .iter()
            .filter(|part| part.method == Method::Search)
        {
            let note = part.note.as_deref().unwrap_or_default();
            let open = note.contains("one value or the other");
            assert!(open && model == ModelName::PriorityQueue, "{text}{part:#?}");
            searched += 1;
        }
        with_its_certificate(&report, &text, expected);
        valid += u32::from(expected);
    }
    println!(
        "{model}, each value put in once: {valid} of {rounds} linearizable, {searched} searched"
    );
    assert!(
        valid > rounds / 10 && valid < rounds - rounds / 10,
        "{model}: {valid}"
    );
    assert!(searched < rounds / 50, "{model}: {searched} searched");
}

#[test]
fn fifo_queue() {
    compare(ModelName::FifoQueue);
}

#[test]
fn priority_queue() {
    compare(ModelName::PriorityQueue);
}

#[test]
fn unordered_queue() {
    compare(ModelName::UnorderedQueue);
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
fn mutex() {
    compare(ModelName::Mutex);
}

/// What the general search says; `None` if that is too hard for it.
fn searched(model: ModelName, operations: &[Timed]) -> Option<bool> {
    let span = operations.iter().map(|op| op.finish).max().unwrap_or(0);
    if model == ModelName::Mutex {
        return searched_mutex(operations);
    }
    // What nobody saw afterwards, but keeps the algorithms from deciding.
    let (twice, amounts) = match model {
        ModelName::Set => (Act::Add(1_000, None), [1_000, 1_000]),
        ModelName::Counter => (Act::Plus(0), [7, 8]),
        _ => (Act::Enqueue(1_000), [1_000, 1_000]),
    };
    let mut operations = operations.to_vec();
    for (place, amount) in (0..).zip(amounts) {
        let act = match twice {
            Act::Plus(_) => Act::Plus(amount),
            _ => twice.clone(),
        };
        operations.push(Timed {
            start: span + 1 + 2 * place,
            finish: span + 2 + 2 * place,
            kind: "ok",
            act,
        });
    }
    let text = edn(&operations);
    let options = Options {
        budget: 20_000,
        ..Options::new(model)
    };
    let report = check(reader(&text), &options).unwrap();
    let by_search = |part: &PartReport| part.method == Method::Search;
    assert!(
        report.parts.iter().any(by_search) || !is_valid(&report),
        "{text}"
    );
    let decided = |part: &PartReport| !matches!(part.outcome, Outcome::Undecided { .. });
    report.parts.iter().all(decided).then(|| is_valid(&report))
}

fn searched_mutex(operations: &[Timed]) -> Option<bool> {
    let mut moments: Vec<(u64, bool, usize)> = Vec::new();
    for (id, operation) in operations.iter().enumerate() {
        if operation.kind != "fail" {
            moments.push((operation.start, false, id));
            if operation.kind == "ok" {
                moments.push((operation.finish, true, id));
            }
        }
    }
    moments.sort_unstable();
    let moment = |id: usize, returns: bool| {
        let found = moments
            .iter()
            .position(|&(_, of, at)| (of, at) == (returns, id));
        found.map(|at| at as u32 + 1)
    };
    let act = |verb| elle_rs::linear::Act { verb, a: 0, b: 0 };
    let mut timed: Vec<Operation> = (0..operations.len())
        .filter_map(|id| {
            Some(Operation {
                start: moment(id, false)?,
                finish: moment(id, true).unwrap_or(NEVER),
                class: u32::from(matches!(operations[id].act, Act::Release)),
            })
        })
        .collect();
    timed.sort_by_key(|operation| operation.start);
    let question = Question {
        operations: timed,
        classes: vec![act(Verb::Acquire), act(Verb::Release)],
    };
    match search(&MutexModel, &question, 20_000) {
        Found::Order(_) => Some(true),
        Found::Impossible { .. } => Some(false),
        Found::Exhausted { .. } => None,
    }
}

#[test]
fn longer_ones_get_the_verdict_of_the_search() {
    let rounds = rounds() / 20;
    for model in MODELS {
        let mut rng = ChaCha8Rng::seed_from_u64(200 + model as u64);
        let (mut valid, mut broken) = (0, 0);
        for _ in 0..rounds {
            let count = rng.random_range(8..=40);
            let crowd = rng.random_range(1..=3);
            let operations = history(&mut rng, model, count, crowd);
            let text = edn(&operations);
            let Some(expected) = searched(model, &operations) else {
                continue;
            };
            let report = checked(&text, model);
            assert_eq!(is_valid(&report), expected, "{model}:\n{text}{report:#?}");
            with_its_certificate(&report, &text, expected);
            *(if expected { &mut valid } else { &mut broken }) += 1;
        }
        println!("{model}: {valid} valid, {broken} not");
        assert!(
            valid > rounds / 20 && broken > rounds / 20,
            "{model}: {valid}, {broken}"
        );
    }
}

/// Whatever pattern and operations are named, a linearizable history is not shown to be none.
#[test]
fn no_proof_of_a_violation_that_is_none() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut tried = 0;
    for model in MODELS {
        for _ in 0..rounds() / 10 {
            let operations = history(&mut rng, model, 6, 3);
            if !linearizable(model, &operations) {
                continue;
            }
            tried += refuses_any(&mut rng, &edn(&operations), model);
        }
    }
    assert!(tried > 50_000, "{tried}");
}

/// The report and the certificate are the same bytes on any number of threads, whoever decides.
#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        pool.install(|| {
            let mut said = String::new();
            for model in MODELS {
                for _ in 0..20 {
                    let text = edn(&history(&mut rng, model, 30, 2));
                    let report = checked(&text, model);
                    said += &format!("{report:?}");
                    said += &report.certificate().unwrap().text();
                }
            }
            said
        })
    };
    let alone = on(1);
    for threads in [2, 7] {
        assert!(on(threads) == alone, "{threads} threads");
    }
}

/// Registers that no transaction ties together get verdicts of their own.
#[test]
fn registers_apart_are_decided_apart() {
    let txn = |process: u32, kind: &str, steps: &str| {
        format!("{{:type :{kind}, :process {process}, :f :txn, :value [{steps}]}}\n")
    };
    let text = [
        txn(0, "invoke", "[:w :x 1] [:w :y 1]"),
        txn(0, "ok", "[:w :x 1] [:w :y 1]"),
        txn(0, "invoke", "[:r :y nil]"),
        txn(0, "ok", "[:r :y 1]"),
        txn(0, "invoke", "[:w :z 2]"),
        txn(0, "ok", "[:w :z 2]"),
        txn(0, "invoke", "[:r :z nil]"),
        txn(0, "ok", "[:r :z 3]"),
    ]
    .concat();
    let report = checked(&text, ModelName::MultiRegister);
    let keys: Vec<_> = report
        .parts
        .iter()
        .map(|part| part.key.as_deref())
        .collect();
    assert_eq!(keys, [Some(":x"), Some(":z")]);
    let valid = |part: &PartReport| matches!(part.outcome, Outcome::Valid { .. });
    assert!(valid(&report.parts[0]) && !valid(&report.parts[1]));
    with_its_certificate(&report, &text, false);
}
