//! Less processor time and less memory. Who may not make control groups is refused, and that is
//! tested too.

use std::io::{Seek, Write};
use std::time::Duration;

use keyquake_cluster::{Ending, Groups, NetworkKind, NetworkMode, NodeStatus, enter_own_network};
use keyquake_nemesis::{FaultName, Step, Target};

use crate::actors::{fault, perform, pid, serving, up};
use crate::stage::{Fixture, block_on, launch_part};

/// Long enough for a saboteur to act; a fault that lost its effect ends early.
const LONG: u64 = 20_000;
const MIB: usize = 1 << 20;
const HELD: [Step; 3] = [Step::Armed, Step::Effective, Step::Healed];
const INEFFECTIVE: [Step; 3] = [Step::Armed, Step::Ineffective, Step::Healed];
const LOST: [Step; 4] = [
    Step::Armed,
    Step::Effective,
    Step::Ineffective,
    Step::Healed,
];

fn serve() {
    println!("serving");
    std::io::stdout().flush().unwrap();
}

pub fn part_idle() {
    serve();
    std::thread::sleep(Duration::from_secs(3600));
}

pub fn part_busy() {
    serve();
    loop {
        std::hint::spin_loop();
    }
}

/// Takes a quarter of a gibibyte, and is content.
pub fn part_hungry() {
    serve();
    let mut taken = Vec::new();
    while taken.len() < 256 {
        taken.push(vec![1_u8; MIB]);
        std::thread::sleep(Duration::from_millis(10));
    }
    part_idle();
}

/// Fills the kernel's memory of its file, which can be taken back.
pub fn part_writer() {
    let mut file = tempfile::tempfile().unwrap();
    serve();
    let block = vec![7; MIB];
    loop {
        file.rewind().unwrap();
        for _ in 0..64 {
            file.write_all(&block).unwrap();
            file.sync_data().unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn loopback() -> NetworkKind {
    enter_own_network(NetworkMode::Loopback).unwrap()
}

/// Plays on a cluster of two whose nodes can be limited, where that is allowed.
fn play(part: &str, scene: impl AsyncFnOnce(&Fixture)) {
    let kind = loopback();
    if Groups::possible().is_err() {
        assert!(!nix::unistd::geteuid().is_root());
        return;
    }
    block_on(async {
        let fixture = up(Fixture::grouped(&kind, 2, launch_part(part)).await).await;
        scene(&fixture).await;
        fixture.end().await;
    });
}

pub fn slow_cpu() {
    play("part_busy", async |fixture| {
        let slow = fault(FaultName::SlowCpu, Target::All, 700);
        let (records, report) = perform(fixture, slow, async {}).await;
        assert_eq!(records.steps(), HELD, "{records:?}");
        assert!(report.faults[0].effective && report.faults[0].healed);
        let effective = records.evidence(Step::Effective);
        assert!(
            effective.starts_with("n1 gets 0.02 of a core; n2 gets 0.02 of a core; n1 was held"),
            "{effective}"
        );
        let healed = records.evidence(Step::Healed);
        assert!(
            healed.contains("n2 gets all it wants; n1 is running"),
            "{healed}"
        );
        let after = fixture.cluster.allowance(1).await.unwrap();
        assert!(after.cores.is_none() && after.throttled > 1, "{after:?}");
    });
}

pub fn slow_cpu_idle() {
    play("part_idle", async |fixture| {
        let slow = fault(FaultName::SlowCpu, Target::Leader, LONG);
        let (records, report) = perform(fixture, slow, async {}).await;
        assert_eq!(records.steps(), INEFFECTIVE);
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        assert!(
            reason.ends_with("n2 gets 0.02 of a core, but wanted no more in 5 s"),
            "{reason}"
        );
        let after = fixture.cluster.allowance(1).await.unwrap();
        assert_eq!(after.cores, None);
    });
}

pub fn slow_cpu_lifted() {
    play("part_busy", async |fixture| {
        let lift = async {
            fixture.cluster.limit_cpu(1, None).await.unwrap();
        };
        let slow = fault(FaultName::SlowCpu, Target::Leader, LONG);
        let (records, report) = perform(fixture, slow, lift).await;
        assert_eq!(records.steps(), LOST, "{records:?}");
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        let lost = "its effect was lost: n2 should get 0.02 of a core, but has no limit";
        assert_eq!(reason, lost);
    });
}

pub fn memory_limit_kills() {
    play("part_hungry", async |fixture| {
        let before = pid(fixture, 1);
        let short = fault(FaultName::MemoryLimit, Target::Leader, 1_500);
        let dead = async {
            fixture.cluster.wait_exit(1).await.unwrap();
            let ended = NodeStatus::Exited(Ending::OutOfMemory);
            assert_eq!(fixture.cluster.status(1), ended);
        };
        let (records, report) = perform(fixture, short, dead).await;
        assert_eq!(records.steps(), HELD, "{records:?}");
        assert!(report.faults[0].effective && report.faults[0].healed);
        let healed = records.evidence(Step::Healed);
        assert!(
            healed.starts_with("to the end n2 was killed by the kernel: it wanted more than "),
            "{healed}"
        );
        assert!(healed.contains("n2 may have all it wants; n2 was started again"));
        assert_ne!(pid(fixture, 1), before);
        let after = fixture.cluster.allowance(1).await.unwrap();
        assert_eq!(after.memory, None);
    });
}

pub fn memory_limit_survived() {
    play("part_writer", async |fixture| {
        let before = pid(fixture, 1);
        let short = fault(FaultName::MemoryLimit, Target::Leader, 700);
        let (records, report) = perform(fixture, short, async {}).await;
        assert_eq!(records.steps(), HELD, "{records:?}");
        assert!(report.faults[0].effective && report.faults[0].healed);
        let healed = records.evidence(Step::Healed);
        assert!(
            healed.starts_with("to the end n2 met its limit ") && healed.contains("and lives"),
            "{healed}"
        );
        assert_eq!(pid(fixture, 1), before);
    });
}

pub fn memory_limit_idle() {
    play("part_idle", async |fixture| {
        let short = fault(FaultName::MemoryLimit, Target::Leader, LONG);
        let (records, report) = perform(fixture, short, async {}).await;
        assert_eq!(records.steps(), INEFFECTIVE);
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        assert!(reason.ends_with("wanted no more in 5 s"), "{reason}");
    });
}

pub fn memory_limit_lifted() {
    play("part_writer", async |fixture| {
        let lift = async {
            fixture.cluster.limit_memory(1, None).await.unwrap();
        };
        let short = fault(FaultName::MemoryLimit, Target::Leader, LONG);
        let (records, report) = perform(fixture, short, lift).await;
        assert_eq!(records.steps(), LOST, "{records:?}");
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        assert!(reason.ends_with("but has no limit"), "{reason}");
    });
}

pub fn without_groups() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        for name in [FaultName::SlowCpu, FaultName::MemoryLimit] {
            let planned = fault(name, Target::Leader, LONG);
            let (records, report) = perform(&fixture, planned, async {}).await;
            assert_eq!(records.steps(), INEFFECTIVE);
            assert!(!report.faults[0].effective && report.faults[0].healed);
            let reason = records.evidence(Step::Ineffective);
            let wanted = "n2 can't be limited: it has no control group of its own";
            assert_eq!(reason, wanted);
        }
        fixture.end().await;
    });
}
