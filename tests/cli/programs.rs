//! Stores whose releases are programs of their own. The reference store stands in for one: a
//! copy of keyquake called `keyquake-node-6b` is a node of that release.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Said, Scene, binary, run_folders, verdict_of};

/// A program of a release: different from any other in its bytes.
fn program(folder: &Path, release: &str) -> PathBuf {
    let path = folder.join(format!("keyquake-node-{release}"));
    std::fs::copy(binary(), &path).expect("a copy of keyquake");
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("the copy is ours");
    file.write_all(release.as_bytes()).expect("some bytes more");
    path
}

fn given(release: &str, path: &Path) -> String {
    format!("{release}={}", path.display())
}

/// Six seconds of work; n2 is rolled to another release in them.
fn plan(scene: &Scene, to: &str) -> String {
    let text = format!(
        r#"
            format = 1
            seed = 3
            time = "6s"
            [cluster]
            system = "elastickv"
            nodes = 3
            release = "6b"
            releases = {{ n2 = "6a" }}
            [[workloads]]
            name = "register"
            [[faults]]
            at = "2s"
            fault = "roll"
            target = "n2"
            release = "{to}"
        "#
    );
    scene.file("plan.toml", text)
}

fn run_json(scene: &Scene) -> Value {
    let text = std::fs::read(scene.run_folder().join("run.json")).expect("run.json");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn a_node_is_rolled_from_one_program_to_another() {
    let scene = Scene::new();
    let old = given("6a", &program(scene.dir.path(), "6a"));
    let new = given("6B", &program(scene.dir.path(), "6b"));
    let plan = plan(&scene, "6b");
    let words = ["run", "--plan", &plan, "--binary", &old, "--binary", &new];
    let said = scene.say(&[&words[..], &["--json"]].concat());
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(verdict_of(&said.json(), "SELF-NONEMPTY"), "valid");
    let info = run_json(&scene);
    let binaries = info["binaries"].as_array().expect("programs");
    let releases: Vec<_> = binaries.iter().map(|binary| &binary["releases"]).collect();
    assert_eq!(
        releases,
        [&serde_json::json!(["6a"]), &serde_json::json!(["6b"])]
    );
    assert_ne!(binaries[0]["digest"], binaries[1]["digest"]);
    let repeat = info["command"].as_str().expect("a command");
    assert!(
        repeat.contains(&format!("--binary {old} --binary {new}")),
        "{repeat}"
    );
}

#[test]
fn a_node_that_runs_another_program_than_was_said_is_seen() {
    let scene = Scene::new();
    let old = given("6a", &program(scene.dir.path(), "6a"));
    let path = program(scene.dir.path(), "6b");
    let new = given("6b", &path);
    let plan = plan(&scene, "6b");
    let words = ["run", "--plan", &plan, "--binary", &old, "--binary", &new];
    let mut command = scene.keyquake(&[&words[..], &["--json"]].concat());
    command.stdout(std::process::Stdio::piped());
    let run = command.spawn().expect("keyquake starts");
    let deadline = Instant::now() + Duration::from_secs(20);
    while run_folders(&scene.dir.path().join("runs")).is_empty() {
        assert!(Instant::now() < deadline, "the run began");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Put in its place while the run goes on: what its digest was is noted by now.
    let other = program(scene.dir.path(), "6c");
    std::fs::rename(other, &path).expect("another file at the path");
    let said = Said::of(run.wait_with_output().expect("the run ends"));
    assert_eq!(said.code, 3, "{}", said.stdout);
    let report = scene.run_folder().join("report.html");
    let report = std::fs::read_to_string(report).expect("a report");
    for told in ["it runs the program sha256:", "and release 6b is sha256:"] {
        assert!(report.contains(told), "{told}");
    }
}

#[test]
fn a_release_without_a_program_is_refused_before_the_run() {
    let scene = Scene::new();
    let old = given("6a", binary());
    let new = given("6b", binary());
    let both = ["--binary", &old, "--binary", &new];
    let plan = plan(&scene, "6c");
    let script = given("6c", Path::new(&scene.file("node.sh", "#!/bin/sh\n")));
    std::process::Command::new("chmod")
        .args(["+x", script.trim_start_matches("6c=")])
        .status()
        .expect("chmod");
    let roll = "fault 1 of the schedule (`roll to 6c` at 2s) can't be";
    for (words, told) in [
        (&both[..], &[roll, "--binary 6c=PATH"][..]),
        (&both[..2], &["release 6b", "--binary 6b=PATH"]),
        (
            &[&both[..], &["--binary", &script]].concat(),
            &[roll, "is a script"],
        ),
        (
            &[&both[..], &["--binary", &old]].concat(),
            &["give each release one"],
        ),
    ] {
        let said = scene.say(&[&["run", "--plan", &plan], words].concat());
        assert_eq!(said.code, 2, "{}", said.stderr);
        for text in told {
            assert!(said.stderr.contains(text), "{text}: {}", said.stderr);
        }
    }
    assert!(run_folders(&scene.dir.path().join("runs")).is_empty());
}
