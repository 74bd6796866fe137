//! What an operator's steps come to in a run: members that come and go, flags given one by one.

use std::path::Path;

use serde_json::Value;

use crate::support::{Scene, leftovers};

fn json(path: &Path) -> Value {
    let text = std::fs::read(path).expect("a file of the run");
    serde_json::from_slice(&text).expect("JSON")
}

/// A spare comes, gets its vote and goes, under load, and a member is replaced.
const MEMBERS: &str = r#"
format = 1
seed = 1
time = "14s"
faults = [
  { at = "1s", fault = "member", change = "add-learner", target = "n4", expect = "accepted" },
  { at = "4s", fault = "member", change = "promote", target = "n4", expect = "accepted" },
  { at = "6s", fault = "transfer", target = "n4", expect = "accepted" },
  { at = "8s", fault = "member", change = "replace", target = "n2", expect = "accepted" },
  { at = "11s", fault = "kill", target = "follower", for = "1s" },
]
[cluster]
system = "reference"
nodes = 3
spares = 1
encryption = "raft"
[[workloads]]
name = "register"
"#;

#[test]
fn members_come_and_go_under_load() {
    let scene = Scene::new();
    let file = scene.file("plan.toml", MEMBERS);
    let said = scene.say(&["run", "--json", "--plan", &file]);
    assert_eq!(said.code, 0);
    let folder = scene.run_folder();
    for node in ["n4", "n2"] {
        let sidecar = json(&folder.join(format!("nodes/{node}.keys/sidecar.json")));
        assert_eq!(sidecar["storage_envelope_active"], true, "{node}");
    }
    let audited = scene.say(&["audit", folder.to_str().expect("UTF-8")]);
    assert_eq!(audited.code, 0);
    assert_eq!(leftovers(scene.dir.path()), [] as [String; 0]);
    // What can't be is refused before anything is begun.
    for (from, to, piece) in [
        ("spares = 1", "", "there is no n4"),
        ("spares = 1", "collide = true", "add `spares = 1`"),
        ("spares = 1", "spares = 7", "more than the 9"),
    ] {
        let file = scene.file("wrong.toml", MEMBERS.replace(from, to));
        let said = scene.say(&["run", "--plan", &file]);
        assert_eq!(said.code, 2);
        assert!(said.stderr.contains(piece), "{piece}");
    }
}

/// Flags one by one, and a start that is refused.
const SINGLE_FLAGS: &str = r#"
format = 1
seed = 1
time = "10s"
faults = [
  { at = "1s", fault = "roll", target = "n2", rotate-on-startup = "on", expect = "serves" },
  { at = "4s", fault = "roll", target = "n3", kek = "foreign", encryption = "on", expect = "refused ErrKEKMismatch" },
  { at = "6s", fault = "roll", target = "n3", encryption = "on", expect = "serves" },
]
[cluster]
system = "reference"
nodes = 3
encryption = "keys"
[[workloads]]
name = "register"
"#;

#[test]
fn flags_are_given_one_by_one_and_their_outcomes_judged() {
    let scene = Scene::new();
    let file = scene.file("plan.toml", SINGLE_FLAGS);
    let said = scene.say(&["run", "--json", "--plan", &file]);
    assert_eq!(said.code, 0);
    let folder = scene.run_folder();
    let log = std::fs::read_to_string(folder.join("logs/n3.log")).expect("a log");
    assert!(log.contains("ErrKEKMismatch"));
    assert!(folder.join("kek-foreign").exists());
    assert_eq!(leftovers(scene.dir.path()), [] as [String; 0]);
}

/// Before 6B a release has no flags of encryption; who names them one by one means it.
const INERT: &str = r#"
format = 1
seed = 1
time = "9s"
faults = [
  { at = "1s", fault = "roll", target = "n2", flag = "on", kek = "own", sidecar = "on" },
  { at = "4s", fault = "admin", call = "bootstrap", expect = "refused proposer-not-configured" },
]
[cluster]
system = "reference"
nodes = 3
release = "6a"
[[workloads]]
name = "register"
"#;

#[test]
fn a_release_that_does_not_look_at_flags_can_be_given_them() {
    let scene = Scene::new();
    let file = scene.file("plan.toml", INERT);
    assert_eq!(scene.say(&["run", "--plan", &file]).code, 0);
    let all_at_once = INERT.replace(
        "flag = \"on\", kek = \"own\", sidecar = \"on\"",
        "encryption = \"on\"",
    );
    let file = scene.file("wrong.toml", all_at_once);
    let said = scene.say(&["run", "--plan", &file]);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("or name the flags one by one"));
}
