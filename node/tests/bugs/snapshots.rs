//! A follower is away, comes back by snapshot, and restarts on a log that was cut.

use std::collections::BTreeMap;

use elastickv_wire::RaftAdminStatusResponse;

use crate::kit::disk;
use crate::kit::sidecar::bytes_of;
use crate::run::{ALL, Run, Start};
use crate::symptom::{Finding, Symptom};

pub async fn snapshots(bug: Option<&'static str>) -> Vec<Finding> {
    let mut run = Run::new(bug, &[ALL; 3]);
    run.lab.snapshot_often();
    run.lab.start_all();
    let cutover = run.enter_phase_2().await;
    run.caught_up().await;
    let away = run.follower().await;
    run.lab.kill(away);
    let missed = run.lab.keys_of(run.leader().await).raft_applied_index;
    run.write("missed", 130).await;
    let cut = move |s: &RaftAdminStatusResponse| s.last_snapshot_index > missed + 40;
    let leader = run.leader().await;
    run.lab.cluster.until(leader, "snapshot", cut).await;
    for _ in 0..2 {
        run.lab.start(away);
        if let Start::Ended(said) = run.started(away).await {
            run.find(Symptom::RefusedToStart, said);
            return run.found;
        }
        run.caught_up().await;
        run.write("back", 60).await;
        run.caught_up().await;
        run.lab.kill(away);
    }
    run.lab.kill_all();
    compare(&mut run);
    headers(&mut run, cutover);
    run.found
}

/// All nodes applied the same entries: their rows are the same but for who sealed them.
fn compare(run: &mut Run) {
    let rows = |node| -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        let rows = disk::values(&run.lab.data_dir(node)).into_iter();
        rows.map(|row| {
            let opened = disk::open_value(&row, &run.deks);
            (row.key, opened)
        })
        .collect()
    };
    let all: Vec<_> = (0..3).map(rows).collect();
    let mut wrong = Vec::new();
    for (one, other) in [(0, 1), (1, 2), (2, 0)] {
        let differs =
            |(key, value): &(&Vec<u8>, &Option<Vec<u8>>)| all[other].get(*key) != Some(value);
        wrong.extend(all[one].iter().filter(differs).map(|(key, _)| {
            let key = String::from_utf8_lossy(key);
            format!("n{} has {key}, n{} does not", one + 1, other + 1)
        }));
    }
    for what in wrong {
        run.find(Symptom::ReplicasDiffer, what);
    }
}

/// Every snapshot from the cutover on says where it was.
fn headers(run: &mut Run, cutover: u64) {
    for node in 0..3 {
        let mut seen = 0;
        for (path, bytes) in bytes_of(&run.lab.data_dir(node).join("fsm-snap")) {
            let name = path.file_stem().and_then(|name| name.to_str());
            let index = name.and_then(|name| u64::from_str_radix(name, 16).ok());
            if index.is_none_or(|index| index < cutover) {
                continue;
            }
            seen += 1;
            let second = &bytes[..8] == b"EKVTHLC2" && bytes[18..26] == cutover.to_be_bytes();
            let what = format!("{}: {:x?}", path.display(), &bytes[..26]);
            run.find_if(!second, Symptom::SnapshotCutover, what);
        }
        assert!(seen > 0, "n{} has no snapshot above {cutover}", node + 1);
    }
}
