//! The runner itself: early ends, and whom it aims at.

use std::sync::Arc;
use std::time::Duration;

use keyquake_cluster::{NetworkMode, NodeStatus, enter_own_network};
use keyquake_nemesis::{ActiveFaults, FaultName, PlannedFault, Step, Target, run};
use tokio::sync::watch;

use crate::actors::{Leads, LogHealth, Records, around, fault, pid, serving};
use crate::stage::block_on;

pub fn stop_heals() {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        let (records, (end, stop), active) = (
            Records::new(),
            watch::channel(false),
            ActiveFaults::default(),
        );
        let hour = Duration::from_secs(3600);
        let later = PlannedFault {
            at: hour * 2,
            ..fault(FaultName::Kill, Target::Leader, 1_000)
        };
        let schedule = [
            PlannedFault {
                hold: hour,
                ..fault(FaultName::Pause, Target::Leader, 0)
            },
            later.clone(),
            later,
        ];
        let (cluster, health) = (Arc::clone(&fixture.cluster), LogHealth(&fixture));
        let leads = Leads(Some(1));
        let running = run(
            &schedule,
            cluster,
            around(&leads, &health),
            records.as_ref(),
            &active,
            stop,
        );
        let stopping = async {
            records.until_effective().await;
            let now = active.now();
            assert_eq!(
                (now.len(), now[0].fault, now[0].name),
                (1, 0, FaultName::Pause)
            );
            assert_eq!(now[0].nodes, [1]);
            end.send(true).unwrap();
        };
        let (report, ()) = tokio::join!(running, stopping);
        assert_eq!(
            records.steps(),
            [Step::Armed, Step::Effective, Step::Healed]
        );
        assert_eq!((report.faults.len(), report.not_reached), (1, 2));
        assert!(report.faults[0].effective && active.now().is_empty());
        assert!(matches!(
            fixture.cluster.status(1),
            NodeStatus::Running { .. }
        ));
        fixture.end().await;
    });
}

pub fn no_leader() {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        let before = pid(&fixture, 0);
        let (records, (_go_on, stop), active) = (
            Records::new(),
            watch::channel(false),
            ActiveFaults::default(),
        );
        let schedule = [fault(FaultName::Kill, Target::Leader, 1_000)];
        let (cluster, health) = (Arc::clone(&fixture.cluster), LogHealth(&fixture));
        let report = run(
            &schedule,
            cluster,
            around(&Leads(None), &health),
            records.as_ref(),
            &active,
            stop,
        )
        .await;
        assert_eq!(
            records.steps(),
            [Step::Armed, Step::Ineffective, Step::Healed]
        );
        assert!(!report.faults[0].effective && report.faults[0].healed);
        assert_eq!(
            records.evidence(Step::Ineffective),
            "nobody led for 3 s, so nobody could be hit"
        );
        assert_eq!(records.evidence(Step::Healed), "nothing was applied");
        assert_eq!(pid(&fixture, 0), before);
        fixture.end().await;
    });
}

pub fn follower() {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        for leader in [0, 1] {
            let (records, (_go_on, stop), active) = (
                Records::new(),
                watch::channel(false),
                ActiveFaults::default(),
            );
            let schedule = [fault(FaultName::Pause, Target::Follower, 50)];
            let (cluster, health) = (Arc::clone(&fixture.cluster), LogHealth(&fixture));
            run(
                &schedule,
                cluster,
                around(&Leads(Some(leader)), &health),
                records.as_ref(),
                &active,
                stop,
            )
            .await;
            assert_eq!(records.nodes(), [1 - leader]);
            let armed = records.evidence(Step::Armed);
            let wanted = format!(
                "aimed at the follower after the leader n{}, which is n{}",
                leader + 1,
                2 - leader
            );
            assert_eq!(armed, wanted);
        }
        fixture.end().await;
    });
}

pub fn stop_while_aiming() {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        let before = pid(&fixture, 1);
        let (records, (end, stop), active) = (
            Records::new(),
            watch::channel(false),
            ActiveFaults::default(),
        );
        let schedule = [fault(FaultName::Kill, Target::Leader, 1_000)];
        let (cluster, health) = (Arc::clone(&fixture.cluster), LogHealth(&fixture));
        let nobody = Leads(None);
        let running = run(
            &schedule,
            cluster,
            around(&nobody, &health),
            records.as_ref(),
            &active,
            stop,
        );
        let stopping = async { end.send(true).unwrap() };
        let (report, ()) = tokio::join!(running, stopping);
        assert_eq!((report.faults.len(), report.not_reached), (0, 1));
        assert_eq!(records.steps(), []);
        assert_eq!(pid(&fixture, 1), before);
        fixture.end().await;
    });
}
