//! Every way to tamper, on real files.

use keyquake_cluster::{Launch, NodeAddresses};

use super::*;

struct Run {
    dir: tempfile::TempDir,
}

const SIDECAR: &str = r#"{"version":2,"raft_envelope_cutover_index":9,"active":{"storage":7,"raft":8},
 "keys":{"7":{"purpose":"storage","local_epoch":3},"8":{"purpose":"raft","local_epoch":3}}}"#;

impl Run {
    fn new() -> Self {
        let run = Run {
            dir: tempfile::tempdir().unwrap(),
        };
        for node in ["n1", "n2"] {
            let disk = run.disk(node);
            fs::create_dir_all(disk.data.join("wal")).unwrap();
            fs::create_dir_all(&disk.keys).unwrap();
            run.write(node, "one");
            fs::write(&disk.sidecar, SIDECAR).unwrap();
        }
        run
    }

    fn disk(&self, node: &str) -> Disk {
        Disk::of(&NodeSpec {
            id: node.to_owned(),
            index: 0,
            release: "6f".to_owned(),
            data_dir: self.dir.path().join("nodes").join(node),
            log_dir: self.dir.path().join("logs"),
            addresses: NodeAddresses {
                ip: [127, 0, 0, 1].into(),
                ports: Default::default(),
            },
            launch: Launch {
                program: "/bin/true".into(),
                args: vec![],
                env: vec![],
            },
        })
    }

    fn write(&self, node: &str, text: &str) {
        let text = format!("{text} of {node}");
        fs::write(self.disk(node).data.join("wal/1"), text).unwrap();
    }

    fn data(&self, node: &str) -> String {
        fs::read_to_string(self.disk(node).data.join("wal/1")).unwrap()
    }

    fn sidecar(&self, node: &str) -> Value {
        serde_json::from_slice(&fs::read(self.disk(node).sidecar).unwrap()).unwrap()
    }
}

#[test]
fn what_was_saved_is_put_back_whole() {
    let run = Run::new();
    let disk = run.disk("n1");
    disk.save().unwrap();
    run.write("n1", "two");
    fs::write(disk.data.join("later"), "x").unwrap();
    fs::write(&disk.sidecar, "{}").unwrap();
    let before = disk.fingerprint().unwrap();
    disk.tamper(&[Tamper::DataOlder], None).unwrap();
    assert_eq!(run.data("n1"), "one of n1");
    assert!(!disk.data.join("later").exists());
    assert_eq!(run.sidecar("n1")["active"]["storage"], 7);
    assert_ne!(disk.fingerprint().unwrap(), before);
    disk.tamper(&[Tamper::Undone], None).unwrap();
    assert_eq!(run.data("n1"), "two of n1");
    assert_eq!(disk.fingerprint().unwrap(), before);
    disk.tamper(&[Tamper::SidecarOlder], None).unwrap();
    assert_eq!(run.data("n1"), "two of n1");
    assert_eq!(run.sidecar("n1")["active"]["storage"], 7);
}

#[test]
fn a_clone_is_the_disk_of_another() {
    let run = Run::new();
    let disk = run.disk("n1");
    let error = disk.tamper(&[Tamper::DataCloned], None).unwrap_err();
    assert!(error.contains("no other node was saved"), "{error}");
    run.disk("n2").save().unwrap();
    disk.tamper(&[Tamper::DataCloned], Some("n2")).unwrap();
    assert_eq!(run.data("n1"), "one of n2");
}

#[test]
fn sidecars_are_changed_in_one_place() {
    let run = Run::new();
    let disk = run.disk("n1");
    for (tamper, epoch) in [
        (Tamper::SidecarEpochNear, 0xFFFE),
        (Tamper::SidecarEpochLast, 0xFFFF),
    ] {
        disk.tamper(&[tamper], None).unwrap();
        let mut expected: Value = serde_json::from_str(SIDECAR).unwrap();
        expected["keys"]["7"]["local_epoch"] = epoch.into();
        assert_eq!(run.sidecar("n1"), expected);
    }
    disk.tamper(&[Tamper::Undone], None).unwrap();
    disk.tamper(&[Tamper::SidecarCutover], None).unwrap();
    assert_eq!(run.sidecar("n1")["raft_envelope_cutover_index"], 8);
    disk.tamper(&[Tamper::SidecarCorrupt], None).unwrap();
    let bytes = fs::read(&disk.sidecar).unwrap();
    assert!(serde_json::from_slice::<Value>(&bytes).is_err());
    disk.tamper(&[Tamper::SidecarRemoved], None).unwrap();
    assert!(!disk.sidecar.exists());
    disk.tamper(&[Tamper::Undone, Tamper::DataWiped], None)
        .unwrap();
    assert_eq!(fs::read_dir(&disk.data).unwrap().count(), 0);
}

#[test]
fn what_can_not_be_done_is_said_and_nothing_is_lost() {
    let run = Run::new();
    let disk = run.disk("n1");
    let error = disk.tamper(&[Tamper::DataOlder], None).unwrap_err();
    assert!(error.contains("has to come before"), "{error}");
    assert_eq!(run.data("n1"), "one of n1");
    fs::write(&disk.sidecar, r#"{"active":{"storage":0}}"#).unwrap();
    for tamper in [Tamper::SidecarEpochLast, Tamper::SidecarCutover] {
        let error = disk.tamper(&[tamper], None).unwrap_err();
        assert!(error.contains("sidecar.json: it has no"), "{error}");
    }
    fs::remove_file(&disk.sidecar).unwrap();
    assert!(disk.tamper(&[Tamper::SidecarCorrupt], None).is_err());
    assert!(disk.fingerprint().unwrap().ends_with("holds []"));
    fs::remove_dir_all(&disk.keys).unwrap();
    assert!(disk.fingerprint().unwrap().ends_with("is not there"));
}
