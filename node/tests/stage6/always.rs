//! "What must work at any moment": restarts, replays, leadership that moves, calls that
//! end. Catching up by snapshot, late requests and members have files of their own.

use std::fs;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::kit::envelopes::assert_entries;
use crate::kit::load::Load;
use crate::kit::sidecar::copy_folder;
use crate::kit::{Call, Lab, Purpose, Setup, Sidecar, slow, together};

const ALL: Setup = Setup::all("6f");
/// The points of a cluster's life at which it is restarted.
const POINTS: [&str; 6] = [
    "before bootstrap",
    "after bootstrap",
    "after phase 1",
    "after a storage rotation",
    "after phase 2",
    "after a raft rotation",
];

/// Takes the cluster to a point from the one before.
async fn advance(lab: &mut Lab, point: &str) {
    match point {
        "after bootstrap" => drop(lab.bootstrap().await),
        "after phase 1" => drop(lab.enable(Purpose::Storage).await),
        "after a storage rotation" => drop(lab.rotate(Purpose::Storage).await),
        "after phase 2" => drop(lab.enable(Purpose::Raft).await),
        "after a raft rotation" => drop(lab.rotate(Purpose::Raft).await),
        _ => {}
    }
}

/// Nothing that a restart may not change has changed; every restarted node is an epoch on.
fn assert_kept(before: &[Option<Sidecar>], lab: &Lab, restarted: &[usize]) {
    for (node, before) in before.iter().enumerate() {
        let now = lab.sidecar(node);
        let Some(before) = before else {
            assert_eq!(now, None, "n{} made a sidecar by itself", node + 1);
            continue;
        };
        let now = now.expect("a sidecar");
        assert_eq!(before.shared(), now.shared(), "n{}", node + 1);
        for (id, key) in &before.keys {
            assert!(
                now.keys[id].local_epoch >= key.local_epoch,
                "an epoch went down"
            );
        }
        let later = now.storage_epoch() > before.storage_epoch();
        assert_eq!(
            later,
            restarted.contains(&node),
            "n{}: {before:?}, {now:?}",
            node + 1
        );
        if restarted.contains(&node) && before.raft_envelope_cutover_index != 0 {
            assert!(
                now.raft_epoch() > before.raft_epoch(),
                "n{}: {now:?}",
                node + 1
            );
        }
    }
}

/// Kills these nodes with SIGKILL, starts them, and looks whether all is as it was.
async fn restart(lab: &mut Lab, nodes: &[usize]) {
    let before: Vec<_> = (0..3).map(|node| lab.sidecar(node)).collect();
    for &node in nodes {
        lab.cluster.kill(node);
    }
    if let [node] = nodes {
        lab.note_nonces(*node);
    }
    lab.start_all();
    lab.settle().await;
    assert_kept(&before, lab, nodes);
}

async fn live(mut lab: Lab, rounds: usize, busy: bool) {
    lab.write("first", 5).await;
    for point in POINTS {
        lab.settle().await;
        advance(&mut lab, point).await;
        lab.settle().await;
        for round in 0..rounds {
            println!("{point}, round {round}");
            let load = busy.then(|| Load::start(&lab, 3, &format!("{point}-{round}")));
            if let Some(load) = &load {
                load.more(30).await;
            }
            let leader = lab.leader().await;
            let follower = (leader + 1) % 3;
            for nodes in [&[follower][..], &[leader], &[0, 1, 2]] {
                restart(&mut lab, nodes).await;
            }
            if let Some(load) = load {
                load.more(10).await;
                lab.written.extend(load.stop().await.acknowledged);
            } else {
                lab.write(&format!("{point}-{round}"), 5).await;
            }
            lab.check().await;
        }
    }
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_cluster_restarts_at_every_point() {
    let rounds = if slow("five rounds of restarts, idle") {
        5
    } else {
        1
    };
    live(Lab::started(3, ALL).await, rounds, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_cluster_with_snapshots_restarts_at_every_point() {
    let rounds = if slow("five rounds of restarts, busy") {
        5
    } else {
        1
    };
    live(Lab::snapshotting(3, ALL).await, rounds, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_with_snapshots_idle_and_without_busy() {
    if slow("restarts, idle with snapshots and busy without") {
        live(Lab::snapshotting(3, ALL).await, 3, false).await;
        live(Lab::started(3, ALL).await, 3, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_node_restarts_again_and_again() {
    let restarts = match slow("forty restarts of a lone node") {
        true => 40,
        false => 4,
    };
    together([false, true].map(|every_50| restart_lone_node(restarts, every_50))).await;
}

async fn restart_lone_node(restarts: u16, every_50: bool) {
    let mut lab = Lab::new(&[ALL]);
    if every_50 {
        lab.snapshot_often();
    }
    lab.start_all();
    lab.enter_phase_2().await;
    lab.settle().await;
    for life in 1..=restarts {
        lab.write(&format!("life-{life}"), 15).await;
        lab.restart(0);
        lab.settle().await;
        let keys = lab.keys_of(0);
        assert_eq!((keys.storage_epoch(), keys.raft_epoch()), (life, life));
        lab.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_life_uses_no_nonce_twice() {
    let mut lab = Lab::started(1, ALL).await;
    lab.watch = true;
    lab.enter_phase_2().await;
    lab.settle().await;
    lab.write("long", 1_000).await;
    lab.rotate(Purpose::Storage).await;
    lab.settle().await;
    lab.write("rotated", 100).await;
    lab.kill_all();
    assert!(lab.nonces.len() > 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_release_starts_where_an_earlier_one_stopped() {
    let mut lab = Lab::started(1, Setup::all("6b")).await;
    lab.bootstrap().await;
    lab.settle().await;
    for (release, next) in [("6c", "6d"), ("6d", "6e"), ("6e", "6f"), ("6f", "6f")] {
        lab.write(release, 3).await;
        lab.restart_as(0, Setup::all(release));
        lab.settle().await;
        match release {
            "6d" => drop(lab.enable(Purpose::Storage).await),
            "6e" => drop(lab.enable(Purpose::Raft).await),
            _ => drop(lab.rotate(Purpose::Raft).await),
        }
        lab.restart_as(0, Setup::all(next));
        lab.settle().await;
        lab.check().await;
    }
}

/// Kills the node and brings its state back to what it was: what a power loss may do to a
/// database that was not synced, but not to a sidecar, which is.
async fn replay(lab: &mut Lab, old_state: &std::path::Path) {
    lab.settle().await;
    let before = lab.keys_of(0);
    lab.kill(0);
    copy_folder(old_state, &lab.data_dir(0).join("fsm.db"));
    lab.start(0);
    lab.settle().await;
    let now = lab.keys_of(0);
    assert_eq!(before.shared(), now.shared());
    for (id, key) in &before.keys {
        assert!(
            now.keys[id].local_epoch >= key.local_epoch,
            "an epoch went down"
        );
    }
    assert_eq!(now.storage_epoch(), before.storage_epoch() + 1);
    lab.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encryption_entries_met_again_change_nothing() {
    let mut lab = Lab::started(1, ALL).await;
    lab.watch = true;
    lab.write("before", 3).await;
    lab.cluster.kill(0);
    let state = lab.cluster.dir().join("state");
    copy_folder(&lab.data_dir(0).join("fsm.db"), &state);
    lab.start(0);
    for point in POINTS {
        println!("{point}");
        advance(&mut lab, point).await;
        lab.write(point, 3).await;
        if lab.sidecar(0).is_some() {
            replay(&mut lab, &state).await;
        }
    }
    // What one replay leaves behind must not trip the next.
    replay(&mut lab, &state).await;
    assert!(lab.nonces.len() > 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_right_after_an_answer_starts() {
    let mut lab = Lab::started(3, ALL).await;
    for point in &POINTS[1..] {
        println!("{point}");
        lab.settle().await;
        let before = lab.sidecar(0).map_or(0, |s| s.raft_applied_index);
        advance(&mut lab, point).await;
        lab.kill_all();
        lab.start_all();
        lab.settle().await;
        assert!(
            lab.keys_of(0).raft_applied_index > before,
            "{point} is kept"
        );
        lab.write(point, 3).await;
    }
    lab.check_everywhere().await;
}

/// How a leader is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lost {
    Killed,
    /// It sleeps until another leads, and wakes believing that it leads.
    Paused,
}

/// Makes the call, loses the leader that has it, and makes it again.
async fn done_among_elections(lab: &mut Lab, call: &Call, round: u64, how: Lost) {
    let leader = lab.leader().await;
    let mut admin = lab.admin(leader).await;
    let pending = {
        let call = call.clone();
        tokio::spawn(async move { call.make(&mut admin).await.map(|done| done.index) })
    };
    sleep(Duration::from_micros(700 * (round % 16))).await;
    match how {
        Lost::Killed => lab.kill(leader),
        Lost::Paused => lab.cluster.pause(leader),
    }
    lab.done(call).await;
    match how {
        Lost::Killed => lab.start(leader),
        Lost::Paused => lab.cluster.resume(leader),
    }
    let answer = timeout(Duration::from_secs(10), pending).await;
    let answer = answer.expect("an end of the call").expect("a call");
    println!("leader {how:?}: {answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_moves_inside_every_operation() {
    let lives = if slow("twelve lives with leaders killed inside operations") {
        12
    } else {
        1
    };
    let mut round = rand::random::<u64>() % 16;
    for _ in 0..lives {
        let mut lab = Lab::started(3, ALL).await;
        lab.watch = true;
        lab.write("first", 5).await;
        let call = lab.bootstrap_call().await;
        round += 1;
        done_among_elections(&mut lab, &call, round, Lost::Killed).await;
        for (purpose, cutover) in [
            (Purpose::Storage, true),
            (Purpose::Storage, false),
            (Purpose::Raft, true),
            (Purpose::Raft, false),
        ] {
            lab.settle().await;
            let call = if cutover {
                // The gate wants every member up: it is asked while they are.
                let call = lab.enable_call(purpose).await;
                let target = (lab.leader().await + 1) % 3;
                let (pending, ()) = tokio::join!(lab.done(&call), lab.lead(target));
                println!("{purpose:?} cutover at {}", pending.index);
                continue;
            } else {
                lab.rotate_call(purpose).await
            };
            round += 1;
            done_among_elections(&mut lab, &call, round, Lost::Killed).await;
            lab.write(&format!("{purpose:?}"), 5).await;
        }
        lab.settle().await;
        assert_eq!(lab.keys_of(0).keys.len(), 4, "one key for each call");
        lab.check_everywhere().await;
        let cutover = lab.keys_of(0).raft_envelope_cutover_index;
        lab.settle().await;
        lab.kill_all();
        for node in 0..3 {
            assert!(assert_entries(&lab, node, cutover) > 5);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_turn_under_load_while_leadership_moves() {
    let rounds = match slow("forty rotations under load while leadership moves") {
        true => 40,
        false => 4,
    };
    let mut lab = Lab::started(3, ALL).await;
    lab.watch = true;
    lab.enter_phase_1().await;
    let load = Load::start(&lab, 3, "load");
    let cutover = {
        let call = lab.enable_call(Purpose::Raft).await;
        let target = (lab.leader().await + 1) % 3;
        tokio::join!(lab.done(&call), lab.lead(target)).0.index
    };
    for round in 0..rounds {
        let purpose = match round % 3 {
            0 => Purpose::Storage,
            _ => Purpose::Raft,
        };
        lab.settle().await;
        let call = lab.rotate_call(purpose).await;
        if round % 2 == 0 {
            let target = (lab.leader().await + 1) % 3;
            tokio::join!(lab.done(&call), lab.lead(target));
        } else {
            let how = if round % 4 == 1 {
                Lost::Killed
            } else {
                Lost::Paused
            };
            done_among_elections(&mut lab, &call, round, how).await;
        }
        load.more(20).await;
    }
    lab.written.extend(load.stop().await.acknowledged);
    lab.settle().await;
    lab.check_everywhere().await;
    lab.settle().await;
    let keys = lab.keys_of(0);
    assert_eq!(keys.keys.len() as u64, 2 + rounds);
    assert_eq!(keys.raft_envelope_cutover_index, cutover);
    lab.kill_all();
    for node in 0..3 {
        assert!(assert_entries(&lab, node, cutover) > 30);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_ends_on_a_leader_that_halts() {
    let mut lab = Lab::started(3, ALL).await;
    lab.bootstrap().await;
    lab.write("before", 5).await;
    lab.settle().await;
    let leader = lab.leader().await;
    let call = lab.rotate_call(Purpose::Storage).await;
    // A sidecar that can't be written halts the apply: its folder is gone.
    let (folder, aside) = (lab.sidecar_dir(leader), lab.cluster.dir().join("aside"));
    fs::rename(&folder, &aside).expect("a folder aside");
    // All connected before the first is sent: the leader won't be there for long.
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push((lab.cluster.kv(leader).await, lab.admin(leader).await));
    }
    let mut pending = tokio::task::JoinSet::new();
    for (number, (mut kv, mut admin)) in clients.into_iter().enumerate() {
        let put = elastickv_wire::RawPutRequest {
            key: format!("pending-{number}").into(),
            value: "v".into(),
        };
        let call = call.clone();
        pending.spawn(async move {
            match number % 4 {
                0 => call.make(&mut admin).await.map(|_| ()),
                _ => kv.raw_put(put).await.map(|_| ()),
            }
        });
    }
    while let Some(ended) = timeout(Duration::from_secs(10), pending.join_next())
        .await
        .expect("an end of every call")
    {
        println!("{:?}", ended.expect("a call"));
    }
    assert_eq!(lab.cluster.exit_code(leader).await, Some(1));
    let said = lab.said(leader);
    assert!(said.contains(crate::kit::HALT), "{said}");
    fs::rename(&aside, &folder).expect("a folder back");
    lab.start(leader);
    lab.settle().await;
    lab.done(&call).await;
    lab.settle().await;
    assert_eq!(lab.keys_of(leader).keys.len(), 3);
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_ends_without_a_majority() {
    let mut lab = Lab::started(3, ALL).await;
    lab.enter_phase_2().await;
    lab.settle().await;
    let leader = lab.leader().await;
    let calls = [
        lab.rotate_call(Purpose::Storage).await,
        lab.enable_call(Purpose::Raft).await,
        lab.enable_call(Purpose::Storage).await,
    ];
    let mut admin = lab.admin(leader).await;
    for node in (0..3).filter(|&node| node != leader) {
        lab.cluster.kill(node);
    }
    for call in &calls {
        let answer = timeout(Duration::from_secs(10), call.make(&mut admin)).await;
        println!("{:?}", answer.expect("an end of the call"));
    }
    lab.start_all();
    lab.settle().await;
    assert!(lab.keys_of(0).keys.len() <= 3);
    lab.check_everywhere().await;
}
