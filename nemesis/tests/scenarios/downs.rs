//! Restart and crash loop, of one node and of a whole cluster.

use keyquake_cluster::{NetworkKind, NetworkMode, NodeStatus, enter_own_network};
use keyquake_nemesis::{FaultName, Step, Target};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::actors::{fault, perform, pid, serving};
use crate::stage::{Fixture, block_on, until};

/// Long enough for a saboteur to act; a fault that lost its effect ends early.
const LONG: u64 = 20_000;
const HELD: [Step; 3] = [Step::Armed, Step::Effective, Step::Healed];
const INEFFECTIVE: [Step; 3] = [Step::Armed, Step::Ineffective, Step::Healed];
const LOST: [Step; 4] = [
    Step::Armed,
    Step::Effective,
    Step::Ineffective,
    Step::Healed,
];

fn loopback() -> NetworkKind {
    enter_own_network(NetworkMode::Loopback).unwrap()
}

fn statuses(fixture: &Fixture) -> Vec<NodeStatus> {
    let nodes = 0..fixture.cluster.node_count();
    nodes.map(|node| fixture.cluster.status(node)).collect()
}

async fn terminate(fixture: &Fixture, node: u16) {
    let pid = Pid::from_raw(pid(fixture, node) as i32);
    kill(pid, Signal::SIGTERM).unwrap();
    fixture.cluster.wait_exit(node).await.unwrap();
}

pub fn restart_takes_effect() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        let before = pid(&fixture, 1);
        let restart = fault(FaultName::Restart, Target::Leader, 400);
        let (records, report) = perform(&fixture, restart, async {}).await;
        assert_eq!(records.steps(), HELD);
        assert!(report.faults[0].effective && report.faults[0].healed);
        assert_eq!(records.nodes(), [1]);
        let effective = format!(
            "n2 was running (pid {before}), was asked to end, and ended by signal 15 (SIGTERM); \
             n2 is down"
        );
        assert_eq!(records.evidence(Step::Effective), effective);
        let healed = records.evidence(Step::Healed);
        assert!(
            healed.starts_with("to the end n2 is down; healed: n2 was started again (pid "),
            "{healed}"
        );
        assert_ne!(pid(&fixture, 1), before);
        fixture.end().await;
    });
}

pub fn whole_cluster() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 3).await;
        for (name, end) in [
            (FaultName::Restart, "ended by signal 15 (SIGTERM)"),
            (FaultName::Kill, "was killed by our signal 9"),
        ] {
            let before: Vec<_> = (0..3).map(|node| pid(&fixture, node)).collect();
            let all_down = async {
                let all = statuses(&fixture);
                assert!(all.iter().all(|status| !status.is_up()), "{all:?}");
            };
            let (records, report) =
                perform(&fixture, fault(name, Target::All, 300), all_down).await;
            assert_eq!(records.steps(), HELD, "{name}");
            assert!(report.faults[0].effective && report.faults[0].healed);
            assert_eq!(records.nodes(), [0, 1, 2]);
            assert_eq!(records.evidence(Step::Armed), "aimed at all");
            let effective = records.evidence(Step::Effective);
            assert_eq!(effective.matches(end).count(), 3, "{effective}");
            for (node, before) in (0..).zip(before) {
                assert_ne!(pid(&fixture, node), before);
            }
        }
        let pause = fault(FaultName::Pause, Target::All, 300);
        let (records, _) = perform(&fixture, pause, async {}).await;
        assert_eq!(records.steps(), HELD);
        let held = records.evidence(Step::Effective);
        assert_eq!(held.matches("2 of 2 threads stopped").count(), 6, "{held}");
        fixture.end().await;
    });
}

pub fn restart_of_the_dead() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        terminate(&fixture, 1).await;
        let restart = fault(FaultName::Restart, Target::All, LONG);
        let (records, report) = perform(&fixture, restart, async {}).await;
        assert_eq!(records.steps(), INEFFECTIVE);
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        let dead = "n2 can't be stopped: it is not up (ended by signal 15 (SIGTERM))";
        assert!(reason.ends_with(dead), "{reason}");
        // All are up again, whoever had been down before.
        (0..2).for_each(|node| assert!(pid(&fixture, node) > 0));
        fixture.end().await;
    });
}

pub fn restart_undone() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        let revive = async {
            fixture.cluster.start(1).await.unwrap();
        };
        let restart = fault(FaultName::Restart, Target::Leader, LONG);
        let (records, report) = perform(&fixture, restart, revive).await;
        assert_eq!(records.steps(), LOST);
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        assert!(
            reason.starts_with("its effect was lost: n2 should be down, but is running (pid "),
            "{reason}"
        );
        fixture.end().await;
    });
}

pub fn crash_loop_takes_effect() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        let crashing = fault(FaultName::CrashLoop, Target::All, 2_500);
        let (records, report) = perform(&fixture, crashing, async {}).await;
        assert_eq!(records.steps(), HELD);
        assert!(report.faults[0].effective && report.faults[0].healed);
        let healed = records.evidence(Step::Healed);
        let kills: Vec<u32> = healed
            .split(" was killed ")
            .skip(1)
            .filter_map(|rest| rest.split_once(" times by our signal 9")?.0.parse().ok())
            .collect();
        assert_eq!(kills.len(), 2, "{healed}");
        for (node, kills) in (0..).zip(kills) {
            assert!(kills >= 3, "{healed}");
            // Each end that is told of was one in the log as well.
            let ends = fixture.log(node).matches("ended by signal 9").count();
            assert!((kills as usize..=kills as usize + 1).contains(&ends));
            assert!(pid(&fixture, node) > 0);
        }
        fixture.end().await;
    });
}

pub fn crash_loop_of_the_dead() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        terminate(&fixture, 1).await;
        let crashing = fault(FaultName::CrashLoop, Target::Leader, LONG);
        let (records, report) = perform(&fixture, crashing, async {}).await;
        assert_eq!(records.steps(), INEFFECTIVE);
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        let dead = "the loop of n2 has ended after 0 kills: n2 can't be killed: it is not up (ended by signal 15 (SIGTERM))";
        assert!(reason.ends_with(dead), "{reason}");
        fixture.end().await;
    });
}

pub fn crash_loop_broken() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        // Another hand stops the node in one of its lives.
        let interfere = async {
            until("the node is up for a moment", || {
                match fixture.cluster.status(1) {
                    NodeStatus::Running { pid } => {
                        kill(Pid::from_raw(pid as i32), Signal::SIGTERM).is_ok()
                    }
                    _ => false,
                }
            })
            .await;
        };
        let crashing = fault(FaultName::CrashLoop, Target::Leader, LONG);
        let (records, report) = perform(&fixture, crashing, interfere).await;
        assert_eq!(records.steps(), LOST);
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        assert!(
            reason.starts_with("its effect was lost: the loop of n2 has ended after ")
                && reason.contains("signal 15"),
            "{reason}"
        );
        fixture.end().await;
    });
}
