//! Every fault on containers: it takes effect, and its failing to is noticed.

use std::fs;
use std::sync::Arc;

use keyquake_cluster::{Ending, LinkRule, NetworkKind, NodeStatus};
use keyquake_nemesis::{FaultName, PlannedFault, Step, Target};

use crate::actors::{Records, fault, perform, pid, serving, up};
use crate::stage::{Fixture, block_on};

/// Long enough for a saboteur to act; a fault that lost its effect ends early.
const LONG: u64 = 30_000;
const SIZE: u64 = 8 << 20;
const HELD: [Step; 3] = [Step::Armed, Step::Effective, Step::Healed];
const INEFFECTIVE: [Step; 3] = [Step::Armed, Step::Ineffective, Step::Healed];
const LOST: [Step; 4] = [
    Step::Armed,
    Step::Effective,
    Step::Ineffective,
    Step::Healed,
];

/// Nobody asks here what network a container has: its own.
fn kind() -> NetworkKind {
    NetworkKind::Loopback {
        why: "containers are told by their engine".into(),
    }
}

async fn playing(part: &str) -> Fixture {
    up(Fixture::new(&kind(), 2, part).await).await
}

/// A fault that does what it should; gives what was seen at its end.
async fn holds(
    fixture: &Fixture,
    planned: PlannedFault,
    meanwhile: impl Future<Output = ()>,
) -> String {
    let (records, report) = perform(fixture, planned, meanwhile).await;
    assert_eq!(records.steps(), HELD, "{records:?}");
    assert!(report.faults[0].effective && report.faults[0].healed);
    records.evidence(Step::Healed)
}

/// A fault that never was in force; gives why.
async fn never(fixture: &Fixture, planned: PlannedFault) -> String {
    let (records, report) = perform(fixture, planned, async {}).await;
    assert_eq!(records.steps(), INEFFECTIVE, "{records:?}");
    assert!(!report.faults[0].effective && report.faults[0].healed);
    records.evidence(Step::Ineffective)
}

/// A fault whose effect was lost; gives how.
async fn lost(
    fixture: &Fixture,
    planned: PlannedFault,
    sabotage: impl Future<Output = ()>,
) -> String {
    let (records, report): (Arc<Records>, _) = perform(fixture, planned, sabotage).await;
    assert_eq!(records.steps(), LOST, "{records:?}");
    assert!(!report.faults[0].effective && report.faults[0].healed);
    records.evidence(Step::Ineffective)
}

async fn terminate(fixture: &Fixture, node: u16) {
    let grace = std::time::Duration::ZERO;
    fixture.cluster.stop(node, grace).await.unwrap();
}

pub fn kill() {
    block_on(async {
        let fixture = serving(&kind(), 2).await;
        let before = pid(&fixture, 1);
        let seen = holds(&fixture, fault(FaultName::Kill, Target::All, 300), async {
            assert_eq!(
                fixture.cluster.status(1),
                NodeStatus::Exited(Ending::Signal(9))
            );
        })
        .await;
        assert!(seen.contains("n2 was started again"), "{seen}");
        assert_ne!(pid(&fixture, 1), before);
        let revive = async {
            fixture.cluster.start(1).await.unwrap();
        };
        let planned = fault(FaultName::Kill, Target::Leader, LONG);
        let reason = lost(&fixture, planned.clone(), revive).await;
        assert!(reason.contains("n2 should be down"), "{reason}");
        terminate(&fixture, 1).await;
        let reason = never(&fixture, planned).await;
        assert!(reason.starts_with("n2 can't be killed"), "{reason}");
        fixture.end().await;
    });
}

pub fn pause() {
    block_on(async {
        let fixture = serving(&kind(), 2).await;
        let paused = fault(FaultName::Pause, Target::Leader, 500);
        let seen = holds(&fixture, paused, async {}).await;
        assert!(seen.contains("n2 has not run"), "{seen}");
        let wake = async {
            fixture.cluster.resume(1).await.unwrap();
        };
        let paused = fault(FaultName::Pause, Target::Leader, LONG);
        let reason = lost(&fixture, paused.clone(), wake).await;
        assert!(reason.contains("n2 should be stopped"), "{reason}");
        terminate(&fixture, 1).await;
        let reason = never(&fixture, paused).await;
        assert!(reason.starts_with("n2 can't be paused"), "{reason}");
        fixture.end().await;
    });
}

pub fn restart() {
    block_on(async {
        let fixture = serving(&kind(), 2).await;
        let whole = fault(FaultName::Restart, Target::All, 200);
        let seen = holds(&fixture, whole.clone(), async {}).await;
        assert!(seen.contains("n1 was started again"), "{seen}");
        terminate(&fixture, 1).await;
        let reason = never(&fixture, whole).await;
        assert!(reason.contains("n2 can't be stopped"), "{reason}");
        let revive = async {
            fixture.cluster.start(1).await.unwrap();
        };
        let planned = fault(FaultName::Restart, Target::Leader, LONG);
        let reason = lost(&fixture, planned, revive).await;
        assert!(reason.contains("n2 should be down"), "{reason}");
        fixture.end().await;
    });
}

pub fn crash_loop() {
    block_on(async {
        let fixture = serving(&kind(), 2).await;
        let crashing = fault(FaultName::CrashLoop, Target::Leader, 3_000);
        let seen = holds(&fixture, crashing, async {}).await;
        let kills = seen.split("n2 was killed ").nth(1).unwrap();
        let kills: u32 = kills.split(' ').next().unwrap().parse().unwrap();
        assert!(kills >= 2, "{seen}");
        terminate(&fixture, 1).await;
        let crashing = fault(FaultName::CrashLoop, Target::Leader, LONG);
        let reason = never(&fixture, crashing).await;
        assert!(reason.contains("after 0 kills"), "{reason}");
        fixture.end().await;
    });
}

pub fn partitions() {
    block_on(async {
        let fixture = serving(&kind(), 3).await;
        let kinds = [
            (FaultName::PartitionOne, Target::Leader),
            (
                FaultName::PartitionHalves,
                Target::Groups(vec![vec![1], vec![0, 2]]),
            ),
            (
                FaultName::PartitionMajorityRing,
                Target::Nodes(vec![0, 1, 2]),
            ),
            (FaultName::PartitionOneWay, Target::Leader),
        ];
        for (name, target) in kinds {
            let cluster = &fixture.cluster;
            let planned = fault(name, target.clone(), 300);
            let cut = async { assert!(!cluster.links().is_all_open()) };
            let seen = holds(&fixture, planned, cut).await;
            assert!(seen.contains("healed: measured: "), "{name}: {seen}");
            let reopen = async {
                let wanted = cluster.links();
                let closed = wanted.pairs().find(|&(from, to)| !wanted.is_open(from, to));
                let (from, to) = closed.unwrap();
                cluster.set_link(from, to, LinkRule::Open).await.unwrap();
            };
            let reason = lost(&fixture, fault(name, target, LONG), reopen).await;
            assert!(reason.contains("not as wanted"), "{name}: {reason}");
        }
        fixture.end().await;
    });
}

pub fn slow_cpu() {
    block_on(async {
        let fixture = playing("busy").await;
        let slow = fault(FaultName::SlowCpu, Target::Leader, 500);
        let seen = holds(&fixture, slow, async {}).await;
        assert!(seen.contains("n2 gets all it wants"), "{seen}");
        let lift = async {
            fixture.cluster.limit_cpu(1, None).await.unwrap();
        };
        let slow = fault(FaultName::SlowCpu, Target::Leader, LONG);
        let reason = lost(&fixture, slow.clone(), lift).await;
        assert!(reason.ends_with("but has no limit"), "{reason}");
        fixture.end().await;
        let fixture = serving(&kind(), 2).await;
        let reason = never(&fixture, slow).await;
        assert!(reason.ends_with("wanted no more in 5 s"), "{reason}");
        fixture.end().await;
    });
}

pub fn memory_limit() {
    block_on(async {
        let fixture = playing("hungry").await;
        let short = fault(FaultName::MemoryLimit, Target::Leader, 1_500);
        let seen = holds(&fixture, short, async {
            let ending = fixture.cluster.wait_exit(1).await.unwrap();
            assert_eq!(ending, Ending::OutOfMemory);
        })
        .await;
        assert!(seen.contains("n2 was killed by the kernel"), "{seen}");
        assert!(seen.contains("n2 was started again"), "{seen}");
        fixture.end().await;
        let fixture = serving(&kind(), 2).await;
        let short = fault(FaultName::MemoryLimit, Target::Leader, LONG);
        let reason = never(&fixture, short).await;
        assert!(reason.ends_with("wanted no more in 5 s"), "{reason}");
        fixture.end().await;
    });
}

pub fn full_disk() {
    // Where the engine sees it, only root mounts.
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    block_on(async {
        let fixture = up(Fixture::on_disks(2, "scribe", SIZE).await).await;
        let full = fault(FaultName::FullDisk, Target::Leader, 700);
        let seen = holds(&fixture, full, async {
            let ending = fixture.cluster.wait_exit(1).await.unwrap();
            assert_eq!(ending, Ending::Code(28));
        })
        .await;
        assert!(
            seen.contains("the disk of n2 takes a write again"),
            "{seen}"
        );
        assert!(seen.contains("n2 was started again"), "{seen}");
        let ballast = fixture.path("disks/n2/ballast");
        let empty = async { fs::remove_file(ballast).unwrap() };
        let full = fault(FaultName::FullDisk, Target::Leader, LONG);
        let reason = lost(&fixture, full.clone(), empty).await;
        assert!(reason.contains("0 bytes of ballast left"), "{reason}");
        fixture.end().await;
        let fixture = serving(&kind(), 2).await;
        let reason = never(&fixture, full).await;
        assert!(reason.starts_with("n2 has no disk of its own"), "{reason}");
        fixture.end().await;
    });
}
