//! Requests that no replica could apply are refused by name before they are proposed;
//! repeated and late ones change nothing.

use crate::kit::{Call, Lab, Purpose, Refused, Setup, disk, keys, wait};

const ALL: Setup = Setup::all("6f");
const ARGUMENT: Refused = Refused::argument(&[]);
const ROLLBACK: Refused = Refused::precondition(&["ErrLocalEpochRollback"]);
const COLLISION: Refused = Refused::precondition(&["ErrNodeIDCollision"]);
const MISMATCH: Refused = Refused::precondition(&["ErrKEKMismatch"]);
const REUSED: Refused = Refused::precondition(&["already loaded with different key material"]);
const SECOND: Refused = Refused::precondition(&["cluster already bootstrapped"]);
/// The epoch, or the member it should be of, is not one the registry knows.
const STRANGER: Refused = Refused::precondition(&["registered", "not a member"]);

/// Three nodes in phase 2, each restarted once, so that epochs are above 0.
async fn grown() -> Lab {
    let mut lab = Lab::started(3, ALL).await;
    lab.enter_phase_2().await;
    lab.settle().await;
    for node in 0..3 {
        lab.restart(node);
        lab.settle().await;
    }
    lab.write("written", 5).await;
    lab
}

async fn all_live(lab: &mut Lab) {
    assert_eq!(lab.running().len(), 3);
    lab.settle().await;
    lab.write("still", 3).await;
    lab.check_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_that_make_no_sense() {
    let mut lab = Lab::started(1, ALL).await;
    let Call::Bootstrap(good) = lab.bootstrap_call().await else {
        panic!("a bootstrap");
    };
    let edit = |edit: &dyn Fn(&mut elastickv_wire::BootstrapEncryptionRequest)| {
        let mut request = good.clone();
        edit(&mut request);
        Call::Bootstrap(request)
    };
    for call in [
        edit(&|r| r.storage_dek_id = 0),
        edit(&|r| r.raft_dek_id = 0),
        edit(&|r| r.raft_dek_id = r.storage_dek_id),
        edit(&|r| r.wrapped_storage_dek = bytes::Bytes::new()),
        edit(&|r| r.wrapped_raft_dek = vec![1; 5_000].into()),
        edit(&|r| r.writer_batch.clear()),
        edit(&|r| r.writer_batch.push(r.writer_batch[0])),
        edit(&|r| r.writer_batch[0].full_node_id = 0),
        edit(&|r| r.writer_batch[0].local_epoch = 1),
        edit(&|r| r.writer_batch[0].local_epoch = 0x1_0000),
    ] {
        lab.refused(&call, &ARGUMENT).await;
    }
    assert_eq!(lab.sidecar(0), None);
    lab.bootstrap().await;
    lab.settle().await;
    let Call::Rotate(good) = lab.rotate_call(Purpose::Storage).await else {
        panic!("a rotation");
    };
    let edit = |edit: &dyn Fn(&mut elastickv_wire::RotateDekRequest)| {
        let mut request = good.clone();
        edit(&mut request);
        Call::Rotate(request)
    };
    let raft = lab.keys_of(0).active.raft;
    for call in [
        edit(&|r| r.purpose = 0),
        edit(&|r| r.purpose = 7),
        edit(&|r| r.new_dek_id = 0),
        edit(&|r| r.new_dek_id = raft),
        edit(&|r| r.wrapped_new_dek = bytes::Bytes::new()),
        edit(&|r| r.wrapped_new_dek = vec![1; 5_000].into()),
        edit(&|r| r.proposer_node_id = 0),
        Call::register(0, good.proposer_node_id, 1),
        Call::register(good.new_dek_id, 0, 1),
        Call::enable_storage(0, 0),
        Call::enable_raft(0, 0),
        Call::Register(elastickv_wire::RegisterEncryptionWriterRequest {
            dek_id: raft,
            writers: Vec::new(),
        }),
    ] {
        lab.refused(&call, &ARGUMENT).await;
    }
    lab.done(&Call::Rotate(good)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bootstrap_that_no_replica_could_apply() {
    let mut lab = Lab::started(3, ALL).await;
    let call = lab.bootstrap_call().await;
    let Call::Bootstrap(good) = call.clone() else {
        panic!("a bootstrap");
    };
    let foreign = keys::wrap(&rand::random(), &rand::random());
    let with = |edit: &dyn Fn(&mut elastickv_wire::BootstrapEncryptionRequest)| {
        let mut request = good.clone();
        edit(&mut request);
        Call::Bootstrap(request)
    };
    for bad in [
        with(&|r| r.wrapped_storage_dek = foreign.clone()),
        with(&|r| r.wrapped_raft_dek = vec![7; 60].into()),
        with(&|r| r.wrapped_raft_dek = r.wrapped_raft_dek.slice(..59)),
    ] {
        lab.refused(&bad, &MISMATCH).await;
    }
    let left_out = with(&|r| r.writer_batch.truncate(2));
    let how = Refused::precondition(&["every member"]);
    lab.refused(&left_out, &how).await;
    assert!((0..3).all(|node| lab.sidecar(node).is_none()));
    lab.done(&call).await;
    lab.settle().await;
    let keys = lab.keys_of(0).keys;
    let (_, rewrapped) = lab.new_dek();
    let dek = keys::unwrap(&lab.kek, &good.wrapped_storage_dek).expect("a key");
    let same_key = keys::wrap(&lab.kek, &dek);
    for second in [
        with(&|r| r.storage_dek_id += 1_000),
        with(&|r| r.raft_dek_id += 1_000),
        with(&|r| r.wrapped_storage_dek = rewrapped.clone()),
        with(&|r| r.wrapped_storage_dek = same_key.clone()),
        with(&|r| std::mem::swap(&mut r.storage_dek_id, &mut r.raft_dek_id)),
    ] {
        lab.refused(&second, &SECOND).await;
    }
    assert_eq!(lab.keys_of(0).keys, keys);
    all_live(&mut lab).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_no_replica_could_apply() {
    let mut lab = grown().await;
    for purpose in [Purpose::Storage, Purpose::Raft] {
        let Call::Rotate(good) = lab.rotate_call(purpose).await else {
            panic!("a rotation");
        };
        let with = |edit: &dyn Fn(&mut elastickv_wire::RotateDekRequest)| {
            let mut request = good.clone();
            edit(&mut request);
            Call::Rotate(request)
        };
        let active = lab.keys_of(0).active;
        let used = match purpose {
            Purpose::Storage => active.storage,
            Purpose::Raft => active.raft,
        };
        for bad in [
            with(&|r| r.wrapped_new_dek = keys::wrap(&rand::random(), &rand::random())),
            with(&|r| r.wrapped_new_dek = vec![7; 60].into()),
        ] {
            lab.refused(&bad, &MISMATCH).await;
        }
        lab.refused(&with(&|r| r.new_dek_id = used), &REUSED).await;
        // Every node's epoch is 1 by now.
        lab.refused(&with(&|r| r.proposer_local_epoch = 0), &ROLLBACK)
            .await;
        lab.refused(&with(&|r| r.proposer_local_epoch += 1), &STRANGER)
            .await;
        // The 16 bits of a member, and the whole of nobody.
        lab.refused(&with(&|r| r.proposer_node_id ^= 0xff00_0000), &COLLISION)
            .await;
        lab.refused(&with(&|r| r.proposer_node_id = 77), &STRANGER)
            .await;
    }
    all_live(&mut lab).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registrations_that_no_replica_could_apply() {
    let mut lab = grown().await;
    let active = lab.keys_of(0).active;
    let (own, namesake) = (lab.full_node_id(1), lab.full_node_id(1) ^ 0xff00_0000);
    for dek in [active.storage, active.raft] {
        lab.refused(&Call::register(dek, own, 0), &ROLLBACK).await;
        lab.refused(&Call::register(dek, namesake, 5), &COLLISION)
            .await;
    }
    let unknown_key = Refused::precondition(&["is not known"]);
    lab.refused(&Call::register(4_000_000, own, 1), &unknown_key)
        .await;
    all_live(&mut lab).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cutovers_that_no_replica_could_apply() {
    let mut lab = Lab::started(3, ALL).await;
    lab.bootstrap().await;
    lab.settle().await;
    for node in 0..3 {
        lab.restart(node);
        lab.settle().await;
    }
    for purpose in [Purpose::Storage, Purpose::Raft] {
        let call = lab.enable_call(purpose).await;
        if purpose == Purpose::Storage {
            lab.refused(&call.with_epoch(0), &ROLLBACK).await;
        }
        lab.refused(&call.with_epoch(7), &STRANGER).await;
        lab.refused(&call.by(1), &STRANGER).await;
        lab.done(&call).await;
        lab.settle().await;
    }
    all_live(&mut lab).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_and_late_requests_change_nothing() {
    let mut lab = Lab::started(3, ALL).await;
    let mut calls = vec![lab.bootstrap_call().await];
    lab.done(&calls[0]).await;
    for step in 0..6 {
        lab.settle().await;
        let call = match step {
            0 => lab.enable_call(Purpose::Storage).await,
            3 => lab.enable_call(Purpose::Raft).await,
            1 | 2 => lab.rotate_call(Purpose::Storage).await,
            _ => lab.rotate_call(Purpose::Raft).await,
        };
        lab.done(&call).await;
        // At once.
        let again = lab.done(&call).await;
        println!("{call:?} again: {again:?}");
        calls.push(call);
        if step == 4 {
            lab.settle().await;
            let leader = lab.leader().await;
            lab.restart(leader);
        }
    }
    lab.settle().await;
    let before: Vec<_> = (0..3).map(|node| lab.keys_of(node)).collect();
    // Late: each after all the others, in both orders.
    let backwards = calls.iter().rev();
    for call in calls.iter().chain(backwards) {
        late(&lab, call).await;
    }
    lab.settle().await;
    for (node, before) in before.iter().enumerate() {
        let now = lab.keys_of(node);
        assert_eq!(now.active, before.active, "an active id went back");
        assert_eq!(now.keys, before.keys);
        assert!(now.storage_envelope_active);
        let cutover = before.raft_envelope_cutover_index;
        assert_eq!(now.raft_envelope_cutover_index, cutover);
    }
    all_live(&mut lab).await;
}

/// A late request is taken or refused for certain.
async fn late(lab: &Lab, call: &Call) {
    wait("an answer to a late request", async || {
        let leader = lab.leader().await;
        let answer = call.make(&mut lab.admin(leader).await).await;
        match answer {
            Ok(done) => println!("late: taken: {done:?}"),
            Err(status) if status.message().contains("not leader") => {
                return Err(status.to_string());
            }
            Err(status) => {
                println!("late: {status}");
                assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status}");
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_is_taken_once_and_repeated_for_nothing() {
    let mut lab = Lab::started(1, ALL).await;
    lab.enter_phase_1().await;
    lab.settle().await;
    let dek = lab.keys_of(0).active.storage;
    let call = Call::register(dek, lab.full_node_id(0), 0);
    lab.done(&call).await;
    lab.done(&call).await;
    let rows = lab.registered(lab.full_node_id(0)).await.expect("rows");
    assert!(rows.contains(&(dek, 0)), "{rows:?}");
    lab.restart(0);
    lab.settle().await;
    lab.refused(&call, &ROLLBACK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_refuses_every_mutator() {
    let mut lab = Lab::started(3, ALL).await;
    let calls = lab.every_mutator().await;
    let leader = lab.leader().await;
    let follower = (leader + 1) % 3;
    lab.cluster
        .until(follower, "leader", |s| !s.leader_id.is_empty())
        .await;
    let mut admin = lab.admin(follower).await;
    for call in &calls {
        let status = call.make(&mut admin).await.expect_err("a refusal");
        assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status}");
        assert!(
            status.message().contains("encryption: not leader"),
            "{status}"
        );
    }
    assert!((0..3).all(|node| lab.sidecar(node).is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_in_the_log_itself_change_nothing() {
    let mut lab = Lab::started(1, ALL).await;
    lab.bootstrap().await;
    for purpose in [Purpose::Storage, Purpose::Storage, Purpose::Raft] {
        lab.rotate(purpose).await;
        lab.settle().await;
    }
    lab.enable(Purpose::Storage).await;
    lab.write("written", 5).await;
    lab.settle().await;
    let before = lab.keys_of(0);
    lab.cluster.kill(0);
    // Bootstrap and the rotation family, each once more, oldest first.
    let entries = disk::payloads(&lab.data_dir(0)).into_iter();
    let again: Vec<_> = entries
        .filter(|(_, data)| [4, 5].contains(&data[0]))
        .collect();
    assert_eq!(again.len(), 5);
    for (_, payload) in again {
        disk::append(&lab.data_dir(0), &payload);
    }
    lab.start(0);
    lab.settle().await;
    let after = lab.keys_of(0);
    assert_eq!(before.active, after.active, "an active id went back");
    assert_eq!(before.shared().keys, after.shared().keys);
    assert!(after.storage_envelope_active);
    let cutover = before.storage_envelope_cutover_index;
    assert_eq!(after.storage_envelope_cutover_index, cutover);
    lab.check().await;
}
