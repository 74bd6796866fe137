//! The client loop and the recorder together: what they record about clients that misbehave is
//! a well-formed history, and says what happened.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::memory::{Fixed, Memory, MemoryConnect, Misbehave};
use elle_rs::history::file::load;
use elle_rs::history::{Action, Event, Kind, Op, Phase};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending, ready};
use keyquake_workloads::{
    LeaderHint, Outcome, Protocol, Recorder, RunError, RunSummary, Setup, Summary, Target,
    WorkloadName, WorkloadOptions, final_reads, run,
};
use tokio::sync::watch;

const NODES: u16 = 3;

fn options(name: WorkloadName) -> WorkloadOptions {
    WorkloadOptions {
        rate: 2_000.0,
        op_timeout: Duration::from_millis(50),
        ..WorkloadOptions::of(name)
    }
}

fn setup(misbehave: Misbehave, hint: Option<u16>, recorder: &Recorder) -> Setup {
    let leader: Arc<dyn LeaderHint> = Arc::new(Fixed(hint));
    Setup {
        options: vec![
            WorkloadOptions {
                cas: true,
                ..options(WorkloadName::Register)
            },
            options(WorkloadName::Append),
        ],
        seed: 11,
        connect: Arc::new(MemoryConnect(Arc::new(Memory::new(misbehave)))),
        leader,
        nodes: NODES,
        recorder: recorder.clone(),
    }
}

fn in_all_ways(number: u64, _: u16) -> Option<BoxFuture<'static, Outcome>> {
    Some(match number {
        _ if number.is_multiple_of(97) => pending().boxed(),
        _ if number.is_multiple_of(11) => fail("refused: no"),
        _ if number.is_multiple_of(13) => {
            ready(Outcome::Info("lost: no answer".to_owned())).boxed()
        }
        _ if number.is_multiple_of(101) => async { panic!("told to panic") }.boxed(),
        _ if number.is_multiple_of(103) => {
            let another = Action::Write { key: 9, value: 9 };
            ready(Outcome::Ok(another)).boxed()
        }
        _ => return None,
    })
}

fn node_0_is_dead(_: u64, node: u16) -> Option<BoxFuture<'static, Outcome>> {
    (node == 0).then(|| fail("connect: nobody there; nothing was sent"))
}

fn all_fail(_: u64, _: u16) -> Option<BoxFuture<'static, Outcome>> {
    Some(fail("refused: no"))
}

fn all_hang(_: u64, _: u16) -> Option<BoxFuture<'static, Outcome>> {
    Some(pending().boxed())
}

fn fail(text: &str) -> BoxFuture<'static, Outcome> {
    ready(Outcome::Fail(text.to_owned())).boxed()
}

struct Ran {
    events: Vec<Event>,
    summary: RunSummary,
    closed: Summary,
}

impl Ran {
    fn ops(&self) -> impl Iterator<Item = &Op> {
        self.events.iter().filter_map(|event| match event {
            Event::Op(op) => Some(op),
            _ => None,
        })
    }

    fn count(&self, kind: Kind) -> u64 {
        self.ops().filter(|op| op.kind == kind).count() as u64
    }
}

/// Runs, reads everything back and returns what the history says.
async fn whole_run(misbehave: Misbehave, time_ms: u64) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.kqh");
    let recorder = Recorder::create(&path, Instant::now()).unwrap();
    let setup = setup(misbehave, Some(1), &recorder);
    let (_stop, stopped) = watch::channel(false);
    recorder.phase(Phase::Main).unwrap();
    let summary = run(&setup, stopped, Duration::from_millis(time_ms))
        .await
        .unwrap();
    recorder.phase(Phase::Final).unwrap();
    final_reads(&setup, &summary, Duration::from_secs(10))
        .await
        .unwrap();
    recorder.phase(Phase::End).unwrap();
    let closed = recorder.close().await.unwrap();
    assert_eq!(closed.bytes, std::fs::metadata(&path).unwrap().len());
    Ran {
        events: read(&path),
        summary,
        closed,
    }
}

fn read(path: &Path) -> Vec<Event> {
    let (events, torn) = load(path).unwrap();
    assert!(torn.is_none());
    events
}

/// One order, one open operation per process, none after `info`, completions that fit.
fn assert_well_formed(events: &[Event]) {
    let mut open = HashMap::<u32, &Op>::new();
    let mut over = HashSet::new();
    let mut last_time_ns = 0;
    for (place, event) in (0..).zip(events) {
        assert_eq!(event.index(), place);
        assert!(event.time_ns() >= last_time_ns);
        last_time_ns = event.time_ns();
        let Event::Op(op) = event else { continue };
        if op.kind == Kind::Invoke {
            assert!(!over.contains(&op.process), "{op:?} after an info");
            assert!(
                open.insert(op.process, op).is_none(),
                "{op:?} on top of another"
            );
            continue;
        }
        let invoked = open.remove(&op.process).unwrap();
        assert_eq!(invoked.node, op.node);
        assert_eq!(
            std::mem::discriminant(&invoked.action),
            std::mem::discriminant(&op.action)
        );
        match op.kind {
            Kind::Ok => assert_eq!(op.error, None),
            _ => assert!(op.error.is_some() && op.action == invoked.action),
        }
        if op.kind == Kind::Info {
            over.insert(op.process);
        }
    }
    assert!(open.is_empty(), "still open: {open:?}");
}

#[tokio::test]
async fn misbehaving_clients_make_well_formed_histories() {
    let ran = whole_run(in_all_ways, 600).await;
    assert_well_formed(&ran.events);
    let says = |kind: Kind, text: &str| {
        let errors = ran.ops().filter(|op| op.kind == kind);
        errors
            .filter(|op| {
                op.error
                    .as_ref()
                    .is_some_and(|error| error.starts_with(text))
            })
            .count()
    };
    assert!(says(Kind::Info, "timeout: no answer within 50ms") > 0);
    assert!(says(Kind::Info, "lost: ") > 0);
    assert!(says(Kind::Info, "client-bug: panicked: told to panic") > 0);
    assert!(says(Kind::Info, "client-bug: asked ") > 0);
    assert_eq!(says(Kind::Fail, "refused: ") as u64, ran.count(Kind::Fail));
    let bugs: u64 = ran
        .summary
        .workloads
        .iter()
        .map(|workload| workload.client_bugs)
        .sum();
    assert!(bugs > 0);
    assert!(
        ran.summary
            .workloads
            .iter()
            .any(|workload| workload.first_client_bug.is_some())
    );

    // The counters and the history tell the same.
    let live = &ran.closed.live.workloads;
    for (kind, counted) in [
        (
            Kind::Ok,
            live.iter().map(|workload| workload.ok).sum::<u64>(),
        ),
        (Kind::Fail, live.iter().map(|workload| workload.fail).sum()),
        (Kind::Info, live.iter().map(|workload| workload.info).sum()),
    ] {
        assert_eq!(ran.count(kind), counted);
    }
    assert!(live.iter().all(|workload| workload.open == 0));
    assert!(live[0].kinds.iter().any(|kind| kind.latency.count > 0));
    assert_eq!(ran.closed.events, ran.events.len() as u64);
}

#[tokio::test]
async fn every_key_is_read_back_through_every_node() {
    let ran = whole_run(|_, _| None, 300).await;
    let end = ran
        .events
        .iter()
        .position(|event| matches!(event, Event::Phase(phase) if phase.phase == Phase::Final));
    let mut read = HashMap::<(u64, bool), HashSet<u16>>::new();
    for event in &ran.events[end.unwrap()..] {
        let Event::Op(op) = event else { continue };
        if op.kind != Kind::Ok {
            continue;
        }
        let (key, list) = match &op.action {
            Action::Read { key, .. } => (*key, false),
            Action::Txn { steps } => match steps.as_slice() {
                [elle_rs::history::Step::Read { key, .. }] => (*key, true),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        read.entry((key, list))
            .or_default()
            .insert(op.node.unwrap());
    }
    for (workload, list) in ran.summary.workloads.iter().zip([false, true]) {
        assert!(!workload.keys.is_empty());
        for key in workload.keys.clone() {
            assert_eq!(read[&(key, list)].len(), 3, "nodes that gave key {key}");
        }
    }
}

#[tokio::test]
async fn keys_that_one_node_does_not_give_are_read_through_another() {
    let ran = whole_run(node_0_is_dead, 100).await;
    assert_well_formed(&ran.events);
    assert!(ran.count(Kind::Fail) > 0);
}

#[tokio::test]
async fn final_reads_end_by_their_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::create(&folder.path().join("h"), Instant::now()).unwrap();
    let setup = setup(all_fail, None, &recorder);
    let (_stop, stopped) = watch::channel(false);
    let summary = run(&setup, stopped, Duration::from_millis(50))
        .await
        .unwrap();
    let last = final_reads(&setup, &summary, Duration::from_millis(300))
        .await
        .unwrap();
    assert_eq!(last.keys_read, 0);
    assert!(last.keys_unread.contains(&(0, 0)));
    assert!(last.reads >= 3 * last.keys_unread.len() as u64);
    recorder.close().await.unwrap();
}

#[tokio::test]
async fn targets_reach_the_nodes_they_name() {
    for (target, hint, expected) in [
        (Target::Leader, Some(1), vec![1]),
        (Target::Leader, None, vec![0, 1, 2]),
        (Target::Any, Some(1), vec![0, 1, 2]),
        (Target::Each, Some(1), vec![0, 1, 2]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.kqh");
        let recorder = Recorder::create(&path, Instant::now()).unwrap();
        let mut setup = setup(|_, _| None, hint, &recorder);
        setup
            .options
            .iter_mut()
            .for_each(|options| options.target = target);
        let (_stop, stopped) = watch::channel(false);
        run(&setup, stopped, Duration::from_millis(100))
            .await
            .unwrap();
        recorder.close().await.unwrap();
        let events = read(&path);
        let mut nodes = HashSet::new();
        let mut node_of_process = HashMap::<u32, HashSet<u16>>::new();
        for event in &events {
            if let Event::Op(op) = event {
                nodes.insert(op.node.unwrap());
                node_of_process
                    .entry(op.process)
                    .or_default()
                    .insert(op.node.unwrap());
            }
        }
        let mut nodes: Vec<u16> = nodes.into_iter().collect();
        nodes.sort_unstable();
        assert_eq!(nodes, expected, "{target} with hint {hint:?}");
        if target == Target::Each {
            assert!(node_of_process.values().all(|nodes| nodes.len() == 1));
        }
    }
}

#[tokio::test]
async fn operations_that_find_no_idle_client_run_late_and_that_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::create(&folder.path().join("h"), Instant::now()).unwrap();
    let mut setup = setup(all_hang, None, &recorder);
    setup.options.truncate(1);
    setup.options[0].clients = 2;
    setup.options[0].rate = 1_000.0;
    let (_stop, stopped) = watch::channel(false);
    let summary = run(&setup, stopped, Duration::from_millis(400))
        .await
        .unwrap();
    recorder.close().await.unwrap();
    let workload = &summary.workloads[0];
    // Two clients, 50 ms each: some 16 of about 400 arrivals can be served.
    assert!(workload.operations <= 20, "{workload:?}");
    assert!(workload.unserved > 200, "{workload:?}");
    assert!(
        workload.lag.max > Duration::from_millis(100),
        "{workload:?}"
    );
}

#[tokio::test]
async fn a_stop_ends_the_run_early_with_nothing_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.kqh");
    let recorder = Recorder::create(&path, Instant::now()).unwrap();
    let setup = setup(|_, _| None, None, &recorder);
    let (stop, stopped) = watch::channel(false);
    let running =
        tokio::spawn(async move { run(&setup, stopped, Duration::from_secs(3600)).await });
    while recorder
        .snapshot()
        .workloads
        .iter()
        .map(|workload| workload.ok)
        .sum::<u64>()
        < 100
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.send_replace(true);
    let ended = tokio::time::timeout(Duration::from_secs(30), running).await;
    ended.expect("the run to end").unwrap().unwrap();
    recorder.close().await.unwrap();
    assert_well_formed(&read(&path));
}

#[tokio::test]
async fn what_can_not_be_run_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::create(&folder.path().join("h"), Instant::now()).unwrap();
    let (_stop, stopped) = watch::channel(false);
    let mut setup = setup(|_, _| None, None, &recorder);
    setup.options[1].protocol = Protocol::Grpc;
    let error = run(&setup, stopped.clone(), Duration::from_secs(1))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("append cannot run over grpc"),
        "{error}"
    );
    setup.nodes = 0;
    let error = run(&setup, stopped, Duration::from_secs(1))
        .await
        .unwrap_err();
    assert!(matches!(error, RunError::NoNodes));
    assert_eq!(recorder.close().await.unwrap().events, 0);
}
