//! Events written and read per second on one core: `cargo bench -p elle-rs --bench history_file`.

use std::hint::black_box;
use std::io::Cursor;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use elle_rs::history::file::{Reader, Writer};
use elle_rs::history::{Action, Event, Kind, Op};

const EVENTS: u64 = 500_000;

/// A register workload of 32 clients: half invocations, half completions.
fn events() -> Vec<Event> {
    (0..EVENTS)
        .map(|index| {
            let kind = if index % 64 < 32 {
                Kind::Invoke
            } else {
                Kind::Ok
            };
            let key = index * 0x9E37_79B9 % 8;
            let action = match index % 3 {
                0 => Action::Write { key, value: index },
                1 => Action::Swap {
                    key,
                    value: index,
                    old: (kind == Kind::Ok).then_some(index - 9),
                },
                _ => Action::Read {
                    key,
                    value: (kind == Kind::Ok).then_some(index - 7),
                },
            };
            Event::Op(Op {
                index,
                time_ns: index * 9_713 + index * index % 977,
                process: (index % 32) as u32,
                kind,
                action,
                node: Some((index % 3) as u16),
                error: None,
            })
        })
        .collect()
}

fn bench(c: &mut Criterion) {
    let events = events();
    let mut group = c.benchmark_group("history_file");
    group
        .throughput(Throughput::Elements(EVENTS))
        .sample_size(10);
    group.bench_function("write", |b| {
        b.iter(|| {
            let mut writer = Writer::new(std::io::sink()).expect("a sink takes all");
            for event in &events {
                writer.append(black_box(event)).expect("a sink takes all");
            }
            writer.finish().expect("a sink takes all")
        });
    });
    let mut writer = Writer::new(Vec::new()).expect("memory takes all");
    for event in &events {
        writer.append(event).expect("memory takes all");
    }
    let bytes = writer.finish().expect("memory takes all");
    println!(
        "{:.1} bytes per event on disk",
        bytes.len() as f64 / EVENTS as f64
    );
    group.bench_function("read", |b| {
        b.iter(|| {
            Reader::from_read(Cursor::new(&bytes), Path::new("bench"))
                .expect("just written")
                .filter(Result::is_ok)
                .count()
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
