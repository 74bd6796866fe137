//! A list-append history of 100,000 transactions by 32 clients, strict serializable:
//! `cargo bench -p elle-rs --bench list_append`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use elle_rs::history::{Action, Event, Kind, Op, Step};
use elle_rs::list_append::{Decision, Level, check};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;

const TRANSACTIONS: usize = 100_000;
const CLIENTS: usize = 32;

struct Open {
    process: u32,
    steps: Vec<Step>,
    performed: bool,
}

/// A key retires after 64 appends, as in Elle's own workload, so that lists stay short.
fn events() -> Vec<Event> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut lists: HashMap<u64, Vec<u64>> = HashMap::new();
    let mut clients: Vec<Option<Open>> = (0..CLIENTS).map(|_| None).collect();
    let mut events = Vec::new();
    let (mut begun, mut value) = (0, 0);
    while begun < TRANSACTIONS {
        let at = rng.random_range(0..CLIENTS);
        let client = &mut clients[at];
        let Some(open) = client else {
            begun += 1;
            let steps: Vec<Step> = (0..rng.random_range(1..=4))
                .map(|_| {
                    let key = value / 640 * 10 + rng.random_range(0..10);
                    if rng.random() {
                        return Step::Read { key, list: None };
                    }
                    value += 1;
                    Step::Append { key, value }
                })
                .collect();
            push(&mut events, at as u32, Kind::Invoke, &steps);
            *client = Some(Open {
                process: at as u32,
                steps,
                performed: false,
            });
            continue;
        };
        if open.performed {
            push(&mut events, open.process, Kind::Ok, &open.steps);
            *client = None;
            continue;
        }
        open.performed = true;
        for step in &mut open.steps {
            match step {
                Step::Append { key, value } => lists.entry(*key).or_default().push(*value),
                Step::Read { key, list } => {
                    *list = Some(lists.get(key).cloned().unwrap_or_default())
                }
            }
        }
    }
    events
}

fn push(events: &mut Vec<Event>, process: u32, kind: Kind, steps: &[Step]) {
    let index = events.len() as u64;
    let action = Action::Txn {
        steps: steps.to_vec(),
    };
    events.push(Event::Op(Op {
        index,
        time_ns: index * 1_000,
        process,
        kind,
        action,
        node: None,
        error: None,
    }));
}

fn bench(c: &mut Criterion) {
    let events = events();
    let mut group = c.benchmark_group("list_append");
    group
        .throughput(Throughput::Elements(TRANSACTIONS as u64))
        .sample_size(10);
    for level in [Level::StrictSerializable, Level::SnapshotIsolation] {
        group.bench_function(format!("check_100k_{level}"), |b| {
            b.iter(|| {
                let outcome = check(&events, level).expect("the simulation is well-formed");
                assert_eq!(outcome.decision, Decision::Valid);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
