//! Evidence collected while a run goes on, and judged with it: the plans of `docs/plans/audit` are
//! valid on the clean store, and each names its seeded bugs.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Said, Scene, anomalies_of, leftovers, verdict_of};

/// Plan, bug, the invariant that it breaks, and how.
const ROWS: [(&str, &str, &str, &str); 15] = [
    (
        "second-bootstrap",
        "bootstrap-replaces-keys",
        "ENC-ORDER",
        "keys-replaced",
    ),
    (
        "restarts",
        "sidecar-index-goes-back",
        "ENC-SIDECAR-MONO",
        "applied-index-goes-back",
    ),
    (
        "restarts",
        "phase-one-turns-off",
        "ENC-ONEWAY",
        "phase-1-off",
    ),
    (
        "restarts",
        "epoch-not-synced",
        "ENC-EPOCH",
        "epoch-used-again",
    ),
    (
        "restarts",
        "seals-unregistered",
        "ENC-EPOCH",
        "sealed-unregistered",
    ),
    (
        "rotations",
        "sidecar-late",
        "ENC-SIDECAR-DURABLE",
        "acknowledged-before-written",
    ),
    (
        "rotations",
        "follower-keeps-old-key",
        "ENC-AGREE",
        "sidecars-differ",
    ),
    (
        "rotations",
        "rotation-drops-old-key",
        "ENC-RETIRE",
        "dropped-key-in-use",
    ),
    (
        "rotations",
        "dek-in-answer",
        "ENC-KEYS-SECRET",
        "key-in-the-clear",
    ),
    (
        "second-cutover",
        "cutover-moves",
        "ROL-IDEMPOTENT",
        "cutover-moved",
    ),
    (
        "cutover-under-load",
        "barrier-doubles-write",
        "ROL-BARRIER",
        "proposed-twice",
    ),
    (
        "lower-epoch",
        "registry-takes-lower",
        "ENC-REGISTRY",
        "last-seen-goes-back",
    ),
    (
        "newcomer",
        "learner-without-rows",
        "ENC-REGISTRY",
        "writer-without-row",
    ),
    (
        "rotate-on-startup",
        "rotates-twice",
        "ROL-STARTUP-ROTATE",
        "rotated-again",
    ),
    (
        "rotate-on-startup",
        "rotates-on-follower",
        "ROL-STARTUP-ROTATE",
        "follower-rotated",
    ),
];

fn plan_of(name: &str) -> PathBuf {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plans/audit");
    plans.join(format!("{name}.toml"))
}

/// Runs a plan, with a bug if one is named.
fn run(scene: &Scene, name: &str, bug: Option<&str>) -> Said {
    let text = std::fs::read_to_string(plan_of(name)).expect("the plan is there");
    let text = match bug {
        Some(bug) => text.replace("[cluster]\n", &format!("[cluster]\nbugs = [\"{bug}\"]\n")),
        None => text,
    };
    let plan = scene.file("plan.toml", text);
    scene.say(&["run", "--json", "--plan", &plan])
}

fn evidence(folder: &Path) -> Value {
    let text = std::fs::read(folder.join("evidence/evidence.json")).expect("an index");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn a_clean_life_is_valid_and_what_it_rests_on_is_kept() {
    let scene = Scene::new();
    let said = run(&scene, "rotations", None);
    assert_eq!(said.code, 0);
    let judgement = said.json();
    for id in [
        "ENC-PLAIN",
        "ENC-NONCE",
        "ENC-OPEN",
        "ENC-AGREE",
        "ENC-SIDECAR-DURABLE",
        "ENC-SIDECAR-MONO",
        "ENC-EPOCH",
        "ENC-REGISTRY",
        "ENC-RETIRE",
        "ENC-ONEWAY",
        "ENC-KEYS-SECRET",
    ] {
        assert_eq!(verdict_of(&judgement, id), "valid", "{id}");
    }
    let folder = scene.run_folder();
    let index = evidence(&folder);
    assert_eq!(
        (&index["complete"], &index["lost"]),
        (&true.into(), &Value::Array(vec![]))
    );
    // After each of three faults, and at the end.
    let collections = index["collections"].as_array().expect("collections");
    assert!(collections.len() >= 4, "{index}");
    for collection in collections {
        for node in collection["nodes"].as_array().expect("nodes") {
            assert_eq!(node["stood"], "stopped");
            assert!(node["stopped_ns"].as_u64() > Some(0));
            let copy = folder.join(node["folder"].as_str().expect("a path"));
            assert!(
                copy.join("keys/sidecar.json").exists(),
                "{}",
                copy.display()
            );
        }
        assert_eq!(collection["answers"].as_array().map(Vec::len), Some(6));
    }
    // Three changes of keys are three more states of each sidecar.
    let states = index["sidecars"].as_array().map_or(0, Vec::len);
    assert!(states >= 3 * 4, "{states} states");
    let page = std::fs::read_to_string(folder.join("report.html")).expect("a report");
    assert!(page.contains("Keys over time") && page.contains("ENC-REGISTRY"));
    // What looking on did to the nodes is told beside what the faults did.
    assert!(page.contains("while its files were copied (after fault"));
    let junit = std::fs::read_to_string(folder.join("junit.xml")).expect("a JUnit file");
    assert!(junit.contains("ENC-RETIRE"));

    // Disks that are gone can't be judged again, and that is no pass.
    std::fs::remove_dir_all(folder.join("nodes")).expect("the disks go");
    let checked = scene.say(&["check", "latest", "--json"]);
    assert_eq!(checked.code, 3);
    assert_eq!(verdict_of(&checked.json(), "SELF-NONEMPTY"), "inconclusive");
    assert_eq!(leftovers(scene.dir.path()), [] as [String; 0]);
}

/// Nothing refuses phase 2 before phase 1. Then values stand in the tables, as they may, and no more in
/// the log. A request that is sent again later is accepted, and changes nothing.
#[test]
fn phase_2_alone_leaves_values_in_the_tables() {
    const PLAN: &str = r#"
format = 1
seed = 5
time = "7s"
faults = [
  { at = "1s", fault = "admin", call = "enable-raft-envelope" },
  { at = "3s", fault = "admin", call = "bootstrap", send = "late" },
  { at = "4s", fault = "admin", call = "rotate-raft" },
]
[cluster]
system = "reference"
nodes = 3
encryption = "keys"
[[workloads]]
name = "register"
"#;
    let scene = Scene::new();
    let plan = scene.file("plan.toml", PLAN);
    let said = scene.say(&["run", "--plan", &plan, "--json"]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    assert_eq!(verdict_of(&said.json(), "ENC-BOUNDARY"), "valid");
}

#[test]
fn epochs_that_are_used_again_are_found_by_what_a_kill_left() {
    let scene = Scene::new();
    let said = run(&scene, "restarts", Some("epoch-not-synced"));
    assert_eq!(said.code, 1);
    let anomalies = anomalies_of(&said.json(), "ENC-EPOCH");
    assert!(
        anomalies.contains(&"epoch-used-again".to_owned()),
        "{anomalies:?}"
    );
    let index = evidence(&scene.run_folder());
    let collections = index["collections"].as_array().expect("collections");
    let down = collections
        .iter()
        .flat_map(|collection| collection["nodes"].as_array().expect("nodes"))
        .filter(|node| node["stood"] == "down");
    assert_eq!(down.count(), 3, "one for each kill: {index}");
    let checked = scene.say(&["check", "latest", "--json"]);
    assert_eq!(checked.code, 1, "the same evidence gives the same verdict");
    assert_eq!(verdict_of(&checked.json(), "ENC-EPOCH"), "violated");
}

#[test]
fn every_plan_names_its_bugs_and_passes_without() {
    if std::env::var_os("KEYQUAKE_SLOW").is_none() {
        println!("skipped: 23 runs of about 10 s; ./test --slow runs them");
        return;
    }
    let mut plans: Vec<&str> = ROWS.iter().map(|(plan, ..)| *plan).collect();
    plans.dedup();
    for plan in plans {
        assert_eq!(run(&Scene::new(), plan, None).code, 0, "{plan}");
    }
    for (plan, bug, id, anomaly) in ROWS {
        let said = run(&Scene::new(), plan, Some(bug));
        assert_eq!(said.code, 1, "{bug}");
        let anomalies = anomalies_of(&said.json(), id);
        assert!(
            anomalies.iter().any(|one| one == anomaly),
            "{bug}: {anomalies:?}"
        );
    }
}

/// A plan that no row names would be run by nobody.
#[test]
fn every_plan_of_the_audit_has_a_row() {
    let folder = plan_of("x");
    let folder = folder.parent().expect("a folder");
    for entry in std::fs::read_dir(folder).expect("the plans") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy();
        assert!(ROWS.iter().any(|(plan, ..)| *plan == name), "{name}");
    }
}
