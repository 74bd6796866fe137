//! Runs that end before their time: Ctrl-C, and a `kill -9` of the suite.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Said, Scene, leftovers};

/// Starts a long run and waits until it has done something.
fn under_way(scene: &Scene) -> Child {
    let mut command = scene.keyquake(&["run", "--seed", "4", "--time", "60s"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("keyquake starts");
    let mut lines = BufReader::new(child.stderr.as_mut().expect("its stderr is a pipe")).lines();
    let progress = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("op/s")));
    assert!(progress.is_some(), "the run shows progress");
    child
}

fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(status.expect("kill runs").success());
}

#[test]
fn ctrl_c_judges_what_there_is() {
    let scene = Scene::new();
    let mut child = under_way(&scene);
    signal(&child, "-INT");
    // Its stderr was partly read already; the rest must not block it.
    let rest = child
        .stderr
        .take()
        .map(|stderr| std::thread::spawn(move || BufReader::new(stderr).lines().count()));
    let said = Said::of(child.wait_with_output().expect("it ends"));
    drop(rest);
    // Faults of the plan never came, so this is no pass.
    assert_eq!(said.code, 3, "{}", said.stdout);
    assert!(said.stdout.contains("INCONCLUSIVE"), "{}", said.stdout);
    let folder = scene.run_folder();
    let info = std::fs::read_to_string(folder.join("run.json")).expect("run.json");
    assert!(info.contains("\"ended_early\": \"Ctrl-C\""), "{info}");
    assert!(folder.join("report.html").exists());
    assert_eq!(leftovers(scene.dir.path()), [] as [String; 0]);
}

#[test]
fn a_killed_suite_leaves_nothing_and_its_history_can_be_checked() {
    let scene = Scene::new();
    let mut child = under_way(&scene);
    let nodes = leftovers(scene.dir.path());
    assert!(nodes.len() >= 3, "the nodes are up: {nodes:?}");
    signal(&child, "-KILL");
    child.wait().expect("it is gone");
    // The kernel ends the nodes; that takes a moment, but nobody's help.
    let deadline = Instant::now() + Duration::from_secs(10);
    while !leftovers(scene.dir.path()).is_empty() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(leftovers(scene.dir.path()), [] as [String; 0]);

    let healed = scene.say(&["heal"]);
    assert_eq!(healed.code, 0);
    let journals = std::fs::read_dir(scene.dir.path().join("runs/.journal"))
        .expect("the journal's folder")
        .count();
    assert_eq!(journals, 0, "heal closes the dead run's journal");

    let checked = scene.say(&["check", "latest", "--json"]);
    assert_eq!(checked.code, 3, "a torn history is never valid");
    assert!(checked.json()["stats"].is_object());
    assert_eq!(scene.say(&["report", "latest"]).code, 3);
    assert!(scene.run_folder().join("report.html").exists());
}
