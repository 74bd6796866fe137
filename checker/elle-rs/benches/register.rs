//! A register history of 1,000,000 operations by 64 clients on 8 keys, 20 % of them pending:
//! `cargo bench -p elle-rs --bench register`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use elle_rs::history::{Action, Event, Kind, Op};
use elle_rs::register::{Outcome, check};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const OPERATIONS: usize = 1_000_000;
const CLIENTS: usize = 64;
const KEYS: u64 = 8;

/// What a client has open.
struct Open {
    process: u32,
    action: Action,
    performed: bool,
}

/// Clients of true registers; each event is one client's next: begin, take effect, or end.
fn events() -> Vec<Event> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut registers = [None; KEYS as usize];
    let mut clients: Vec<Option<Open>> = (0..CLIENTS).map(|_| None).collect();
    let mut events = Vec::new();
    let (mut begun, mut processes) = (0, 0);
    while begun < OPERATIONS {
        let client = &mut clients[rng.random_range(0..CLIENTS)];
        let Some(open) = client else {
            begun += 1;
            processes += 1;
            let action = draw(&mut rng, begun as u64);
            push(&mut events, processes, Kind::Invoke, action.clone());
            *client = Some(Open {
                process: processes,
                action,
                performed: false,
            });
            continue;
        };
        if open.performed {
            push(&mut events, open.process, Kind::Ok, open.action.clone());
            *client = None;
        } else if rng.random_bool(0.2) {
            // Half of the pending ones took effect.
            if rng.random() {
                perform(&mut open.action, &mut registers);
            }
            *client = None;
        } else {
            perform(&mut open.action, &mut registers);
            open.performed = true;
        }
    }
    events
}

fn draw(rng: &mut ChaCha8Rng, value: u64) -> Action {
    let key = rng.random_range(0..KEYS);
    match rng.random_range(0..4) {
        0 | 1 => Action::Read { key, value: None },
        2 => Action::Write { key, value },
        _ => Action::Swap {
            key,
            value,
            old: None,
        },
    }
}

fn perform(action: &mut Action, registers: &mut [Option<u64>; KEYS as usize]) {
    match action {
        Action::Read { key, value } => *value = registers[*key as usize],
        Action::Write { key, value } => registers[*key as usize] = Some(*value),
        Action::Swap { key, value, old } => {
            *old = registers[*key as usize].replace(*value);
        }
        Action::Cas { .. } | Action::Txn { .. } => {}
    }
}

fn push(events: &mut Vec<Event>, process: u32, kind: Kind, action: Action) {
    let index = events.len() as u64;
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
    let mut group = c.benchmark_group("register");
    group
        .throughput(Throughput::Elements(OPERATIONS as u64))
        .sample_size(10);
    group.bench_function("check_1m_64_clients_8_keys_20pct_pending", |b| {
        b.iter(|| {
            let reports = check(&events).expect("the simulation is well-formed");
            assert!(
                reports
                    .iter()
                    .all(|r| matches!(r.outcome, Outcome::Valid { .. }))
            );
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
