//! Starts that guards must refuse which look at more than flag and KEK: folder, epochs, ids,
//! cutover index. And two calls that stand in the same table.

use std::fs;

use elastickv_wire::RaftAdminStatusResponse;

use crate::kit::sidecar::copy_folder;
use crate::kit::{Call, Kek, Setup};
use crate::run::{ALL, Run};
use crate::symptom::{Finding, Symptom};

const STARTED: Symptom = Symptom::StartedUnguarded;

pub async fn guards(bug: Option<&'static str>) -> Vec<Finding> {
    let mut run = Run::new(bug, &[ALL]);
    run.lab.snapshot_often();
    before_keys(&mut run).await;
    let cutover = run.enter_phase_2().await;
    run.write("sealed", 120).await;
    let cut = move |s: &RaftAdminStatusResponse| s.last_snapshot_index > cutover;
    run.lab.cluster.until(0, "snapshot", cut).await;
    let older = run.lab.cluster.dir().join("older");
    run.lab.kill(0);
    copy_folder(&run.lab.sidecar_dir(0), &older);
    for life in ["second", "third"] {
        run.lab.start(0);
        run.write(life, 5).await;
        run.lab.kill(0);
    }
    let now = run.save("now");

    copy_folder(&older, &run.lab.sidecar_dir(0));
    run.must_refuse(ALL, (STARTED, "ErrLocalEpochRollback"))
        .await;
    run.restore(&now);
    run.lab.edit_sidecar(0, |sidecar| {
        let id = sidecar["active"]["storage"].to_string();
        sidecar["keys"][id]["local_epoch"] = 0xFFFF.into();
    });
    run.must_refuse(ALL, (STARTED, "ErrLocalEpochExhausted"))
        .await;
    run.restore(&now);
    run.lab.edit_sidecar(0, |s| {
        s["raft_envelope_cutover_index"] = (cutover + 1).into()
    });
    let divergence = (STARTED, "ErrEnvelopeCutoverDivergence");
    run.must_refuse(ALL, divergence).await;
    run.restore(&now);

    run.lab.setups.insert(0, ALL);
    run.lab.start(0);
    run.write("goes-on", 5).await;
    run.check().await;
    let twins = twins(bug, &run).await;
    run.found.extend(twins);
    run.found
}

/// What is refused where there are no keys yet.
async fn before_keys(run: &mut Run) {
    let no_kek = Setup {
        kek: Kek::None,
        ..ALL
    };
    run.must_refuse(no_kek, (STARTED, "ErrKEKRequiredWithFlag"))
        .await;
    // A folder of /proc can't be synced, and this one is empty.
    let folder = run.lab.sidecar_dir(0);
    fs::remove_dir(&folder).expect("an empty folder");
    std::os::unix::fs::symlink("/proc/tty/ldisc", &folder).expect("a link");
    run.must_refuse(ALL, (STARTED, "ErrUnsupportedFilesystem"))
        .await;
    fs::remove_file(&folder).expect("the link");
    fs::create_dir(&folder).expect("a folder");

    run.lab.setups.insert(0, ALL);
    run.lab.start(0);
    let id = run.lab.full_node_id(run.leader().await);
    let early = run.call(&Call::enable_raft(id, 0)).await;
    let what = format!("{early:?}");
    run.find_if(early.is_ok(), Symptom::CutOverWithoutKeys, what);
    let call = run.lab.bootstrap_call().await.with_epoch(0x1_0000);
    let taken = run.call(&call).await;
    let what = format!("{taken:?}");
    run.find_if(taken.is_ok(), Symptom::EpochOverSixteenBits, what);
    if taken.is_ok() {
        // There are keys now, which this scenario is to make itself.
        run.lab.kill(0);
        fs::remove_dir_all(run.lab.data_dir(0)).expect("a disk");
        fs::remove_file(run.lab.sidecar_path(0)).expect("a sidecar");
        run.lab.start(0);
    }
}

/// Two members that share 16 bits, under storage keys that are in use.
async fn twins(bug: Option<&'static str>, donor: &Run) -> Vec<Finding> {
    let mut run = Run::new(bug, &[ALL, ALL]);
    // Both end in 0x73fe.
    let names = [(0, "n498".to_owned()), (1, "n784".to_owned())];
    run.lab.cluster.names.extend(names);
    copy_folder(&donor.lab.sidecar_dir(0), &run.lab.sidecar_dir(0));
    let (kek, own) = (donor.lab.kek_path(Kek::Own), run.lab.kek_path(Kek::Own));
    fs::copy(kek, own).expect("the same KEK");
    run.must_refuse(ALL, (STARTED, "ErrNodeIDCollision")).await;
    run.found
}
