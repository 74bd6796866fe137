//! Stage 6F: a rotation asked for at start, at most once per leadership, by leaders only.

use crate::kit::{Lab, Purpose, Setup, together, wait};

const ALL: Setup = Setup::all("6f");
const ROTATING: Setup = Setup {
    rotate_on_startup: true,
    ..ALL
};

fn keys(lab: &Lab, node: usize) -> usize {
    lab.keys_of(node).keys.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_rotates_once_before_it_serves() {
    let mut lab = Lab::started(1, ALL).await;
    lab.enter_phase_2().await;
    lab.write("first", 5).await;
    lab.settle().await;
    for life in 1..=3 {
        let before = lab.keys_of(0);
        lab.restart_as(0, ROTATING);
        // Clients come in only when it is done.
        let _redis = lab.cluster.redis(0).await;
        let now = lab.keys_of(0);
        assert_ne!(now.active.storage, before.active.storage);
        assert_ne!(now.active.raft, before.active.raft);
        lab.settle().await;
        lab.write(&format!("life-{life}"), 5).await;
        assert_eq!(keys(&lab, 0), 2 + 2 * life, "once, both keys");
        lab.check().await;
    }
    lab.restart_as(0, ALL);
    lab.settle().await;
    assert_eq!(keys(&lab, 0), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_never_rotates_until_it_leads() {
    let mut lab = Lab::started(3, ALL).await;
    lab.enter_phase_2().await;
    lab.settle().await;
    lab.lead(0).await;
    let term = lab.cluster.status(0).await.expect("a status").term;
    for node in [1, 2] {
        lab.restart_as(node, ROTATING);
        // It is not held back: it opens its ports, and serves.
        let _redis = lab.cluster.redis(node).await;
        lab.settle().await;
    }
    lab.write("followers", 20).await;
    lab.settle().await;
    let status = lab.cluster.status(0).await.expect("a status");
    if status.state == 3 && status.term == term {
        assert_eq!(keys(&lab, 0), 2, "a follower rotated");
    }
    // In the same uptime one of them leads: at most once for each leadership.
    let before = keys(&lab, 0);
    lab.lead(1).await;
    lab.settle().await;
    lab.write("led", 20).await;
    lab.settle().await;
    let after = keys(&lab, 0);
    assert!(
        after == before || after == before + 2,
        "{before} keys, then {after}"
    );
    lab.lead(0).await;
    lab.lead(1).await;
    lab.write("again", 20).await;
    lab.settle().await;
    assert_eq!(keys(&lab, 0), after, "its one request is spent");
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolled_cluster_rotates_at_most_once_per_leadership() {
    let mut lab = Lab::started(3, ALL).await;
    lab.enter_phase_2().await;
    lab.settle().await;
    let from = lab.cluster.status(0).await.expect("a status").term;
    for node in 0..3 {
        lab.restart_as(node, ROTATING);
        lab.settle().await;
        lab.write(&format!("rolled-{node}"), 5).await;
    }
    let leaderships = lab.cluster.status(0).await.expect("a status").term - from;
    let rotations = keys(&lab, 0) - 2;
    println!("{leaderships} terms, {rotations} keys");
    assert!(rotations as u64 <= 2 * leaderships);
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_cluster_restarted_rotates_once() {
    let mut lab = Lab::started(3, ALL).await;
    lab.enter_phase_1().await;
    lab.write("first", 5).await;
    lab.settle().await;
    lab.kill_all();
    for node in 0..3 {
        lab.setups.insert(node, ROTATING);
    }
    let from = keys(&lab, 0);
    lab.start_all();
    lab.settle().await;
    wait("a rotation by the first leader", async || {
        match keys(&lab, 0) - from {
            0 => Err("no new key".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    lab.settle().await;
    lab.write("second", 5).await;
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_a_majority_starts_and_waits() {
    let mut lab = Lab::started(3, ALL).await;
    lab.enter_phase_2().await;
    lab.settle().await;
    lab.kill_all();
    for node in 0..3 {
        lab.setups.insert(node, ROTATING);
    }
    lab.start(0);
    lab.cluster
        .until(0, "a status without a leader", |s| s.state != 3)
        .await;
    lab.start_all();
    lab.settle().await;
    lab.write("whole", 5).await;
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_before_bootstrap_expires_quietly() {
    let mut lab = Lab::started(3, ROTATING).await;
    lab.write("first", 5).await;
    assert!((0..3).all(|node| lab.sidecar(node).is_none()));
    lab.enter_phase_1().await;
    lab.rotate(Purpose::Storage).await;
    lab.settle().await;
    lab.write("sealed", 5).await;
    // The first leader's request is over; each other's is good for one leadership.
    for _ in 0..2 {
        lab.check_everywhere().await;
        lab.settle().await;
        let made = keys(&lab, 0) - 3;
        assert!(made <= 4, "{made} keys made by two followers that led");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_release_ignores_the_request() {
    together(["6b", "6c", "6d", "6e"].map(ignores)).await;
}

async fn ignores(release: &'static str) {
    let setup = Setup::all(release);
    let mut lab = Lab::started(1, setup).await;
    lab.bootstrap().await;
    lab.settle().await;
    let rotating = Setup {
        rotate_on_startup: true,
        ..setup
    };
    lab.restart_as(0, rotating);
    lab.settle().await;
    lab.write("later", 5).await;
    assert_eq!(keys(&lab, 0), 2, "{release} rotated");
}
