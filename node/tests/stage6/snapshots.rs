//! Catching up by snapshot past encryption entries, and restarting on a log that was cut.

use elastickv_wire::RaftAdminStatusResponse;

use crate::guards::assert_snapshot_header;
use crate::kit::{Lab, Purpose, Setup, slow};

const ALL: Setup = Setup::all("6f");

/// What happens while a follower is away.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Until {
    Bootstrap,
    Phase1,
    StorageRotation,
    Phase2,
    RaftRotation,
}
const STEPS: [Until; 5] = [
    Until::Bootstrap,
    Until::Phase1,
    Until::StorageRotation,
    Until::Phase2,
    Until::RaftRotation,
];

async fn step(lab: &mut Lab, step: Until) {
    match step {
        Until::Bootstrap => drop(lab.bootstrap().await),
        Until::Phase1 => drop(lab.enable(Purpose::Storage).await),
        Until::StorageRotation => drop(lab.rotate(Purpose::Storage).await),
        Until::Phase2 => drop(lab.enable(Purpose::Raft).await),
        Until::RaftRotation => drop(lab.rotate(Purpose::Raft).await),
    }
    lab.settle().await;
}

/// A follower misses the steps from one on to another, and must come by snapshot. The
/// cutovers want every member up, so it comes back for them where it is away before.
async fn away(from: Until, to: Until) {
    println!("away from {from:?} to {to:?}");
    let mut lab = Lab::snapshotting(3, ALL).await;
    lab.lead(0).await;
    lab.write("first", 10).await;
    for step_ in STEPS.into_iter().filter(|step| *step <= to) {
        let cutover = matches!(step_, Until::Phase1 | Until::Phase2);
        if step_ >= from {
            lab.settle().await;
            lab.lead(0).await;
            if cutover {
                // Gone as soon as the gate has asked it: the entry itself it may not see.
                let call = match step_ {
                    Until::Phase1 => lab.enable_call(Purpose::Storage).await,
                    _ => lab.enable_call(Purpose::Raft).await,
                };
                lab.done(&call).await;
            }
            lab.cluster.kill(2);
        }
        if !(cutover && step_ >= from) {
            step(&mut lab, step_).await;
        }
        if step_ >= from {
            come_back(&mut lab, &format!("{step_:?}")).await;
        }
    }
    finish(&mut lab).await;
}

async fn come_back(lab: &mut Lab, name: &str) {
    let missed = lab.keys_of(0).raft_applied_index;
    lab.write(name, 120).await;
    let cut = move |s: &RaftAdminStatusResponse| s.last_snapshot_index > missed;
    for node in [0, 1] {
        lab.cluster.until(node, "snapshot", cut).await;
    }
    lab.start(2);
    lab.settle().await;
    let said = lab.said(2);
    assert!(
        said.contains("installing a snapshot"),
        "it came by snapshot: {said}"
    );
}

/// Its own state is whole: it leads, reads and writes; also after another restart.
async fn finish(lab: &mut Lab) {
    lab.check_on(2).await;
    lab.lead(2).await;
    lab.write("under-n3", 10).await;
    lab.restart(2);
    lab.settle().await;
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_misses_one_step_after_another() {
    away(Until::Bootstrap, Until::RaftRotation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_misses_each_step_alone() {
    if !slow("a follower away during each step alone") {
        return;
    }
    for step in STEPS {
        away(step, step).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_misses_bootstrap_and_rotations_at_once() {
    let mut lab = Lab::snapshotting(3, ALL).await;
    lab.write("first", 10).await;
    lab.settle().await;
    lab.lead(0).await;
    lab.cluster.kill(2);
    lab.bootstrap().await;
    for purpose in [Purpose::Storage, Purpose::Raft, Purpose::Storage] {
        lab.rotate(purpose).await;
    }
    come_back(&mut lab, "missed").await;
    assert_eq!(lab.keys_of(2).keys.len(), 5);
    lab.enable(Purpose::Storage).await;
    lab.enable(Purpose::Raft).await;
    finish(&mut lab).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_misses_rotations_of_both_keys_in_phase_2() {
    let mut lab = Lab::snapshotting(3, ALL).await;
    let cutover = lab.enter_phase_2().await;
    lab.settle().await;
    lab.lead(0).await;
    lab.cluster.kill(2);
    lab.rotate(Purpose::Storage).await;
    lab.rotate(Purpose::Raft).await;
    // The leader's epoch moves on, too: entries under keys that n3 has never seen.
    lab.restart(1);
    come_back(&mut lab, "missed").await;
    finish(&mut lab).await;
    lab.settle().await;
    lab.kill_all();
    for node in 0..3 {
        assert_snapshot_header(&lab, node, cutover);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_untouched_node_restarts_on_a_log_cut_far_above_its_sidecar() {
    let mut lab = Lab::snapshotting(3, ALL).await;
    lab.enter_phase_2().await;
    lab.settle().await;
    for round in 0..3 {
        let newest = lab.keys_of(0).raft_applied_index;
        lab.write(&format!("round-{round}"), 130).await;
        let cut = move |s: &RaftAdminStatusResponse| s.last_snapshot_index > newest + 60;
        for node in 0..3 {
            lab.cluster.until(node, "snapshot", cut).await;
        }
        lab.restart(2);
        lab.settle().await;
        lab.kill_all();
        lab.start_all();
        lab.settle().await;
    }
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_killed_while_it_catches_up_comes_all_the_same() {
    let mut lab = Lab::snapshotting(3, ALL).await;
    lab.enter_phase_2().await;
    lab.settle().await;
    lab.lead(0).await;
    lab.cluster.kill(2);
    lab.rotate(Purpose::Storage).await;
    lab.rotate(Purpose::Raft).await;
    lab.write("missed", 150).await;
    let tries = if slow("thirty kills while a follower catches up") {
        30
    } else {
        4
    };
    for life in 0..tries {
        lab.start(2);
        let moment = std::time::Duration::from_millis(15 + 97 * life % 120);
        tokio::time::sleep(moment).await;
        lab.cluster.kill(2);
    }
    lab.start(2);
    lab.settle().await;
    finish(&mut lab).await;
}
