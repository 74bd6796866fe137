//! What can't be done is refused with its reason and a way out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use keyquake_cluster::{
    LinkRule, Matrix, Network, NetworkKind, NetworkMode, NodeSpec, NodeStatus, enter_own_network,
};
use nix::sched::{CloneFlags, unshare};

use crate::nodes::sleeper;
use crate::stage::{Fixture, block_on, enter_namespace, launch_shell};

pub fn loopback() {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    assert_eq!(kind.node_ip(2).to_string(), "127.0.0.1");
    block_on(async {
        let fixture = Fixture::new(&kind, 2, launch_shell("exec sleep 1000")).await;
        let cluster = &fixture.cluster;
        cluster.start_all().await.unwrap();
        assert!(matches!(cluster.status(1), NodeStatus::Running { .. }));
        assert!(!cluster.capabilities().links);
        assert_eq!(
            cluster.capabilities().to_string(),
            "faults of processes only, no partitions: it was asked for"
        );
        let cut = cluster
            .set_link(0, 1, LinkRule::Cut)
            .await
            .unwrap_err()
            .to_string();
        let probe = cluster.probe_matrix().await.unwrap_err().to_string();
        assert!(
            cut.starts_with("can't cut or open a link: the nodes share the loopback network"),
            "{cut}"
        );
        assert!(cut.contains("--faults kill,pause"), "{cut}");
        assert!(probe.starts_with("can't measure the links"), "{probe}");
        cluster.kill(0).await.unwrap();
        fixture.end().await;
    });
}

/// A process without privileges on a host that forbids namespaces.
pub fn denied() {
    let user = nix::unistd::geteuid();
    unshare(CloneFlags::CLONE_NEWUSER).unwrap();
    fs::write("/proc/self/setgroups", "deny").unwrap();
    fs::write("/proc/self/uid_map", format!("{user} {user} 1")).unwrap();
    fs::write("/proc/sys/user/max_net_namespaces", "0").unwrap();
    fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();

    let error = enter_own_network(NetworkMode::Namespace)
        .unwrap_err()
        .to_string();
    assert!(
        error
            .starts_with("no permission to create network namespaces: unshare(CLONE_NEWNET) says "),
        "{error}"
    );
    assert!(error.contains("run as root, enable unprivileged user namespaces (sysctl -w user.max_user_namespaces=10000)"), "{error}");
    assert!(error.ends_with("or pass --network loopback"), "{error}");

    let NetworkKind::Loopback { why } = enter_own_network(NetworkMode::Auto).unwrap() else {
        panic!("namespaces?")
    };
    assert!(
        why.starts_with("no permission to create network namespaces: ")
            && why.contains("to have them, run as root or enable"),
        "{why}"
    );
    block_on(async {
        let kind = NetworkKind::Loopback { why };
        let fixture = Fixture::new(&kind, 1, launch_shell("exec sleep 1000")).await;
        fixture.cluster.start(0).await.unwrap();
        fixture.end().await;
    });
}

pub fn threads() {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let other = thread::spawn(move || held.recv().is_err());
    let error = enter_own_network(NetworkMode::Auto)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "the network must be entered before threads are started, but there are 2"
    );
    drop(hold);
    assert!(other.join().unwrap());
}

pub fn not_startable() {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    block_on(async {
        let fixture = Fixture::new(&kind, 1, launch_shell("exec sleep 1000")).await;
        let dir = fixture.dir.path();
        let good = sleeper(dir, &kind);
        let plain = dir.join("plain.txt");
        fs::write(&plain, "no program").unwrap();
        let script = dir.join("script");
        fs::write(&script, "#!/no/such/interpreter\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let with_program = |program: &std::path::Path| {
            let mut spec = good.clone();
            spec.launch.program = program.to_owned();
            spec
        };
        let cases = [
            (
                with_program(&dir.join("nowhere")),
                "n1 can't be started: there is no program ",
                "give the right path",
            ),
            (
                with_program("no-such-name-anywhere".as_ref()),
                "there is no program no-such-name-anywhere",
                "build it",
            ),
            (
                with_program(&plain),
                "plain.txt can't be executed (Permission denied)",
                "chmod +x",
            ),
            (
                with_program(dir),
                " can't be executed (it is a directory)",
                "check that it is a program",
            ),
            (
                with_program(&script),
                "script can't be executed (its interpreter or loader is not there)",
                "check that it is a program",
            ),
        ];
        for (spec, first, second) in cases {
            refused(&fixture, spec, first, second).await;
        }
        fixture.cluster.restart(0, good).await.unwrap();
        fixture.end().await;
    });
}

async fn refused(fixture: &Fixture, spec: NodeSpec, first: &str, second: &str) {
    let error = fixture
        .cluster
        .restart(0, spec)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(first) && error.contains(second),
        "{error}\nmust contain {first:?} and {second:?}"
    );
}

pub fn no_directory() {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    block_on(async {
        let fixture = Fixture::new(&kind, 1, launch_shell("exec sleep 1000")).await;
        let dir = fixture.dir.path();
        let good = sleeper(dir, &kind);
        let plain = dir.join("plain.txt");
        fs::write(&plain, "no directory").unwrap();
        let data = NodeSpec {
            data_dir: plain.join("data"),
            ..good.clone()
        };
        refused(
            &fixture,
            data,
            "n1 can't be started: its data directory ",
            "can't be made: Not a directory",
        )
        .await;
        let log = NodeSpec {
            log_dir: plain.join("logs"),
            ..good.clone()
        };
        refused(
            &fixture,
            log,
            "n1 can't be started: its log directory ",
            "can't be made: Not a directory",
        )
        .await;
        // Root may write everywhere.
        if !nix::unistd::geteuid().is_root() {
            let locked = dir.join("locked");
            fs::create_dir(&locked).unwrap();
            fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
            let data = NodeSpec {
                data_dir: locked,
                ..good
            };
            refused(
                &fixture,
                data,
                "locked can't be written to: ",
                "Permission denied",
            )
            .await;
        }
        fixture.end().await;
    });
}

pub fn misuse() {
    let kind = enter_namespace();
    block_on(async {
        let network = Network::build(&kind, 2).await.unwrap();
        let no_node = network
            .set_link(0, 2, LinkRule::Cut)
            .await
            .unwrap_err()
            .to_string();
        assert_eq!(no_node, "there is no node at position 2: the cluster has 2");
        let itself = network
            .set_link(1, 1, LinkRule::Cut)
            .await
            .unwrap_err()
            .to_string();
        assert_eq!(itself, "n2 has no link to itself");
        let many = Network::build(&kind, 254).await.err().unwrap().to_string();
        assert_eq!(many, "254 nodes are too many for one network: at most 253");
        let again = Network::build(&kind, 2)
            .await
            .err()
            .map(|error| error.to_string());
        assert_eq!(
            again.as_deref(),
            Some("failed to plug n1 into the bridge: File exists (os error 17)")
        );
        assert!(
            network
                .probe(&Matrix::all_open(2))
                .await
                .unwrap()
                .is_all_open()
        );

        let fixture_kind = NetworkKind::Loopback {
            why: "a test".into(),
        };
        let fixture = Fixture::new(&fixture_kind, 1, launch_shell("exec sleep 1000")).await;
        let mut stranger = sleeper(fixture.dir.path(), &fixture_kind);
        stranger.index = 4;
        let error = fixture
            .cluster
            .restart(0, stranger)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("a spec for n1 at 4 was given to n1 at 0"),
            "{error}"
        );
        let error = fixture.cluster.start(3).await.unwrap_err().to_string();
        assert_eq!(error, "there is no node at position 3: the cluster has 1");
        fixture.end().await;
    });
}
