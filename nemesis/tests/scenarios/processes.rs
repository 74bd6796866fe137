//! Kill and pause.

use std::sync::Arc;

use keyquake_cluster::{NetworkKind, NetworkMode, NodeStatus, enter_own_network};
use keyquake_nemesis::{ActiveFaults, FaultName, Step, Target, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

use crate::actors::{Leads, NeverHealthy, Records, around, fault, perform, pid, serving};
use crate::stage::{block_on, until};

/// Long enough for a saboteur to act; a fault that lost its effect ends early.
const LONG: u64 = 20_000;
const LOST: [Step; 4] = [
    Step::Armed,
    Step::Effective,
    Step::Ineffective,
    Step::Healed,
];

fn loopback() -> NetworkKind {
    enter_own_network(NetworkMode::Loopback).unwrap()
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).unwrap();
}

pub fn kill_takes_effect() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 3).await;
        let before = pid(&fixture, 1);
        let (records, report) = perform(
            &fixture,
            fault(FaultName::Kill, Target::Leader, 500),
            async {},
        )
        .await;
        assert_eq!(
            records.steps(),
            [Step::Armed, Step::Effective, Step::Healed]
        );
        assert!(report.faults[0].effective && report.faults[0].healed);
        assert_eq!(records.nodes(), [1]);
        assert_eq!(
            records.evidence(Step::Armed),
            "aimed at the leader, which is n2"
        );
        let effective =
            format!("n2 was running (pid {before}), and was killed by our signal 9; n2 is down");
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

pub fn kill_of_the_dead() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        signal(pid(&fixture, 1), Signal::SIGKILL);
        // A signal that was sent is not a process that has ended yet.
        fixture.cluster.wait_exit(1).await.unwrap();
        let (records, report) = perform(
            &fixture,
            fault(FaultName::Kill, Target::Nodes(vec![1]), LONG),
            async {},
        )
        .await;
        assert_eq!(
            records.steps(),
            [Step::Armed, Step::Ineffective, Step::Healed]
        );
        assert!(!report.faults[0].effective);
        let reason = records.evidence(Step::Ineffective);
        assert_eq!(
            reason,
            "n2 can't be killed: it is not up (ended by signal 9 (SIGKILL))"
        );
        pid(&fixture, 1);
        fixture.end().await;
    });
}

pub fn kill_undone() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        let revive = async {
            fixture.cluster.start(1).await.unwrap();
        };
        let (records, report) = perform(
            &fixture,
            fault(FaultName::Kill, Target::Leader, LONG),
            revive,
        )
        .await;
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

pub fn kill_not_healed() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        let (records, (_go_on, stop), active) = (
            Records::new(),
            watch::channel(false),
            ActiveFaults::default(),
        );
        let schedule = [fault(FaultName::Kill, Target::Leader, 50)];
        let cluster = Arc::clone(&fixture.cluster);
        let report = run(
            &schedule,
            cluster,
            around(&Leads(Some(1)), &NeverHealthy),
            records.as_ref(),
            &active,
            stop,
        )
        .await;
        assert_eq!(
            records.steps(),
            [Step::Armed, Step::Effective, Step::HealFailed]
        );
        assert!(report.faults[0].effective && !report.faults[0].healed);
        let reason = records.evidence(Step::HealFailed);
        assert!(
            reason.ends_with("but doesn't serve: connection refused"),
            "{reason}"
        );
        fixture.end().await;
    });
}

pub fn pause_takes_effect() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 3).await;
        let paused = pid(&fixture, 1);
        let (records, report) = perform(
            &fixture,
            fault(FaultName::Pause, Target::Leader, 700),
            async {
                assert_eq!(
                    fixture.cluster.status(1),
                    NodeStatus::Paused { pid: paused }
                );
            },
        )
        .await;
        assert_eq!(
            records.steps(),
            [Step::Armed, Step::Effective, Step::Healed]
        );
        assert!(report.faults[0].effective && report.faults[0].healed);
        let effective = records.evidence(Step::Effective);
        assert!(
            effective.starts_with("n2: 2 of 2 threads stopped, ")
                && effective.contains("n2 has not run"),
            "{effective}"
        );
        let healed = records.evidence(Step::Healed);
        assert!(
            healed.contains("healed: n2 goes on: 0 of 2 threads stopped"),
            "{healed}"
        );
        assert_eq!(
            fixture.cluster.status(1),
            NodeStatus::Running { pid: paused }
        );
        fixture.end().await;
    });
}

pub fn pause_of_the_dead() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        signal(pid(&fixture, 1), Signal::SIGTERM);
        fixture.cluster.wait_exit(1).await.unwrap();
        let (records, report) = perform(
            &fixture,
            fault(FaultName::Pause, Target::Leader, LONG),
            async {},
        )
        .await;
        assert_eq!(
            records.steps(),
            [Step::Armed, Step::Ineffective, Step::Healed]
        );
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        assert_eq!(
            reason,
            "n2 can't be paused: it is not up (ended by signal 15 (SIGTERM))"
        );
        fixture.end().await;
    });
}

pub fn pause_undone() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        let paused = pid(&fixture, 1);
        let wake = async { signal(paused, Signal::SIGCONT) };
        let (records, report) = perform(
            &fixture,
            fault(FaultName::Pause, Target::Leader, LONG),
            wake,
        )
        .await;
        assert_eq!(records.steps(), LOST);
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        assert!(
            reason.starts_with(
                "its effect was lost: n2 should be stopped, but 0 of 2 threads stopped"
            ),
            "{reason}"
        );
        fixture.end().await;
    });
}

pub fn pause_interrupted() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        let paused = pid(&fixture, 1);
        let switches = || fixture.cluster.census(1).unwrap().switches;
        let nap = async {
            let before = switches();
            signal(paused, Signal::SIGCONT);
            until("it has run", || switches() > before).await;
            signal(paused, Signal::SIGSTOP);
        };
        let (records, report) =
            perform(&fixture, fault(FaultName::Pause, Target::Leader, LONG), nap).await;
        assert_eq!(records.steps(), LOST);
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        assert!(
            reason.starts_with("its effect was lost: n2 has run meanwhile: "),
            "{reason}"
        );
        fixture.end().await;
    });
}
