//! The recorder against real files: order, bounded memory, a killed suite, a full disk.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::memory::{Fixed, Memory, MemoryConnect};
use elle_rs::history::file::load;
use elle_rs::history::{Action, Event, FaultStep, Kind, Phase};
use keyquake_workloads::{
    FaultRecord, Outcome, RecordError, Recorder, RunError, Setup, WorkloadName, WorkloadOptions,
    run,
};
use tokio::sync::watch;

const WRITE: Action = Action::Write { key: 1, value: 2 };

#[test]
fn events_of_many_threads_get_one_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.kqh");
    let recorder = Recorder::create(&path, Instant::now()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let process = recorder.fresh_process();
                for _ in 0..10_000 {
                    let invocation = recorder.invoke(0, process, WRITE, Some(0)).unwrap();
                    let before = invocation.index();
                    let after = recorder.complete(invocation, Outcome::Ok(WRITE)).unwrap();
                    assert!(after > before);
                }
            });
        }
    });
    let summary = recorder.close_now().unwrap();
    assert_eq!(summary.events, 80_000);
    let (events, torn) = load(&path).unwrap();
    assert!(torn.is_none());
    assert!(
        (0..)
            .zip(&events)
            .all(|(place, event)| event.index() == place)
    );
    assert!(
        events
            .windows(2)
            .all(|pair| pair[0].time_ns() <= pair[1].time_ns())
    );
    assert_eq!(recorder.close_now().unwrap().bytes, summary.bytes);
}

#[test]
fn faults_phases_and_corrupt_answers_stand_in_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.kqh");
    let recorder = Recorder::create(&path, Instant::now()).unwrap();
    recorder.phase(Phase::Main).unwrap();
    let fault = FaultRecord {
        fault: 3,
        name: "kill".to_owned(),
        nodes: vec![1],
        step: FaultStep::Armed,
        evidence: "pid 7".to_owned(),
    };
    recorder.record_fault(fault).unwrap();
    let invocation = recorder.invoke(0, 0, WRITE, None).unwrap();
    let corrupt = Outcome::Corrupt {
        action: WRITE,
        note: "corrupt-value: x".to_owned(),
    };
    recorder.complete(invocation, corrupt).unwrap();
    recorder.close_now().unwrap();
    let (events, _) = load(&path).unwrap();
    assert!(matches!(&events[0], Event::Phase(phase) if phase.phase == Phase::Main));
    assert!(
        matches!(&events[1], Event::Fault(fault) if fault.fault == 3 && fault.evidence == "pid 7")
    );
    assert!(matches!(&events[3], Event::Op(op)
        if op.kind == Kind::Ok && op.error.as_deref() == Some("corrupt-value: x")));
}

#[test]
fn a_history_is_never_written_over_and_a_closed_one_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.kqh");
    let recorder = Recorder::create(&path, Instant::now()).unwrap();
    let error = Recorder::create(&path, Instant::now())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("history.kqh") && error.contains("exists"),
        "{error}"
    );
    recorder.close_now().unwrap();
    assert!(matches!(
        recorder.phase(Phase::End),
        Err(RecordError::Closed)
    ));
    let absent = folder.path().join("absent/history.kqh");
    assert!(Recorder::create(&absent, Instant::now()).is_err());
}

/// What was recorded is on its way to the disk within 100 ms, whatever happens to the suite
/// afterwards: seen by another reader while the recorder is still open.
#[test]
fn what_was_recorded_can_be_read_while_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.kqh");
    let recorder = Recorder::create(&path, Instant::now()).unwrap();
    for count in 1..=3 {
        recorder.phase(Phase::Main).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while load(&path).map(|(events, _)| events.len()).unwrap_or(0) < count {
            assert!(
                Instant::now() < deadline,
                "event {count} never reached the file"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    recorder.close_now().unwrap();
}

/// Set in the process that is to be killed: where it records.
const VICTIM: &str = "KEYQUAKE_TEST_RECORDS_TO";

#[test]
fn a_killed_suite_leaves_its_history_up_to_the_last_moments() {
    if let Some(path) = std::env::var_os(VICTIM) {
        record_for_ever(Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.kqh");
    let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "recorder::a_killed_suite_leaves_its_history_up_to_the_last_moments",
        ])
        .env(VICTIM, &path)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let events_now = || load(&path).map(|(events, _)| events.len()).unwrap_or(0);
    let deadline = Instant::now() + Duration::from_secs(30);
    while events_now() < 1_000 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let seen = events_now();
    victim.kill().unwrap();
    victim.wait().unwrap();
    let (events, _) = load(&path).unwrap();
    assert!(
        events.len() >= seen && seen >= 1_000,
        "{seen} then {}",
        events.len()
    );
    assert!(
        (0..)
            .zip(&events)
            .all(|(place, event)| event.index() == place)
    );
}

/// Ends with the test that started it, at the latest after a while.
fn record_for_ever(path: &Path) {
    let recorder = Recorder::create(path, Instant::now()).unwrap();
    while recorder.elapsed() < Duration::from_secs(60) {
        recorder.phase(Phase::Main).unwrap();
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// `/dev/full` is a disk without room.
#[tokio::test]
async fn a_full_disk_is_reported_and_stops_the_run() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let recorder = Recorder::to_file(full, Instant::now()).unwrap();
    let setup = Setup {
        options: vec![WorkloadOptions::of(WorkloadName::Register)],
        seed: 1,
        connect: Arc::new(MemoryConnect(Arc::new(Memory::new(|_, _| None)))),
        leader: Arc::new(Fixed(None)),
        nodes: 1,
        recorder: recorder.clone(),
    };
    let (_stop, stopped) = watch::channel(false);
    let running = run(&setup, stopped, Duration::from_secs(3600));
    let ended = tokio::time::timeout(Duration::from_secs(30), running).await;
    let error = ended.expect("the run to stop").unwrap_err();
    assert!(
        matches!(error, RunError::Record(RecordError::Write(_))),
        "{error}"
    );
    assert!(
        error.to_string().contains("No space left on device"),
        "{error}"
    );
    assert!(matches!(recorder.failed().await, RecordError::Write(_)));
    assert!(recorder.phase(Phase::End).is_err());
    assert!(
        recorder
            .close()
            .await
            .unwrap_err()
            .to_string()
            .contains("No space left")
    );
    assert!(
        recorder.close().await.is_err(),
        "closing again tells the same"
    );
}

/// Resident memory of this process in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn memory_stays_flat() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.kqh");
    let recorder = Recorder::create(&path, Instant::now()).unwrap();
    let record = |count: u32| {
        for _ in 0..count {
            let invocation = recorder.invoke(0, 0, WRITE, Some(0)).unwrap();
            recorder.complete(invocation, Outcome::Ok(WRITE)).unwrap();
        }
    };
    record(300_000);
    let before = resident_kib();
    record(1_200_000);
    let after = resident_kib();
    let summary = recorder.close_now().unwrap();
    println!(
        "{} events, {} bytes on disk, {before} KiB resident after 600,000 events and {after} KiB at the end",
        summary.events, summary.bytes
    );
    // The events themselves are some 200 MB; other tests run beside this one.
    assert!(
        after < before + 64 * 1024,
        "{before} KiB grew to {after} KiB"
    );
}
