//! Members that come, are promoted, and come back with an empty disk, while keys are in use.

use std::fs;

use crate::kit::members::As;
use crate::kit::{Kek, Lab, Purpose, Setup, disk, keys, together};

const ALL: Setup = Setup::all("6f");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_comes_by_snapshot_and_becomes_a_voter() {
    together((0..=2).map(learner_in_phase)).await;
}

async fn learner_in_phase(phase: u8) {
    println!("phase {phase}");
    let mut lab = Lab::snapshotting(3, ALL).await;
    lab.write("clear", 60).await;
    if phase > 0 {
        lab.enter_phase_1().await;
        lab.settle().await;
        lab.write("phase-1", 60).await;
        lab.rotate(Purpose::Storage).await;
    }
    if phase > 1 {
        lab.enable(Purpose::Raft).await;
        lab.settle().await;
        lab.write("phase-2", 60).await;
        lab.rotate(Purpose::Raft).await;
    }
    lab.write("late", 60).await;
    let index = lab.join(3, ALL, As::Learner).await;
    let learner = lab.cluster.status(3).await.expect("a status");
    assert!(
        learner.last_snapshot_index >= index,
        "newcomers come by snapshot"
    );
    if phase == 0 {
        lab.enter_phase_2().await;
        lab.settle().await;
    }
    let (own, leaders) = (lab.keys_of(3), lab.keys_of(lab.leader().await));
    assert_eq!(own.shared(), leaders.shared());
    // Clients are served: its public port is open, and what it forwards is sealed.
    let mut redis = lab.cluster.redis(3).await;
    let said: String = redis::cmd("PING")
        .query_async(&mut redis)
        .await
        .expect("a PONG");
    assert_eq!(said, "PONG");
    lab.promote(lab.leader().await, 3)
        .await
        .expect("a promotion");
    lab.write("promoted", 10).await;
    lab.restart(3);
    lab.settle().await;
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_is_added_directly() {
    let mut lab = Lab::snapshotting(3, ALL).await;
    lab.enter_phase_2().await;
    lab.settle().await;
    lab.write("sealed", 60).await;
    lab.join(3, ALL, As::Voter).await;
    lab.write("four", 10).await;
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_that_comes_back_with_an_empty_disk_uses_no_epoch_again() {
    let mut lab = Lab::snapshotting(3, ALL).await;
    lab.watch = true;
    lab.enter_phase_2().await;
    lab.write("first", 20).await;
    for round in 0..3 {
        lab.settle().await;
        lab.lead(0).await;
        for _ in 0..round {
            lab.restart(2);
            lab.settle().await;
        }
        let old = lab.keys_of(2);
        lab.write(&format!("used-{round}"), 10).await;
        lab.settle().await;
        lab.lead(0).await;
        lab.remove(2).await;
        lab.kill(2);
        fs::remove_dir_all(lab.data_dir(2)).expect("a wiped disk");
        fs::remove_dir_all(lab.sidecar_dir(2)).expect("a wiped disk");
        lab.write(&format!("without-{round}"), 10).await;
        let role = if round == 1 { As::Learner } else { As::Voter };
        lab.join(2, ALL, role).await;
        if role == As::Learner {
            lab.promote(lab.leader().await, 2)
                .await
                .expect("a promotion");
        }
        let now = lab.keys_of(2);
        for (id, key) in &old.keys {
            let epoch = now.keys[id].local_epoch;
            assert!(
                epoch > key.local_epoch,
                "{id}: {epoch} after {}",
                key.local_epoch
            );
        }
        lab.write(&format!("back-{round}"), 10).await;
        lab.check_everywhere().await;
        if round < 2 {
            lab.rotate(Purpose::Storage).await;
        }
    }
    lab.settle().await;
    lab.kill_all();
    let own = lab.full_node_id(2) as u16;
    let (epochs, deks) = (lab.keys_of(2), lab.deks(2));
    for row in disk::values(&lab.data_dir(2)) {
        let Some(used) = keys::envelope_key(&row.value[9..]).filter(|_| row.value[0] == 2) else {
            continue;
        };
        let (writer, epoch, _) = keys::nonce_parts(&row.value[9..]);
        assert!(writer != own || epoch <= epochs.keys[&used].local_epoch);
        assert!(disk::open_value(&row, &deks).is_some(), "{row:x?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_with_another_clusters_kek_never_serves() {
    let foreign = Setup {
        kek: Kek::Other,
        ..ALL
    };
    let mut lab = Lab::snapshotting(3, ALL).await;
    lab.enter_phase_1().await;
    lab.settle().await;
    lab.write("sealed", 60).await;
    lab.start_newcomer(3, foreign);
    lab.cluster.patiently(3).await;
    let leader = lab.leader().await;
    // Nobody can ask it which KEK it has, so it may be let in; it must end then.
    for life in 0..2 {
        if life > 0 {
            lab.start(3);
        } else if let Err(status) = lab.add(leader, 3, As::Learner).await {
            println!("refused: {status}");
            lab.kill(3);
            break;
        }
        let code = lab.cluster.exit_code(3).await;
        let said = lab.said(3);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("ErrKEKMismatch"), "{said}");
    }
    lab.setups.insert(3, ALL);
    lab.start(3);
    if lab.members(leader).await.len() == 3 {
        lab.cluster.patiently(3).await;
        let index = lab.add(leader, 3, As::Learner).await;
        index.expect("a new member");
    }
    lab.settle().await;
    lab.promote(lab.leader().await, 3)
        .await
        .expect("a promotion");
    lab.write("four", 5).await;
    lab.check_everywhere().await;
}
