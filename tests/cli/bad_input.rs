//! Bad input gets a clear error with exit 2, bad surroundings one with exit 4,
//! and neither leaves a run behind.

use std::net::TcpListener;

use crate::support::{Said, Scene, binary, run_folders};

/// Runs the words and checks that they are refused with this code and these pieces of text.
fn refused(scene: &Scene, words: &[&str], code: i32, pieces: &[&str]) {
    let said = scene.say(words);
    assert_eq!(said.code, code, "{words:?}");
    for piece in pieces {
        assert!(said.stderr.contains(piece), "{words:?} says {piece:?}");
    }
    assert_eq!(said.stderr.matches("panicked").count(), 0);
}

#[test]
fn a_run_that_is_not_there() {
    let scene = Scene::new();
    for command in ["check", "report"] {
        refused(
            &scene,
            &[command, "20010101T000000Z-s1"],
            2,
            &["no runs in", "--results"],
        );
    }
}

#[test]
fn a_history_that_is_none() {
    let scene = Scene::new();
    let text = scene.file("shopping.txt", "eggs, milk, a power supply");
    refused(
        &scene,
        &["check", &text],
        2,
        &["shopping.txt", "not a keyquake history"],
    );
    let empty = scene.file("empty.kqh", "");
    refused(&scene, &["check", &empty], 2, &["empty.kqh"]);
}

#[test]
fn plans_with_mistakes() {
    let scene = Scene::new();
    let good = scene.say(&["plan", "--seed", "1", "--time", "10s"]).stdout;
    let mistakes: [(&str, &str, &str, &[&str]); 6] = [
        (
            "fault = \"",
            "fault = \"meteor-",
            "unknown fault",
            &["line", "meteor-", "kill", "pause"],
        ),
        ("format = 1", "format = 99", "newer format", &["99"]),
        (
            "nodes = 3",
            "nodes = 3\ncolour = \"red\"",
            "unknown field",
            &["line", "colour"],
        ),
        (
            "time = \"10s\"",
            "time = \"soon\"",
            "bad duration",
            &["line", "soon"],
        ),
        (
            "name = \"register\"",
            "name = \"bank\"",
            "unknown workload",
            &["line", "bank"],
        ),
        (
            "release = \"6f\"",
            "release = \"9z\"",
            "unknown release",
            &["9z", "6a"],
        ),
    ];
    for (from, to, what, pieces) in mistakes {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{what}: the plan holds {from:?}");
        let file = scene.file("bad.toml", bad);
        refused(&scene, &["run", "--plan", &file], 2, pieces);
    }
    refused(
        &scene,
        &["run", "--plan", "no-such-plan.toml"],
        2,
        &["no-such-plan.toml"],
    );
    assert!(
        run_folders(&scene.dir.path().join("runs")).is_empty(),
        "nothing was begun"
    );
}

#[test]
fn words_that_mean_nothing() {
    let scene = Scene::new();
    refused(
        &scene,
        &["run", "--faults", "meteor"],
        2,
        &["meteor", "kill"],
    );
    refused(
        &scene,
        &["run", "--workload", "bank"],
        2,
        &["bank", "register"],
    );
    refused(
        &scene,
        &["run", "--bug", "gremlin"],
        2,
        &["gremlin", "stale-read"],
    );
    refused(&scene, &["run", "--release", "n7=6a"], 2, &["n7"]);
    refused(
        &scene,
        &["run", "--workload", "append", "--protocol", "grpc"],
        2,
        &["append", "grpc"],
    );
    refused(&scene, &["run", "--system", "elastickv"], 2, &["--binary"]);
    refused(
        &scene,
        &[
            "run",
            "--system",
            "elastickv",
            "--binary",
            "/no/such/program",
        ],
        2,
        &["/no/such/program"],
    );
    refused(&scene, &["run", "--time", "soon"], 2, &["soon"]);
    refused(&scene, &["run", "--nodes", "0"], 2, &["--nodes"]);
    assert!(
        run_folders(&scene.dir.path().join("runs")).is_empty(),
        "nothing was begun"
    );
}

#[test]
fn a_port_that_is_taken() {
    let scene = Scene::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("its address").port().to_string();
    refused(
        &scene,
        &[
            "run",
            "--network",
            "loopback",
            "--faults",
            "none",
            "--first-port",
            &port,
        ],
        4,
        &[&format!("127.0.0.1:{port}"), "taken"],
    );
    refused(
        &scene,
        &[
            "node",
            "--raftId",
            "n1",
            "--address",
            &format!("127.0.0.1:{port}"),
            "--raftBootstrap",
            "--raftDataDir",
            "data",
        ],
        1,
        &[&port],
    );
}

#[test]
fn partitions_without_namespaces() {
    let scene = Scene::new();
    refused(
        &scene,
        &[
            "run",
            "--network",
            "loopback",
            "--faults",
            "partition",
            "--time",
            "10s",
        ],
        4,
        &["namespaces", "--faults kill,pause"],
    );
}

#[test]
fn no_permission_for_namespaces() {
    let scene = Scene::new();
    // A user namespace that allows no network namespaces stands for such a host.
    let denied = |words: &str| {
        let script = format!(
            "echo 0 > /proc/sys/user/max_net_namespaces && exec {} {words}",
            binary().display()
        );
        let mut command = std::process::Command::new("unshare");
        command.args(["--user", "--map-root-user", "sh", "-c", &script]);
        command.env("KEYQUAKE_RESULTS", scene.dir.path().join("runs"));
        Said::of(command.output().expect("unshare (of util-linux) runs"))
    };
    let forced = denied("run --network namespace");
    assert_eq!(forced.code, 4, "{}", forced.stderr);
    assert!(
        forced
            .stderr
            .contains("no permission to create network namespaces")
    );
    assert!(
        forced.stderr.contains("--network loopback"),
        "{}",
        forced.stderr
    );
    let asked = denied("run --faults partition");
    assert_eq!(asked.code, 4, "{}", asked.stderr);
    assert!(
        asked.stderr.contains("--faults kill,pause"),
        "{}",
        asked.stderr
    );
    let fallen_back = denied("run --seed 1 --time 6s");
    assert_eq!(
        fallen_back.code, 0,
        "{}{}",
        fallen_back.stdout, fallen_back.stderr
    );
    assert!(
        fallen_back
            .stderr
            .contains("network: loopback, so no partitions")
    );
}

#[test]
fn results_that_cannot_be_written() {
    let scene = Scene::new();
    let file = scene.file("occupied", "not a folder");
    refused(
        &scene,
        &["run", "--faults", "none", "--results", &file],
        4,
        &["occupied"],
    );
}
