//! `keyquake audit` on the disks of real clusters: killed, restarted, cut over and rotated
//! under load, with a snapshot every 50 entries.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use keyquake_audit::nonces::NonceRegistry;
use serde_json::Value;

use crate::support::{Said, Scene, anomalies_of, verdict_of};

/// Forces snapshots and cuts of the log within a second.
const SNAPSHOT_EVERY: (&str, &str) = ("ELASTICKV_RAFT_SNAPSHOT_COUNT", "50");

/// A cluster with keys that is cut over, turned and killed while clients write: values from
/// before phase 1, from between the phases, and from after phase 2.
const LIFE: &str = r#"
format = 1
seed = 7
time = "9s"
[cluster]
system = "reference"
nodes = 3
encryption = "keys"
[[workloads]]
name = "register"
[[workloads]]
name = "append"
[[faults]]
at = "1s"
fault = "admin"
call = "enable-storage-envelope"
[[faults]]
at = "2s"
fault = "admin"
call = "enable-raft-envelope"
[[faults]]
at = "3s"
for = "700ms"
fault = "kill"
target = "leader"
[[faults]]
at = "5s"
fault = "admin"
call = "rotate-storage"
[[faults]]
at = "5500ms"
fault = "admin"
call = "rotate-raft"
[[faults]]
at = "6s"
for = "700ms"
fault = "kill"
target = "n2"
"#;

fn run(scene: &Scene, words: &[&str]) -> PathBuf {
    let (name, value) = SNAPSHOT_EVERY;
    let mut command = scene.keyquake(&[&["run"], words].concat());
    let said = Said::of(command.env(name, value).output().expect("keyquake starts"));
    println!("{}{}", said.stdout, said.stderr);
    assert!([0, 1].contains(&said.code), "the run was judged");
    scene.run_folder()
}

/// Envelopes that opened in a kind of place, and those that did not, over all nodes.
fn envelopes(audit: &Value, place: &str) -> (u64, u64) {
    let nodes = audit["nodes"].as_array().expect("nodes");
    let count = |node: &Value, field: &str| node["places"][place][field].as_u64().unwrap_or(0);
    let opened: u64 = nodes.iter().map(|node| count(node, "opened")).sum();
    let all: u64 = nodes.iter().map(|node| count(node, "envelopes")).sum();
    (opened, all - opened)
}

/// Every file below a folder with its size and the time of its last change.
fn listing(folder: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        let about = fs::metadata(&path).expect("a file");
        found.push((path.clone(), about.len(), about.modified().expect("a time")));
        if about.is_dir() {
            found.append(&mut listing(&path));
        }
    }
    found.sort();
    found
}

#[test]
fn after_a_whole_life_every_envelope_opens_and_no_canary_is_left() {
    let scene = Scene::new();
    let folder = run(&scene, &["--plan", &scene.file("plan.toml", LIFE)]);
    let before = listing(&folder);
    let said = scene.say(&["audit", "latest", "--json"]);
    assert_eq!(said.code, 0);
    assert_eq!(listing(&folder), before, "an audit writes nothing");

    let audit = said.json();
    // The log is cut every 50 entries, and may have been cut at the last.
    for (place, least) in [("tables", 100), ("log", 0), ("snapshots", 100)] {
        let (opened, failed) = envelopes(&audit, place);
        assert!(opened >= least, "{place}: {opened} opened");
        assert_eq!(failed, 0, "{place}");
    }
    for id in [
        "ENC-PLAIN",
        "ENC-OPEN",
        "ENC-BOUNDARY",
        "ENC-NONCE",
        "ENC-NONCE-FORM",
        "ENC-AGREE",
        "ENC-KEYS-SECRET",
        "SELF-NONEMPTY",
    ] {
        assert_eq!(verdict_of(&audit, id), "valid", "{id}");
    }
    let canaries = &audit["canaries"];
    let count = |field: &str| canaries[field].as_u64().expect("a count");
    assert!(
        count("seen_sealed") > 500 && count("living") > 500,
        "{canaries}"
    );
    assert_eq!(
        (count("living"), count("seen_by_wrong")),
        (count("living_seen"), 0)
    );
    assert_eq!(audit["gaps"], serde_json::json!([]));

    tampered_copies(&scene, &folder);
    older_state_put_back(&scene, &folder);
}

/// A node's state as it was collected on the way, in the place of what it was at the end.
fn older_state_put_back(scene: &Scene, run: &Path) {
    let index = fs::read(run.join("evidence/evidence.json")).expect("evidence");
    let index: Value = serde_json::from_slice(&index).expect("JSON");
    let collections = index["collections"].as_array().expect("collections");
    let after = |one: &&Value| {
        let why = one["why"].as_str().unwrap_or_default();
        why.contains("rotate-storage") || why.contains("fault 3")
    };
    let collection = collections
        .iter()
        .find(after)
        .expect("one after a rotation");
    let copy = collection["nodes"].as_array().expect("nodes").iter();
    let copy = copy
        .into_iter()
        .find(|copy| copy["node"] != "n2")
        .expect("a copy");
    let (folder, id) = (copy["folder"].as_str(), copy["raft_id"].as_str());
    let id = id.expect("a name");
    let older = run
        .join(folder.expect("a folder"))
        .join("data")
        .join(id)
        .join("fsm.db");
    let state = run.join("nodes").join(id).join("fsm.db");
    fs::remove_dir_all(&state).expect("a state");
    let copied = std::process::Command::new("cp")
        .args(["-a", "--sparse=always"])
        .args([older, state])
        .status();
    assert!(copied.expect("cp starts").success());
    let said = scene.say(&["audit", "latest", "--json"]);
    assert_eq!(said.code, 1);
    let audit = said.json();
    assert_eq!(anomalies_of(&audit, "CONV"), ["state-went-back"]);
    assert_eq!(verdict_of(&audit, "ENC-OPEN"), "valid", "all of it opens");
}

/// A registry takes in what an audit meets, once, and nobody else while it does.
fn remembered(scene: &Scene, run: &Path) {
    let file = scene.dir.path().join("nonces");
    let word = file.to_str().expect("UTF-8");
    for _ in 0..2 {
        let said = scene.say(&["audit", "latest", "--json", "--nonces", word]);
        assert_eq!(said.code, 0);
        assert_eq!(verdict_of(&said.json(), "ENC-NONCE"), "valid");
        let met = said.json()["nonces"].as_u64();
        let registry = NonceRegistry::open(&file).expect("a registry");
        assert_eq!(registry.pairs().ok(), met);
        let said = scene.say(&["audit", "latest", "--nonces", word]);
        assert_eq!(said.code, 2);
        assert!(said.stderr.contains("in use by another process"));
    }
    let history = run.join("history.kqh");
    let said = scene.say(&[
        "audit",
        "latest",
        "--nonces",
        history.to_str().expect("UTF-8"),
    ]);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("no nonce registry"));
}

/// The same disks as a folder of data directories, whole and with one bit changed.
fn tampered_copies(scene: &Scene, run: &Path) {
    let history = run.join("history.kqh");
    let kek = run.join("kek");
    let sidecar = |node: &str| {
        format!(
            "{node}={}",
            run.join(format!("nodes/{node}.keys/sidecar.json"))
                .display()
        )
    };
    let sidecars = ["n1", "n2", "n3"].map(sidecar);
    let audit = |nodes: &Path| {
        let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let (nodes, kek, history) = (path(nodes), path(&kek), path(&history));
        let mut words = vec!["audit", &nodes, "--kek", &kek, "--json"];
        for sidecar in &sidecars {
            words.extend(["--sidecar", sidecar]);
        }
        words.extend(["--history", &history, "--seed", "7"]);
        scene.say(&words)
    };
    assert_eq!(audit(&run.join("nodes")).code, 0, "the disks as they are");
    remembered(scene, run);

    let copy = scene.dir.path().join("copy");
    let copied = std::process::Command::new("cp")
        .args(["-a", "--sparse=always"])
        .args([run.join("nodes"), copy.clone()])
        .status();
    assert!(copied.expect("cp starts").success());
    let snapshots = fs::read_dir(copy.join("n3/fsm-snap")).expect("snapshots");
    let newest = snapshots.map(|entry| entry.expect("a file").path()).max();
    let newest = newest.expect("a snapshot");
    let mut bytes = fs::read(&newest).expect("a snapshot");
    let at = bytes.len() - 25;
    bytes[at] ^= 4;
    fs::write(&newest, bytes).expect("a snapshot");
    let said = audit(&copy);
    assert_eq!(said.code, 1);
    let anomalies = anomalies_of(&said.json(), "ENC-OPEN");
    assert_eq!(
        anomalies.len(),
        2,
        "the value, and the file's checksum: {anomalies:?}"
    );
    assert!(
        anomalies.contains(&"snapshot-damaged".to_owned()),
        "{anomalies:?}"
    );
}

#[test]
fn where_nothing_is_encrypted_the_scan_is_seen_to_see() {
    let scene = Scene::new();
    run(&scene, &["--seed", "3", "--time", "6s", "--faults", "kill"]);
    let said = scene.say(&["audit", "latest", "--json"]);
    assert_eq!(said.code, 0);
    let audit = said.json();
    let judged = audit["invariants"].as_array().expect("invariants");
    let ids: Vec<_> = judged.iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, ["CONV", "SELF-NONEMPTY"]);
    assert_eq!(verdict_of(&audit, "SELF-NONEMPTY"), "valid");
    let canaries = &audit["canaries"];
    assert!(canaries["seen_in_bytes"].as_u64() > Some(300), "{canaries}");
    assert_eq!(canaries["living"], canaries["living_seen"]);
}

#[test]
fn between_the_phases_values_stand_in_the_log_and_nowhere_else() {
    let scene = Scene::new();
    let words = ["--seed", "3", "--time", "4s", "--faults", "none"];
    run(&scene, &[&words[..], &["--encryption", "storage"]].concat());
    let said = scene.say(&["audit", "latest", "--json"]);
    assert_eq!(said.code, 0);
    let audit = said.json();
    let (opened, _) = envelopes(&audit, "tables");
    assert!(opened > 100, "{opened}");
    assert_eq!(envelopes(&audit, "log"), (0, 0));
    let canaries = &audit["canaries"];
    assert!(canaries["seen_in_bytes"].as_u64() > Some(10), "{canaries}");
    assert_eq!(canaries["seen_by_wrong"], 0);
}

#[test]
fn seeded_bugs_are_named_by_what_they_break() {
    for (bug, id, anomaly) in [
        ("cleartext-values", "ENC-PLAIN", "clear-value"),
        ("nonce-counter-restarts", "ENC-NONCE", "nonce-reused"),
        ("aad-without-key", "ENC-OPEN", "binding-incomplete"),
        (
            "snapshot-loses-cutover",
            "ENC-BOUNDARY",
            "snapshot-loses-cutover",
        ),
        ("kek-in-log", "ENC-KEYS-SECRET", "key-in-the-clear"),
    ] {
        let scene = Scene::new();
        let words = [
            "--seed",
            "3",
            "--time",
            "4s",
            "--faults",
            "none",
            "--encryption",
            "raft",
        ];
        run(&scene, &[&words[..], &["--bug", bug]].concat());
        let said = scene.say(&["audit", "latest", "--json"]);
        assert_eq!(said.code, 1, "{bug}");
        let audit = said.json();
        assert_eq!(verdict_of(&audit, id), "violated", "{bug}");
        let anomalies = anomalies_of(&audit, id);
        assert!(
            anomalies.iter().any(|one| one == anomaly),
            "{bug}: {anomalies:?}"
        );
    }
}

#[test]
fn what_can_not_be_audited_is_said() {
    let scene = Scene::new();
    let empty = scene.dir.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    let empty = empty.to_str().expect("UTF-8");
    let data = scene.dir.path().join("data/n1/fsm.db");
    fs::create_dir_all(&data).expect("a folder");
    let data = scene.dir.path().join("data");
    let data = data.to_str().expect("UTF-8");
    let short = scene.file("kek", "too short");
    for (words, pieces) in [
        (&["20010101T000000Z-s1"][..], &["no runs in"][..]),
        (&[empty], &["is no run", "data directory"]),
        (&[data, "--sidecar", "n1"], &["NODE=FILE"]),
        (&[data, "--sidecar", "n1=nowhere"], &["no sidecar nowhere"]),
        (
            &[data, "--sidecar", &format!("n2={short}")],
            &["n2", "no data directory"],
        ),
        (&[data, "--kek", &short], &["KEK"]),
    ] {
        let said = scene.say(&[&["audit"], words].concat());
        assert_eq!(said.code, 2, "{words:?}");
        for piece in pieces {
            assert!(said.stderr.contains(piece), "{words:?} says {piece:?}");
        }
    }
}
