//! Faults and steps at moments: each kind comes on the reference store, and each is missed.

use std::path::Path;

use crate::support::{Scene, verdict_of};

/// The text of a run's report.
fn report(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("report.html")).expect("a report")
}

#[test]
fn faults_and_steps_come_at_their_moments() {
    let scene = Scene::new();
    let plan = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plans/moments.toml");
    let said = scene.say(&["run", "--json", "--plan", plan.to_str().expect("UTF-8")]);
    assert_eq!(said.code, 0);
    let judgement = said.json();
    for id in [
        "LIN",
        "SSER",
        "DUR",
        "AVAIL",
        "ROL-RESTART",
        "SELF-NONEMPTY",
    ] {
        assert_eq!(verdict_of(&judgement, id), "valid", "{id}");
    }
    assert_eq!(judgement["stats"]["faults"]["effective"], 8);
    let report = report(&scene.run_folder());
    for moment in [
        " ms after operation 400 was done (4",
        " ms after rotate-storage was shown by ",
        ", and not yet by ",
        " ms after leader of ",
        " ms after n1 wrote ",
    ] {
        assert_eq!(report.matches(moment).count(), 1, "{moment}");
    }
}

const MISSED: &str = r#"
format = 1
seed = 1
time = "6s"
faults = [
  { when = { operations = 10_000_000 }, within = "1s", for = "1s", fault = "kill", target = "leader" },
  { when = { log = "no such words" }, within = "1s", for = "1s", fault = "kill", target = "leader" },
  { when = { answer = "raft-cutover" }, within = "1s", fault = "admin", call = "rotate-raft" },
  { at = "3s", fault = "admin", call = "bootstrap" },
  { when = { between = "bootstrap" }, within = "1s", for = "1s", fault = "pause", target = "n1" },
]
[cluster]
system = "reference"
nodes = 3
release = "6f"
encryption = "storage"
[[workloads]]
name = "register"
"#;

#[test]
fn moments_that_do_not_come_are_no_pass() {
    let scene = Scene::new();
    let said = scene.say(&["run", "--json", "--plan", &scene.file("plan.toml", MISSED)]);
    assert_eq!(said.code, 3);
    let judgement = said.json();
    for (id, verdict) in [
        ("LIN", "valid"),
        ("ROL-RESTART", "valid"),
        ("SELF-NONEMPTY", "inconclusive"),
    ] {
        assert_eq!(verdict_of(&judgement, id), verdict, "{id}");
    }
    let report = report(&scene.run_folder());
    let missed = report.matches("the moment did not come: ").count();
    assert_eq!(missed, 4);
    for why in [
        "did not come: operation 10000000: only ",
        " wrote in time contains it",
        "did not come: another raft-cutover: n1 is still 0, n2 is still 0, n3 is still 0",
        "did not come: bootstrap: ",
    ] {
        assert!(report.contains(why), "{why}");
    }
}
