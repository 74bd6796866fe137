//! Partitions, of nodes that don't run: links are measured without them.

use std::sync::Arc;

use keyquake_cluster::{LinkRule, NetworkMode, enter_own_network};
use keyquake_nemesis::{ActiveFaults, FaultName, Step, Target, run};
use tokio::sync::watch;

use crate::actors::{Leads, LogHealth, Records, around, fault, perform};
use crate::stage::{Fixture, block_on, enter_namespace, launch_shell};

const LONG: u64 = 20_000;
const OPEN_5: &str = "n1→n2 ok, n1→n3 ok, n2→n1 ok, n2→n3 ok, n3→n1 ok, n3→n2 ok";

fn idle() -> keyquake_cluster::Launch {
    launch_shell("exec sleep 1000")
}

pub fn all_take_effect() {
    let kind = enter_namespace();
    block_on(async {
        let fixture = Fixture::new(&kind, 3, idle()).await;
        let cases = [
            (
                FaultName::PartitionOne,
                Target::Leader,
                "n1→n2 cut, n1→n3 ok, n2→n1 cut, n2→n3 cut, n3→n1 ok, n3→n2 cut",
            ),
            (
                FaultName::PartitionHalves,
                Target::Groups(vec![vec![2], vec![0, 1]]),
                "n1→n2 ok, n1→n3 cut, n2→n1 ok, n2→n3 cut, n3→n1 cut, n3→n2 cut",
            ),
            (
                FaultName::PartitionMajorityRing,
                Target::Nodes(vec![1, 0, 2]),
                "n1→n2 cut, n1→n3 ok, n2→n1 cut, n2→n3 ok, n3→n1 ok, n3→n2 ok",
            ),
            (
                FaultName::PartitionOneWay,
                Target::Leader,
                "n1→n2 ok, n1→n3 ok, n2→n1 cut, n2→n3 cut, n3→n1 ok, n3→n2 ok",
            ),
            (
                FaultName::PartitionOneWay,
                Target::Cuts(vec![(2, 0)]),
                "n1→n2 ok, n1→n3 ok, n2→n1 ok, n2→n3 ok, n3→n1 cut, n3→n2 ok",
            ),
        ];
        for (name, target, matrix) in cases {
            let (records, report) = perform(&fixture, fault(name, target, 100), async {}).await;
            assert_eq!(
                records.steps(),
                [Step::Armed, Step::Effective, Step::Healed],
                "{name}"
            );
            assert!(report.faults[0].effective && report.faults[0].healed);
            let effective = records.evidence(Step::Effective);
            assert!(
                effective.ends_with(&format!("; measured: {matrix}")),
                "{name}: {effective}"
            );
            let healed = records.evidence(Step::Healed);
            assert_eq!(
                healed,
                format!("to the end measured: {matrix}; healed: measured: {OPEN_5}")
            );
        }
        fixture.end().await;
    });
}

pub fn one_reopened() {
    reopened(FaultName::PartitionOne, Target::Leader, (1, 0));
}

pub fn halves_reopened() {
    reopened(
        FaultName::PartitionHalves,
        Target::Groups(vec![vec![0], vec![1, 2]]),
        (2, 0),
    );
}

pub fn ring_reopened() {
    reopened(
        FaultName::PartitionMajorityRing,
        Target::Nodes(vec![0, 1, 2]),
        (0, 1),
    );
}

pub fn one_way_reopened() {
    reopened(
        FaultName::PartitionOneWay,
        Target::Cuts(vec![(0, 2), (1, 2)]),
        (1, 2),
    );
}

/// Somebody opens a link behind the fault's and the cluster's back.
fn reopened(name: FaultName, target: Target, (from, to): (u16, u16)) {
    let kind = enter_namespace();
    block_on(async {
        let fixture = Fixture::new(&kind, 3, idle()).await;
        let open = async {
            fixture
                .cluster
                .network()
                .set_link(from, to, LinkRule::Open)
                .await
                .unwrap()
        };
        let (records, report) = perform(&fixture, fault(name, target, LONG), open).await;
        assert_eq!(
            records.steps(),
            [
                Step::Armed,
                Step::Effective,
                Step::Ineffective,
                Step::Healed
            ]
        );
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        let wrong = format!("; not as wanted: n{}→n{}", from + 1, to + 1);
        assert!(
            reason.starts_with("its effect was lost: measured: ") && reason.ends_with(&wrong),
            "{reason}"
        );
        fixture.end().await;
    });
}

pub fn stays_cut() {
    let kind = enter_namespace();
    block_on(async {
        let fixture = Fixture::new(&kind, 3, idle()).await;
        // Cut by somebody else, so that healing our own cuts doesn't open it.
        let cut = async {
            fixture
                .cluster
                .network()
                .set_link(2, 1, LinkRule::Cut)
                .await
                .unwrap()
        };
        let (records, report) = perform(
            &fixture,
            fault(
                FaultName::PartitionOneWay,
                Target::Cuts(vec![(0, 1)]),
                1_000,
            ),
            cut,
        )
        .await;
        assert_eq!(
            records.steps(),
            [
                Step::Armed,
                Step::Effective,
                Step::Ineffective,
                Step::HealFailed
            ]
        );
        assert!(!report.faults[0].effective && !report.faults[0].healed);
        let reason = records.evidence(Step::HealFailed);
        assert!(reason.ends_with("; still not as wanted: n3→n2"), "{reason}");
        fixture.cluster.heal_links().await.unwrap();
        assert!(fixture.cluster.probe_matrix().await.unwrap().is_all_open());
        fixture.end().await;
    });
}

pub fn on_loopback() {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    block_on(async {
        let fixture = Fixture::new(&kind, 3, idle()).await;
        let (records, (_go_on, stop), active) = (
            Records::new(),
            watch::channel(false),
            ActiveFaults::default(),
        );
        let schedule = [fault(FaultName::PartitionOne, Target::Leader, LONG)];
        let (cluster, health) = (Arc::clone(&fixture.cluster), LogHealth(&fixture));
        let report = run(
            &schedule,
            cluster,
            around(&Leads(Some(1)), &health),
            records.as_ref(),
            &active,
            stop,
        )
        .await;
        assert_eq!(
            records.steps(),
            [Step::Armed, Step::Ineffective, Step::Healed]
        );
        assert!(!report.faults[0].effective);
        let reason = records.evidence(Step::Ineffective);
        assert!(
            reason.starts_with("can't cut or open a link: the nodes share the loopback network"),
            "{reason}"
        );
        fixture.end().await;
    });
}
