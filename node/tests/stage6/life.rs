//! The whole life of a cluster: from 5D to 6F by rolling restarts, under load.

use crate::kit::envelopes::assert_entries;
use crate::kit::load::Load;
use crate::kit::{Lab, Purpose, Setup};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_5d_to_6f_by_rolling_restarts_under_load() {
    let mut lab = Lab::new(&[Setup::bare("5d"); 3]);
    lab.snapshot_often();
    lab.watch = true;
    lab.start_all();
    lab.leader().await;
    let load = Load::start(&lab, 3, "life");
    let mut cutover = 0;
    for release in ["6a", "6b", "6c", "6d", "6e", "6f"] {
        for node in 0..3 {
            lab.restart_as(node, Setup::all(release));
            lab.settle().await;
        }
        load.more(10).await;
        match release {
            "6b" => drop(lab.bootstrap().await),
            "6c" => drop(lab.rotate(Purpose::Raft).await),
            "6d" => {
                lab.enable(Purpose::Storage).await;
                lab.rotate(Purpose::Storage).await;
            }
            "6e" => {
                cutover = lab.enable(Purpose::Raft).await.index;
                lab.rotate(Purpose::Raft).await;
            }
            _ => {}
        }
        lab.write(release, 5).await;
        load.more(10).await;
    }
    lab.written.extend(load.stop().await.acknowledged);
    lab.settle().await;
    lab.check_everywhere().await;
    lab.settle().await;
    lab.write("tail", 5).await;
    let keys = lab.keys_of(0);
    assert_eq!(keys.keys.len(), 5);
    assert!(keys.storage_envelope_active);
    lab.kill_all();
    let mut sealed = 0;
    for node in 0..3 {
        sealed += assert_entries(&lab, node, cutover);
        lab.assert_no_bare_key(node);
        let folder = lab.cluster.dir().join(lab.cluster.name(node));
        let late = |key: &str| key.starts_with("6f-") || key.starts_with("tail-");
        for (key, value) in lab.written.iter().filter(|(key, _)| late(key)) {
            assert_nowhere(&folder, key, value);
        }
    }
    assert!(sealed > 0, "no sealed entry is left to look at");
    println!("{} nonces, no two alike", lab.nonces.len());
}

/// The bytes stand in no file below a folder.
fn assert_nowhere(folder: &std::path::Path, key: &str, value: &str) {
    for (path, bytes) in crate::kit::sidecar::bytes_of(folder) {
        let found = bytes.windows(value.len()).any(|at| at == value.as_bytes());
        assert!(!found, "the value of {key} is in {}", path.display());
    }
}
