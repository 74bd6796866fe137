//! The main job in containers. Without a Docker daemon it is left out, and says so; on a CI
//! that is a failure.

use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::support::{Scene, leftovers, run_folders};

/// Whether a container test can be run; on a CI it has to.
pub fn is_here() -> bool {
    let here = UnixStream::connect("/var/run/docker.sock").is_ok();
    if !here && std::env::var_os("CI").is_none() {
        println!("left out: no Docker daemon here (on Debian: apt-get install docker.io)");
        return false;
    }
    true
}

#[test]
fn a_run_in_containers_is_valid_and_leaves_nothing() {
    if !is_here() {
        return;
    }
    let scene = Scene::new();
    let words = ["run", "--runtime", "docker", "--seed", "7", "--time", "8s"];
    let said = scene.say(&words);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    let folder = scene.run_folder();
    let info = std::fs::read_to_string(folder.join("run.json")).expect("run.json");
    for told in [
        "\"runtime\": \"docker\"",
        "\"kind\": \"container\"",
        "\"id\": \"sha256:",
    ] {
        assert!(info.contains(told), "{told} in {info}");
    }
    let plan = std::fs::read_to_string(folder.join("plan.toml")).expect("plan.toml");
    assert!(plan.contains("runtime = \"docker\""), "{plan}");
    assert_eq!(leftovers(scene.dir.path()), [] as [String; 0]);
    assert!(!folder.join("agents").exists());
}

#[test]
fn a_cluster_in_containers_is_rolled_and_gets_its_keys_under_kills() {
    if !is_here() {
        return;
    }
    let scene = Scene::new();
    let plan = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plans/roll-6a-to-6b.toml");
    let plan = plan.to_str().expect("UTF-8");
    let said = scene.say(&["run", "--json", "--runtime", "docker", "--plan", plan]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(said.json()["stats"]["faults"]["effective"], 6);
    let log = scene.run_folder().join("logs/n2.log");
    let log = std::fs::read_to_string(log).expect("a log");
    for image in ["in image keyquake:6a-", "in image keyquake:6b-"] {
        assert!(log.contains(image), "{image} in {log}");
    }
}

/// A node saved, a member added, and a moment.
const HANDS: &str = r#"
format = 1
seed = 1
time = "11s"
faults = [
  { when = { operations = 15 }, within = "5s", for = "300ms", fault = "pause", target = "n3" },
  { at = "3s", fault = "save", target = "n2" },
  { at = "5s", fault = "member", change = "add-learner", target = "n4", expect = "accepted" },
  { at = "8s", fault = "admin", call = "rotate-storage" },
  { when = { during = "rotate-storage" }, for = "300ms", fault = "pause", target = "n3" },
]
[cluster]
system = "reference"
runtime = "docker"
nodes = 3
spares = 1
encryption = "raft"
[[workloads]]
name = "register"
rate = 20.0
"#;

#[test]
fn members_come_and_moments_do_in_containers() {
    if !is_here() {
        return;
    }
    let scene = Scene::new();
    let said = scene.say(&["run", "--json", "--plan", &scene.file("plan.toml", HANDS)]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(said.json()["stats"]["faults"]["effective"], 5);
    let folder = scene.run_folder();
    assert!(folder.join("nodes/n4.keys/sidecar.json").exists());
    assert!(folder.join("saved/n2/kept/keys/sidecar.json").exists());
}

#[test]
fn an_engine_that_is_not_there_is_named() {
    let scene = Scene::new();
    let mut command = scene.keyquake(&["run", "--runtime", "docker", "--time", "8s"]);
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let said = crate::support::Said::of(command.output().expect("keyquake starts"));
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert!(
        said.stderr.contains("unix:///nowhere/docker.sock")
            && said.stderr.contains("apt-get install docker.io"),
        "{}",
        said.stderr
    );
}

#[test]
fn images_are_for_containers() {
    let scene = Scene::new();
    let said = scene.say(&["run", "--image", "6a=x", "--time", "8s"]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("--runtime docker"), "{}", said.stderr);
}

#[test]
fn a_release_without_an_image_is_refused_before_the_run() {
    if !is_here() {
        return;
    }
    let scene = Scene::new();
    let first = scene.say(&[
        "run",
        "--runtime",
        "docker",
        "--faults",
        "none",
        "--time",
        "1s",
    ]);
    assert!([0, 3].contains(&first.code), "{}", first.stderr);
    let info = std::fs::read_to_string(scene.run_folder().join("run.json")).expect("run.json");
    let info: serde_json::Value = serde_json::from_str(&info).expect("JSON");
    // An image that the engine has; nothing is started in it.
    let image = format!("6a={}", info["images"][0]["name"].as_str().expect("a name"));
    let plan = scene.file(
        "plan.toml",
        r#"
            format = 1
            seed = 3
            time = "6s"
            [cluster]
            system = "elastickv"
            runtime = "docker"
            nodes = 3
            release = "6a"
            [[workloads]]
            name = "register"
            [[faults]]
            at = "2s"
            fault = "roll"
            target = "n2"
            release = "6b"
        "#,
    );
    let run = ["run", "--plan", &plan, "--image", &image];
    let said = scene.say(&run);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("--image 6b=NAME"), "{}", said.stderr);
    let program = format!("6a={}", crate::support::binary().display());
    let said = scene.say(&[&run[..], &["--binary", &program]].concat());
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(
        said.stderr.contains("both say what runs release 6a"),
        "{}",
        said.stderr
    );
    assert_eq!(run_folders(&scene.dir.path().join("runs")).len(), 1);
}
