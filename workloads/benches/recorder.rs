//! How many operations a second one core records: invocation and completion of each, encoded,
//! compressed and written to a file.
//!
//! `recorder` is the recorder alone; `client loop` has the whole workload around it (generator,
//! arrivals, clients, timeouts) with a store in memory that answers at once, on a runtime with
//! one thread. Run with `taskset -c 0 cargo bench -p keyquake-workloads` for one core in all,
//! the writer's thread included.

#[path = "../tests/suite/memory.rs"]
mod memory;

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use elle_rs::history::Action;
use keyquake_workloads::{Outcome, Recorder, Setup, WorkloadName, WorkloadOptions, run};
use memory::{Fixed, Memory, MemoryConnect};
use tokio::sync::watch;

fn recorder(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("history.kqh");
    let recorder = Recorder::create(&path, Instant::now()).expect("a recorder");
    let mut value = 0;
    let mut group = criterion.benchmark_group("operations");
    group.throughput(Throughput::Elements(1));
    group.bench_function("recorder", |bencher| {
        bencher.iter(|| {
            value += 1;
            let action = Action::Write {
                key: value % 8,
                value,
            };
            let invocation = recorder
                .invoke(
                    0,
                    (value % 12) as u32,
                    action.clone(),
                    Some((value % 3) as u16),
                )
                .expect("room on the disk");
            recorder
                .complete(invocation, Outcome::Ok(action))
                .expect("room on the disk")
        });
    });
    group.finish();
    recorder.close_now().expect("room on the disk");
}

fn client_loop(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut group = criterion.benchmark_group("operations");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_secs(1))
        .throughput(Throughput::Elements(1));
    for name in [WorkloadName::Register, WorkloadName::Append] {
        group.bench_function(format!("client loop, {name}"), |bencher| {
            bencher.iter_custom(|operations| runtime.block_on(time_of(name, operations)));
        });
    }
    group.finish();
}

/// How long this many operations take, from what as many as fit into half a second took.
async fn time_of(name: WorkloadName, operations: u64) -> Duration {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = Instant::now();
    let recorder = Recorder::create(&folder.path().join("history.kqh"), start).expect("a recorder");
    let setup = Setup {
        options: vec![WorkloadOptions {
            rate: 1e9,
            ..WorkloadOptions::of(name)
        }],
        seed: 1,
        connect: Arc::new(MemoryConnect(Arc::new(Memory::new(|_, _| None)))),
        leader: Arc::new(Fixed(None)),
        nodes: 3,
        recorder: recorder.clone(),
    };
    let (_stop, stopped) = watch::channel(false);
    let began = Instant::now();
    let summary = run(&setup, stopped, Duration::from_millis(500))
        .await
        .expect("a run");
    let took = began.elapsed();
    // Waits for the disk, which is no work of a core.
    recorder.close().await.expect("room on the disk");
    let done = summary.workloads[0].operations as f64;
    took.mul_f64(operations as f64 / done)
}

criterion_group!(benches, recorder, client_loop);
criterion_main!(benches);
