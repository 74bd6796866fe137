//! The table "The stages": what each release does, and what it must refuse.

use std::os::unix::fs::PermissionsExt as _;

use elastickv_wire::{Empty, ResyncSidecarRequest};

use crate::kit::envelopes::{assert_entries, assert_values};
use crate::kit::sidecar::copy_folder;
use crate::kit::{Call, Kek, Lab, Purpose, Refused, Setup, disk, together};

const GATE: Refused =
    Refused::precondition(&["encryption: proposer is not configured on this node"]);
const ANY: Refused = Refused::precondition(&[]);

async fn refuses_every_mutator(setup: Setup, how: &'static Refused) {
    println!("{setup:?}");
    let mut lab = Lab::started(1, setup).await;
    for call in lab.every_mutator().await {
        lab.refused(&call, how).await;
    }
    assert_eq!(lab.sidecar(0), None);
    lab.restart(0);
    lab.leader().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stages_5d_and_6a_refuse_every_mutator_whatever_the_flags() {
    for release in ["5d", "6a"] {
        let all = Setup::all(release);
        let rotating = Setup {
            rotate_on_startup: true,
            ..all
        };
        let setups = [Setup::bare(release), all, rotating];
        together(setups.map(|setup| refuses_every_mutator(setup, &ANY))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stage_5d_halts_at_every_encryption_entry() {
    let payloads = [
        disk::registration(7, 1, 0),
        disk::bootstrap((7, &[7; 60]), (8, &[8; 60]), 1),
        disk::rotation(7, &[7; 60], 1),
    ];
    together(payloads.map(stage_5d_halts)).await;
}

async fn stage_5d_halts(payload: Vec<u8>) {
    let mut lab = Lab::started(1, Setup::all("5d")).await;
    lab.write("before", 5).await;
    lab.cluster.kill(0);
    let index = disk::append(&lab.data_dir(0), &payload);
    for _ in 0..2 {
        lab.start(0);
        lab.halts(0, index, "FSM apply failed; halting apply").await;
    }
    assert_eq!(lab.sidecar(0), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stage_6a_registration_inserts_advances_or_halts() {
    let cases = [
        ("a lower epoch", WRITER, 2),
        ("the same epoch", WRITER, 3),
        ("another id on the same 16 bits", 0xdcba_0000_0000_1234, 4),
    ];
    together(cases.map(|(what, id, epoch)| registrations_on_6a(what, id, epoch))).await;
}

const WRITER: u64 = 0xabcd_0000_0000_1234;

/// Two registrations that are taken, and a last one that is not.
async fn registrations_on_6a(what: &str, last: u64, last_epoch: u16) {
    println!("{what}");
    let dek = 7;
    let mut lab = Lab::started(1, Setup::bare("6a")).await;
    let row = |lab: &Lab| disk::writers(&lab.data_dir(0))[&(dek, 0x1234)];
    let taken = |last_seen| disk::Writer {
        full_node_id: WRITER,
        first_seen: 1,
        last_seen,
    };
    for epoch in [1, 3] {
        lab.cluster.kill(0);
        disk::append(&lab.data_dir(0), &disk::registration(dek, WRITER, epoch));
        lab.start(0);
        lab.leader().await;
        lab.cluster.kill(0);
        assert_eq!(row(&lab), taken(epoch));
    }
    let entry = disk::registration(dek, last, last_epoch);
    let index = disk::append(&lab.data_dir(0), &entry);
    for _ in 0..2 {
        lab.start(0);
        lab.halts(0, index, "FSM apply failed; halting apply").await;
    }
    assert_eq!(row(&lab), taken(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stage_6a_halts_at_bootstrap_and_rotation_and_6b_takes_them_up() {
    together([Setup::bare("6a"), Setup::all("6a")].map(bootstrap_on_6a)).await;
}

async fn bootstrap_on_6a(setup: Setup) {
    let mut lab = Lab::started(1, setup).await;
    lab.write("before", 5).await;
    lab.cluster.kill(0);
    let ((storage, wrapped_storage), (raft, wrapped_raft)) = (lab.new_dek(), lab.new_dek());
    let bootstrap = disk::bootstrap(
        (storage, &wrapped_storage),
        (raft, &wrapped_raft),
        lab.full_node_id(0),
    );
    let index = disk::append(&lab.data_dir(0), &bootstrap);
    for _ in 0..2 {
        lab.start(0);
        lab.halts(0, index, "ErrKEKNotConfigured").await;
    }
    assert_eq!(lab.sidecar(0), None);
    assert!(disk::writers(&lab.data_dir(0)).is_empty());
    lab.restart_as(0, Setup::all("6b"));
    lab.settle().await;
    let sidecar = lab.keys_of(0);
    assert_eq!(
        (sidecar.active.storage, sidecar.active.raft),
        (storage, raft)
    );
    assert_eq!(sidecar.raft_applied_index, index);
    lab.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stage_6a_halts_at_rotation() {
    let mut lab = Lab::started(1, Setup::all("6a")).await;
    lab.cluster.kill(0);
    let (dek, wrapped) = lab.new_dek();
    let rotation = disk::rotation(dek, &wrapped, lab.full_node_id(0));
    let index = disk::append(&lab.data_dir(0), &rotation);
    for _ in 0..2 {
        lab.start(0);
        lab.halts(0, index, "ErrKEKNotConfigured").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stage_6b_mutates_only_with_flag_kek_and_sidecar_path() {
    let setup = |combination: u8| Setup {
        enabled: combination & 1 != 0,
        kek: if combination & 2 != 0 {
            Kek::Own
        } else {
            Kek::None
        },
        sidecar: combination & 4 != 0,
        ..Setup::bare("6b")
    };
    let refuses = |combination| refuses_every_mutator(setup(combination), &GATE);
    together((0..4).map(refuses)).await;
    together((4..7).map(refuses)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stage_6b_bootstraps_and_rotates_on_every_node() {
    let mut lab = Lab::started(3, Setup::all("6b")).await;
    lab.write("before", 10).await;
    let call = lab.bootstrap_call().await;
    let done = lab.done(&call).await;
    let Call::Bootstrap(request) = &call else {
        panic!("a bootstrap");
    };
    lab.settle().await;
    for node in 0..3 {
        let sidecar = lab.keys_of(node);
        assert_eq!(sidecar.raft_applied_index, done.index);
        assert_eq!(sidecar.active.storage, request.storage_dek_id);
        assert_eq!(sidecar.active.raft, request.raft_dek_id);
        assert!(!sidecar.storage_envelope_active);
        assert_eq!(sidecar.raft_envelope_cutover_index, 0);
        let key = |id: u32| {
            (
                sidecar.keys[&id].purpose.clone(),
                sidecar.keys[&id].wrapped(),
            )
        };
        let wrapped = request.wrapped_storage_dek.to_vec();
        assert_eq!(key(request.storage_dek_id), ("storage".to_owned(), wrapped));
        let wrapped = request.wrapped_raft_dek.to_vec();
        assert_eq!(key(request.raft_dek_id), ("raft".to_owned(), wrapped));
        let path = lab.sidecar_path(node);
        let mode = std::fs::metadata(path)
            .expect("a sidecar")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let mut newest = done.index;
    for purpose in [Purpose::Storage, Purpose::Raft] {
        let done = lab.rotate(purpose).await;
        assert!(done.index > newest);
        newest = done.index;
        lab.settle().await;
        assert_eq!(lab.keys_of(2).raft_applied_index, newest);
    }
    assert_eq!(lab.keys_of(0).keys.len(), 4, "old keys stay");
    assert_answers(&lab).await;
    lab.write("after", 10).await;
    lab.check_everywhere().await;
    lab.kill_all();
    for row in disk::values(&lab.data_dir(0)) {
        assert_eq!(row.value[0] & 6, 0, "6B encrypts nothing: {row:x?}");
    }
    let writers = disk::writers(&lab.data_dir(0));
    for node in 0..3 {
        assert_eq!(
            writers,
            disk::writers(&lab.data_dir(node)),
            "registries differ"
        );
        let id = lab.full_node_id(node);
        for dek in [request.storage_dek_id, request.raft_dek_id] {
            assert_eq!(writers[&(dek, id as u16)].full_node_id, id);
        }
    }
}

/// What the nodes say of their keys is what their sidecars hold: wrapped.
async fn assert_answers(lab: &Lab) {
    let leader = lab.leader().await;
    for node in 0..3 {
        let sidecar = lab.keys_of(node);
        let mut admin = lab.admin(node).await;
        let state = admin.get_sidecar_state(Empty {}).await;
        let state = state.expect("a state").into_inner();
        assert_eq!(state.active_storage_id, sidecar.active.storage);
        assert_eq!(state.active_raft_id, sidecar.active.raft);
        assert_eq!(
            state.storage_envelope_active,
            sidecar.storage_envelope_active
        );
        let mut answers = vec![state.wrapped_deks_by_id];
        let report = admin.get_capability(Empty {}).await;
        let report = report.expect("a report").into_inner();
        assert!(report.sidecar_present);
        assert_eq!(report.full_node_id, lab.full_node_id(node));
        if node == leader {
            let request = ResyncSidecarRequest {
                caller_full_node_id: lab.full_node_id(0),
            };
            let resync = admin.resync_sidecar(request).await;
            answers.push(resync.expect("a resync").into_inner().wrapped_deks_by_id);
        }
        for wrapped in answers {
            assert_eq!(wrapped.len(), sidecar.keys.len());
            for (id, bytes) in wrapped {
                assert_eq!(bytes.to_vec(), sidecar.keys[&id].wrapped());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leads_rotates_also_where_nobody_registers_by_itself() {
    for release in ["6b", "6c"] {
        let mut lab = Lab::started(3, Setup::all(release)).await;
        lab.bootstrap().await;
        for leader in 0..3 {
            lab.lead(leader).await;
            for purpose in [Purpose::Storage, Purpose::Raft] {
                lab.rotate(purpose).await;
            }
        }
        // From 6D on everybody registers, and phase 1 asks for it.
        for node in 0..3 {
            lab.restart_as(node, Setup::all("6d"));
            lab.settle().await;
        }
        lab.enable(Purpose::Storage).await;
        lab.write("sealed", 5).await;
        lab.check_everywhere().await;
        assert_eq!(lab.keys_of(0).keys.len(), 8);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cutover_is_refused_before_its_stage() {
    let both = &[Purpose::Storage, Purpose::Raft][..];
    let cases = [("6b", both), ("6c", both), ("6d", &[Purpose::Raft])];
    together(cases.map(|(release, purposes)| cutovers_are_refused(release, purposes))).await;
}

async fn cutovers_are_refused(release: &'static str, purposes: &[Purpose]) {
    let mut lab = Lab::started(1, Setup::all(release)).await;
    lab.bootstrap().await;
    if release == "6d" {
        lab.enable(Purpose::Storage).await;
    }
    lab.settle().await;
    for purpose in purposes {
        println!("{release} {purpose:?}");
        lab.refused(&lab.enable_call(*purpose).await, &ANY).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stage_6d_seals_values_written_after_its_cutover() {
    let mut lab = Lab::started(3, Setup::all("6d")).await;
    lab.write("clear", 10).await;
    let bootstrap = lab.bootstrap().await;
    lab.write("between", 10).await;
    let first = lab.enable(Purpose::Storage).await;
    assert!(!first.was_already_active && first.summary == 3, "{first:?}");
    assert!(bootstrap.index < first.index);
    lab.settle().await;
    lab.write("sealed", 30).await;
    lab.rotate(Purpose::Storage).await;
    lab.settle().await;
    lab.write("resealed", 10).await;
    let again = lab.enable(Purpose::Storage).await;
    assert!(again.was_already_active, "{again:?}");
    assert_eq!(
        again.index, first.index,
        "the cutover's index never changes"
    );
    lab.check_everywhere().await;
    lab.settle().await;
    lab.kill_all();
    for node in 0..3 {
        assert_values(&lab, node, first.index);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stage_6e_seals_entries_strictly_above_its_cutover() {
    let mut lab = Lab::started(3, Setup::all("6e")).await;
    lab.enter_phase_1().await;
    lab.write("below", 10).await;
    let first = lab.enable(Purpose::Raft).await;
    assert!(!first.was_already_active && first.summary == 3, "{first:?}");
    lab.write("above", 20).await;
    lab.rotate(Purpose::Raft).await;
    lab.settle().await;
    lab.write("rotated", 20).await;
    let again = lab.enable(Purpose::Raft).await;
    assert!(again.was_already_active, "{again:?}");
    assert_eq!(
        again.index, first.index,
        "the cutover's index never changes"
    );
    let leader = lab.leader().await;
    lab.restart(leader);
    lab.settle().await;
    lab.write("restarted", 10).await;
    lab.check_everywhere().await;
    lab.settle().await;
    lab.kill_all();
    for node in 0..3 {
        let sidecar = lab.keys_of(node);
        assert_eq!(sidecar.raft_envelope_cutover_index, first.index);
        assert!(sidecar.storage_envelope_cutover_index < first.index);
        assert!(assert_entries(&lab, node, first.index) > 30);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stage_6e_halts_at_an_entry_above_the_cutover_that_does_not_open() {
    let mut lab = Lab::started(1, Setup::all("6e")).await;
    lab.enter_phase_2().await;
    lab.write("k", 5).await;
    lab.cluster.kill(0);
    let before = lab.cluster.dir().join("before");
    copy_folder(&lab.data_dir(0), &before);
    // A command in the clear, and an envelope under an active key that was tampered with.
    let clear = [&[0x00, 0x0a, 0x08, 0x0a, 0x06][..], b"\x0a\x01k\x12\x01v"].concat();
    let key = lab.keys_of(0).active.raft.to_be_bytes();
    let garbage = [&[1, 0][..], &key, &[9; 60]].concat();
    for payload in [clear, garbage] {
        copy_folder(&before, &lab.data_dir(0));
        let index = disk::append(&lab.data_dir(0), &payload);
        for _ in 0..2 {
            lab.start(0);
            assert_eq!(lab.cluster.exit_code(0).await, Some(1));
            let said = lab.said(0);
            assert!(said.contains("ErrRaftUnwrapFailed"), "{said}");
            assert!(said.contains(&format!("entry_index={index}")), "{said}");
            let applied = disk::applied(&lab.data_dir(0));
            assert!(applied < index, "applied {applied}, halted at {index}");
        }
    }
    copy_folder(&before, &lab.data_dir(0));
    lab.start(0);
    lab.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_sequence_leaves_one_set_of_keys() {
    let mut lab = Lab::started(3, Setup::all("6f")).await;
    lab.write("first", 10).await;
    let bootstrap = lab.bootstrap_call().await;
    let mut impatient = lab.admin(lab.leader().await).await;
    // Whatever became of a call that nobody waited for, asking again ends in one state.
    let hasty = std::time::Duration::from_millis(2);
    let _ = tokio::time::timeout(hasty, bootstrap.make(&mut impatient)).await;
    lab.done(&bootstrap).await;
    lab.settle().await;
    let keys = lab.keys_of(0).keys;
    for purpose in [Purpose::Storage, Purpose::Raft] {
        let call = lab.enable_call(purpose).await;
        let _ = tokio::time::timeout(hasty, call.make(&mut impatient)).await;
        let first = lab.done(&call).await;
        lab.settle().await;
        let again = lab.done(&call).await;
        assert_eq!(first.index, again.index);
        lab.done(&bootstrap).await;
    }
    lab.settle().await;
    let after = lab.keys_of(1);
    assert_eq!(after.keys.len(), 2);
    for (id, key) in &keys {
        assert_eq!(after.keys[id].wrapped(), key.wrapped());
    }
    lab.check_everywhere().await;
}
