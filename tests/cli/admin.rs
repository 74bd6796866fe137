//! `keyquake admin`: its words, and its answers from a real cluster that refuses.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Said, Scene, binary};

/// Nodes of the reference store on loopback; they end with the test.
struct Nodes {
    processes: Vec<Child>,
    endpoints: Vec<String>,
}

impl Nodes {
    fn start(scene: &Scene, count: usize) -> Nodes {
        // Kept until all are known, so that no port is drawn twice.
        let free = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let held: Vec<_> = (0..2 * count).map(|_| free()).collect();
        let address = |at: usize| held[at].local_addr().expect("an address").to_string();
        let endpoints: Vec<_> = (0..count).map(address).collect();
        let redis: Vec<_> = (count..2 * count).map(address).collect();
        drop(held);
        let member = |(at, address): (usize, &String)| format!("n{}={address}", at + 1);
        let members: Vec<_> = endpoints.iter().enumerate().map(member).collect();
        let start = |at: usize| {
            Command::new(binary())
                .args(["node", "--raftId", &format!("n{}", at + 1)])
                .args(["--address", &endpoints[at], "--redisAddress", &redis[at]])
                .args(["--raftBootstrapMembers", &members.join(",")])
                .arg("--raftDataDir")
                .arg(scene.dir.path().join("data"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("keyquake node starts")
        };
        let processes = (0..count).map(start).collect();
        let nodes = Nodes {
            processes,
            endpoints,
        };
        nodes.wait_for_leader(scene);
        nodes
    }

    /// `--endpoint` for every node.
    fn words(&self) -> Vec<&str> {
        let words = self.endpoints.iter();
        words.flat_map(|at| ["--endpoint", at.as_str()]).collect()
    }

    fn wait_for_leader(&self, scene: &Scene) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let said = self.admin(scene, &["status", "--json"]);
            if said.code == 0 {
                let nodes = said.json();
                let nodes = nodes.as_array().expect("a list");
                let leads = |node: &&serde_json::Value| node["raft"]["leads"] == true;
                let knows = |node: &serde_json::Value| node["raft"]["leader_id"] != "";
                if nodes.iter().filter(leads).count() == 1 && nodes.iter().all(knows) {
                    return;
                }
            }
            assert!(Instant::now() < deadline, "no leader: {}", said.stdout);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The highest that a node knows.
    fn commit_index(&self, scene: &Scene) -> u64 {
        let nodes = self.admin(scene, &["status", "--json"]).json();
        let nodes = nodes.as_array().expect("a list").iter();
        let commits = nodes.filter_map(|node| node["raft"]["commit_index"].as_u64());
        commits.max().expect("a commit index")
    }

    fn admin(&self, scene: &Scene, words: &[&str]) -> Said {
        scene.say(&[&["admin"], words, &self.words()].concat())
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

#[test]
fn a_cluster_of_5d_refuses_every_change_by_name() {
    let scene = Scene::new();
    let nodes = Nodes::start(&scene, 3);
    let kek = scene.dir.path().join("kek");
    let kek = kek.to_str().expect("UTF-8");
    assert_eq!(scene.say(&["admin", "kek", "new", kek]).code, 0);
    let changes: [&[&str]; 6] = [
        &["bootstrap", "--kek", kek],
        &["enable-storage-envelope"],
        &["enable-raft-envelope"],
        &["rotate-dek", "--purpose", "storage", "--kek", kek],
        &["rotate-dek", "--purpose", "raft", "--kek", kek],
        &[
            "register-writer",
            "--dek-id",
            "7",
            "--raft-id",
            "n1",
            "--local-epoch",
            "0",
        ],
    ];
    for words in changes {
        let said = nodes.admin(&scene, words);
        assert_eq!(said.code, 1, "{words:?}");
        assert!(
            said.stderr.contains("refused (proposer-not-configured)"),
            "{words:?}"
        );
    }
    // Only now: to refuse by this name the leader had to commit the entry of its election.
    let before = nodes.commit_index(&scene);
    for words in changes {
        let said = nodes.admin(&scene, &[words, &["--json"]].concat());
        assert_eq!(said.code, 1, "{words:?}");
        assert_eq!(said.json()["refusal"], "proposer-not-configured");
        assert_eq!(said.json()["sent"], true);
    }
    let resync = nodes.admin(&scene, &["resync", "--raft-id", "n1"]);
    assert_eq!(resync.code, 1);
    assert!(resync.stderr.contains("sidecar-path-not-configured"));
    assert_eq!(nodes.commit_index(&scene), before, "nothing was proposed");

    let status = nodes.admin(&scene, &["status"]).stdout;
    assert_eq!(
        status.matches("raft        leader, term").count(),
        1,
        "{status}"
    );
    assert_eq!(
        status.matches("not capable, sidecar absent").count(),
        3,
        "{status}"
    );
}

#[test]
fn a_follower_alone_says_who_leads_and_nobody_is_a_failure() {
    let scene = Scene::new();
    let mut nodes = Nodes::start(&scene, 3);
    let status = nodes.admin(&scene, &["status", "--json"]).json();
    let views = status.as_array().expect("a list");
    let follower = views.iter().find(|node| node["raft"]["leads"] == false);
    let follower = follower.expect("a follower");
    let endpoint = follower["endpoint"].as_str().expect("an address");
    let words = ["admin", "enable-raft-envelope", "--endpoint", endpoint];
    let said = scene.say(&words);
    assert_eq!(said.code, 1);
    let leader = follower["raft"]["leader_id"].as_str().expect("an id");
    for piece in [
        "refused (not-leader)",
        &format!("the leader is {leader} at"),
    ] {
        assert!(said.stderr.contains(piece), "{piece}");
    }
    for process in &mut nodes.processes {
        process.kill().expect("a kill");
        process.wait().expect("an end");
    }
    let gone = scene.say(&words);
    assert_eq!(gone.code, 4);
    assert!(gone.stderr.contains("failed, nothing was changed"));
    assert_eq!(nodes.admin(&scene, &["status"]).code, 4);
}

#[test]
fn a_kek_is_made_once_and_wrong_ones_are_refused() {
    let scene = Scene::new();
    let path = scene.dir.path().join("kek");
    let kek = path.to_str().expect("UTF-8");
    assert_eq!(scene.say(&["admin", "kek", "new", kek]).code, 0);
    let bytes = std::fs::read(&path).expect("a KEK");
    assert_eq!(bytes.len(), 32);
    let mode = std::fs::metadata(&path)
        .expect("a KEK")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    let again = scene.say(&["admin", "kek", "new", kek]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("never replaced"));
    assert_eq!(std::fs::read(&path).expect("a KEK"), bytes);

    let short = scene.file("short", [7; 31]);
    let open = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&short, open).expect("a mode");
    let words = [
        "admin",
        "bootstrap",
        "--endpoint",
        "127.0.0.1:1",
        "--kek",
        &short,
    ];
    let said = scene.say(&words);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("31 bytes, want exactly 32"));
    let nobody = scene.say(&["admin", "status"]);
    assert_eq!(nobody.code, 2);
    assert!(nobody.stderr.contains("--endpoint"));
    for words in [
        &["admin"][..],
        &["admin", "rotate-dek", "--purpose", "disk", "--kek", kek],
        &["admin", "bootstrap", "--endpoint", "127.0.0.1:1"],
        &[
            "admin",
            "register-writer",
            "--dek-id",
            "0",
            "--raft-id",
            "n1",
            "--local-epoch",
            "0",
        ],
    ] {
        assert_eq!(scene.say(words).code, 2, "{words:?}");
    }
}
