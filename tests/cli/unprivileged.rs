//! The main job without root: namespaces of its own where the host allows
//! them, loopback where it doesn't.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Said, Scene, binary};

#[test]
fn nobody_can_run_the_main_job() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: every test here runs without root already");
        return;
    }
    let scene = Scene::new();
    // The build folder may be closed to others.
    let own = scene.dir.path().join("keyquake");
    std::fs::copy(binary(), &own).expect("a copy of the binary");
    for path in [scene.dir.path(), &own] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))
            .expect("a mode for all");
    }
    let as_nobody = |words: &[&str]| {
        let output = std::process::Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&own)
            .args(words)
            .env("KEYQUAKE_RESULTS", scene.dir.path().join("runs"))
            .current_dir(scene.dir.path())
            .output()
            .expect("setpriv (of util-linux) runs");
        Said::of(output)
    };
    // What nobody may not do is refused when it is asked for, and else not drawn.
    let refused = as_nobody(&["run", "--seed", "2", "--faults", "memory-limit"]);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    for word in ["control groups", "--runtime docker", "leave slow-cpu"] {
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
    let said = as_nobody(&["run", "--seed", "2", "--time", "8s"]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    let info = std::fs::read_to_string(scene.run_folder().join("run.json")).expect("run.json");
    // Either is fine, as long as it says which, and what loopback costs.
    let kind_said = info.contains("\"kind\": \"namespace\"")
        || (info.contains("\"kind\": \"loopback\"") && info.contains("no partitions"));
    assert!(kind_said, "{info}");
}
