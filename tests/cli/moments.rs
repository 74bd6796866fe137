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

/// A follower is away while a key is turned.
const AWAY: &str = r#"
format = 1
seed = 1
time = "14s"
faults = [
  { at = "2s", until = "snapshot", for = "9s", fault = "pause", target = "follower" },
  { at = "3s", fault = "admin", call = "rotate-storage" },
]
[cluster]
system = "reference"
nodes = 3
release = "6f"
encryption = "raft"
snapshot-every = 100
[[workloads]]
name = "register"
"#;

#[test]
fn a_follower_is_kept_away_until_it_must_catch_up_by_snapshot() {
    let scene = Scene::new();
    let said = scene.say(&["run", "--json", "--plan", &scene.file("plan.toml", AWAY)]);
    assert_eq!(said.code, 0);
    let judgement = said.json();
    for id in ["LIN", "DUR", "AVAIL", "SELF-NONEMPTY"] {
        assert_eq!(verdict_of(&judgement, id), "valid", "{id}");
    }
    let folder = scene.run_folder();
    let told = report(&folder);
    for evidence in [
        " can have entries up to ",
        " has caught up by a snapshot: its own is at ",
    ] {
        assert_eq!(told.matches(evidence).count(), 1, "{evidence}");
    }
    let installed = |node: &str| {
        let log = std::fs::read_to_string(folder.join(format!("logs/{node}.log")));
        log.expect("a log").contains("installing a snapshot")
    };
    let installed = ["n1", "n2", "n3"].map(installed);
    assert_eq!(
        installed.iter().filter(|&&it| it).count(),
        1,
        "{installed:?}"
    );
}

#[test]
fn a_snapshot_that_nobody_takes_is_no_pass() {
    let scene = Scene::new();
    let text = AWAY.replace("snapshot-every = 100", "snapshot-every = 1_000_000");
    let text = text.replace("9s", "3s").replace("14s", "8s");
    let said = scene.say(&["run", "--json", "--plan", &scene.file("plan.toml", text)]);
    assert_eq!(said.code, 3);
    assert_eq!(verdict_of(&said.json(), "SELF-NONEMPTY"), "inconclusive");
    assert!(report(&scene.run_folder()).contains("it was held for too short: "));
}

#[test]
fn a_follower_catches_up_across_changes_of_keys() {
    if std::env::var_os("KEYQUAKE_SLOW").is_none() {
        println!("skipped: a run of 46 s; ./test --slow runs it");
        return;
    }
    let scene = Scene::new();
    let plan = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plans/catch-up-by-snapshot.toml");
    let said = scene.say(&["run", "--plan", plan.to_str().expect("UTF-8")]);
    assert_eq!(said.code, 0);
    let caught_up = " has caught up by a snapshot: ";
    assert_eq!(report(&scene.run_folder()).matches(caught_up).count(), 3);
}

#[test]
fn faults_in_each_others_way_are_refused_with_their_line() {
    let scene = Scene::new();
    let way = r#"  { at = "3s", for = "1s", fault = "kill", target = "n1" },"#;
    let text = AWAY.replace("target = \"follower\"", "target = \"n1\"");
    let second = text
        .lines()
        .find(|line| line.contains("admin"))
        .expect("a step");
    let text = text.replace(second, way);
    let said = scene.say(&["run", "--plan", &scene.file("plan.toml", text)]);
    assert_eq!(said.code, 2);
    let error = "line 7: fault 2 of the schedule (`kill` at 3s) can't be: n1 is held until 11s by fault 1 (`pause`)";
    assert!(said.stderr.contains(error), "{error}");
}
