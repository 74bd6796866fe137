//! Nodes as processes: their life, their namespace, their log.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use keyquake_cluster::{
    ClusterError, Ending, NetworkKind, NetworkMode, NodeStatus, Running, RuntimeError,
    enter_own_network,
};

use crate::stage::{Fixture, block_on, enter_namespace, launch_part, launch_shell, spec, until};

const SLEEP: &str = "exec sleep 1000";

fn loopback() -> NetworkKind {
    enter_own_network(NetworkMode::Loopback).unwrap()
}

fn namespace_of(process: &str) -> String {
    fs::read_link(format!("/proc/{process}/ns/net"))
        .unwrap()
        .display()
        .to_string()
}

pub fn namespace_survives() {
    let kind = enter_namespace();
    block_on(async {
        let fixture = Fixture::new(&kind, 3, launch_shell(SLEEP)).await;
        let cluster = &fixture.cluster;
        cluster.start_all().await.unwrap();
        let namespaces = || {
            (0..3).map(|node| match cluster.status(node) {
                NodeStatus::Running { pid } => namespace_of(&pid.to_string()),
                status => panic!("{status}"),
            })
        };
        let before = namespaces().collect::<Vec<_>>();
        let mut different = before.clone();
        different.push(namespace_of("self"));
        different.sort();
        different.dedup();
        assert_eq!(
            different.len(),
            4,
            "each node has its own, and none the suite's: {before:?}"
        );
        cluster.kill(1).await.unwrap();
        cluster.start(1).await.unwrap();
        assert_eq!(namespaces().collect::<Vec<_>>(), before);
        assert!(cluster.probe_matrix().await.unwrap().is_all_open());
        fixture.end().await;
    });
}

pub fn lifecycle() {
    let kind = loopback();
    block_on(async {
        let fixture = Fixture::new(
            &kind,
            1,
            launch_shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"),
        )
        .await;
        let cluster = &fixture.cluster;
        assert_eq!(cluster.status(0), NodeStatus::NeverStarted);
        cluster.start(0).await.unwrap();
        assert!(matches!(cluster.status(0), NodeStatus::Running { .. }));
        let error = cluster.start(0).await.unwrap_err().to_string();
        assert!(
            error.starts_with("n1 can't be started: it is running (pid "),
            "{error}"
        );

        until("it is ready", || fixture.log(0).contains("out ready")).await;
        let Running::Program(program) = cluster.running(0).await.unwrap() else {
            panic!("a process runs a program");
        };
        let shell = fs::canonicalize("/bin/sh").unwrap();
        assert_eq!(fs::canonicalize(program).unwrap(), shell);
        assert_eq!(cluster.kill(0).await.unwrap(), Ending::Signal(9));
        assert_eq!(cluster.status(0), NodeStatus::Exited(Ending::Signal(9)));
        let error = cluster.running(0).await.unwrap_err().to_string();
        assert!(error.contains("n1 can't be looked at"), "{error}");
        let error = cluster.kill(0).await.unwrap_err().to_string();
        assert_eq!(
            error,
            "n1 can't be killed: it is not up (ended by signal 9 (SIGKILL))"
        );

        cluster.start(0).await.unwrap();
        until("it listens to SIGTERM", || {
            fixture.log(0).matches("ready").count() == 2
        })
        .await;
        let ended = cluster.stop(0, Duration::from_secs(20)).await.unwrap();
        assert_eq!(ended, NodeStatus::Exited(Ending::Code(7)));

        let mut other = cluster.spec(0).await.unwrap();
        other.release = "next".into();
        other.launch =
            launch_shell("trap '' TERM; echo \"release $RELEASE\"; while :; do sleep 0.05; done");
        other.launch.env.push(("RELEASE".into(), "next".into()));
        cluster.restart(0, other.clone()).await.unwrap();
        assert_eq!(cluster.spec(0).await.unwrap(), other);
        until("the other release speaks", || {
            fixture.log(0).contains("out release next")
        })
        .await;
        let ended = cluster.stop(0, Duration::from_millis(50)).await.unwrap();
        assert_eq!(
            ended,
            NodeStatus::Exited(Ending::Signal(9)),
            "who ignores SIGTERM is killed"
        );
        fixture.end().await;
    });
}

pub fn own_end() {
    let kind = loopback();
    block_on(async {
        let script = "echo to-out; echo to-err >&2; head -c 300000 /dev/zero | tr '\\0' x; exit 3";
        let fixture = Fixture::new(&kind, 1, launch_shell(script)).await;
        fixture.cluster.start(0).await.unwrap();
        assert_eq!(fixture.cluster.wait_exit(0).await.unwrap(), Ending::Code(3));
        assert_eq!(
            fixture.cluster.status(0),
            NodeStatus::Exited(Ending::Code(3))
        );
        let all_read = || fixture.log(0).matches('x').count() >= 300_000;
        until("the whole output is in the log", all_read).await;
        let log = fixture.log(0);
        for text in [
            "--- started n1 as pid ",
            "out to-out\n",
            "err to-err\n",
            "--- exited with code 3\n",
        ] {
            assert!(
                log.contains(text),
                "{text:?} is missing in {}",
                log.replace('x', "")
            );
        }
        assert!(log.lines().all(|line| {
            line.trim()
                .split(' ')
                .next()
                .is_some_and(|time| time.parse::<f64>().is_ok())
        }));
        fixture.end().await;
    });
}

pub fn pause() {
    let kind = loopback();
    block_on(async {
        let fixture = Fixture::new(&kind, 1, launch_part("part_threads")).await;
        let cluster = &fixture.cluster;
        cluster.start(0).await.unwrap();
        until("its threads are there", || {
            fixture.log(0).contains("out ready")
        })
        .await;

        let stopped = cluster.pause(0).await.unwrap();
        assert!(
            stopped.threads >= 5 && stopped.is_all_stopped(),
            "{stopped}"
        );
        assert!(matches!(cluster.status(0), NodeStatus::Paused { .. }));
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert_eq!(
                cluster.census(0).unwrap(),
                stopped,
                "it doesn't run meanwhile"
            );
        }
        assert_eq!(cluster.resume(0).await.unwrap().stopped, 0);
        assert!(matches!(cluster.status(0), NodeStatus::Running { .. }));
        until("it runs again", || {
            cluster.census(0).unwrap().switches > stopped.switches
        })
        .await;

        cluster.pause(0).await.unwrap();
        assert_eq!(
            cluster.kill(0).await.unwrap(),
            Ending::Signal(9),
            "a paused node can be killed"
        );
        let error = cluster.pause(0).await.unwrap_err();
        assert!(
            matches!(
                error,
                ClusterError::Runtime(RuntimeError::NotUp { done: "paused", .. })
            ),
            "{error}"
        );
        fixture.end().await;
    });
}

/// A node with threads that never rest.
pub fn part_threads() {
    for _ in 0..4 {
        thread::spawn(|| {
            loop {
                thread::sleep(Duration::from_millis(1));
            }
        });
    }
    println!("ready");
    let patience = Instant::now();
    while patience.elapsed() < Duration::from_secs(600) {
        thread::sleep(Duration::from_millis(1));
    }
}

pub fn children() {
    let kind = loopback();
    block_on(async {
        let fixture =
            Fixture::new(&kind, 1, launch_shell("sleep 1000 & echo child $!; wait")).await;
        fixture.cluster.start(0).await.unwrap();
        until("the child is there", || {
            fixture.log(0).contains("out child ")
        })
        .await;
        let log = fixture.log(0);
        let child = log
            .split("out child ")
            .nth(1)
            .and_then(|rest| rest.lines().next())
            .unwrap()
            .to_owned();
        fixture.cluster.kill(0).await.unwrap();
        until("the child is gone too", || {
            fs::read_to_string(format!("/proc/{child}/stat"))
                .map_or(true, |stat| stat.contains(") Z "))
        })
        .await;
        fixture.end().await;
    });
}

/// Also used by the error scenarios: a spec that runs `sleep`.
pub fn sleeper(dir: &std::path::Path, kind: &NetworkKind) -> keyquake_cluster::NodeSpec {
    spec(dir, kind, 0, launch_shell(SLEEP))
}

pub fn frozen() {
    let kind = loopback();
    block_on(async {
        let count = "n=0; while :; do n=$((n+1)); echo $n; sleep 0.01; done";
        let fixture = Fixture::new(&kind, 2, launch_shell(count)).await;
        let cluster = &fixture.cluster;
        let still = cluster.freeze(0).await.unwrap();
        assert_eq!(still.found(), (NodeStatus::NeverStarted, false));
        cluster.thaw(still).await.unwrap();

        cluster.start(0).await.unwrap();
        until("it counts", || fixture.log(0).contains("out 3\n")).await;
        let held = cluster.freeze(0).await.unwrap();
        assert!(matches!(held.found(), (NodeStatus::Running { .. }, true)));
        assert!(cluster.census(0).unwrap().is_all_stopped());
        // Nobody else gets at it meanwhile.
        let kill = cluster.kill(0);
        let killed = tokio::time::timeout(Duration::from_millis(200), kill).await;
        assert!(killed.is_err(), "it was killed while it was held");
        cluster.thaw(held).await.unwrap();
        assert!(matches!(cluster.status(0), NodeStatus::Running { .. }));

        // What a fault has paused stays so.
        cluster.pause(0).await.unwrap();
        let held = cluster.freeze(0).await.unwrap();
        assert!(matches!(held.found(), (NodeStatus::Paused { .. }, false)));
        cluster.thaw(held).await.unwrap();
        assert!(matches!(cluster.status(0), NodeStatus::Paused { .. }));
        cluster.resume(0).await.unwrap();
        cluster.kill(0).await.unwrap();
        let held = cluster.freeze(0).await.unwrap();
        assert!(matches!(held.found(), (NodeStatus::Exited(_), false)));
        cluster.thaw(held).await.unwrap();
        fixture.end().await;
    });
}
