//! Disks that are full.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use keyquake_cluster::{Ending, NetworkKind, NetworkMode, NodeStatus};
use keyquake_cluster::{enter_own_mounts, enter_own_network};
use keyquake_nemesis::{FaultName, Step, Target};

use crate::actors::{fault, perform, pid, serving, up};
use crate::stage::{DATA, Fixture, block_on, launch_part};

/// Long enough for a saboteur to act; a fault that lost its effect ends early.
const LONG: u64 = 20_000;
const SIZE: u64 = 8 << 20;
/// What a scribe ends with when it can't write.
const CANT_WRITE: i32 = 28;
const LOST: [Step; 4] = [
    Step::Armed,
    Step::Effective,
    Step::Ineffective,
    Step::Healed,
];

/// Writes a page now and then, and ends when it can't.
pub fn part_scribe() {
    scribe(|| std::process::exit(CANT_WRITE));
}

/// Tries again instead.
pub fn part_stubborn_scribe() {
    scribe(|| {});
}

fn scribe(on_error: impl Fn()) {
    let path = PathBuf::from(std::env::var(DATA).unwrap()).join("notes");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    let mut said = false;
    loop {
        if file.write_all(&[7; 4096]).is_err() {
            on_error();
        }
        if !said {
            println!("serving");
            std::io::stdout().flush().unwrap();
            said = true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn enter() -> NetworkKind {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    enter_own_mounts().unwrap();
    kind
}

async fn on_disks(kind: &NetworkKind, part: &str) -> Fixture {
    up(Fixture::on_disks(kind, 2, launch_part(part), SIZE).await).await
}

fn notes(fixture: &Fixture) -> u64 {
    let path = fixture.dir.path().join("nodes/n2/notes");
    fs::metadata(path).unwrap().len()
}

pub fn full_disk() {
    let kind = enter();
    block_on(async {
        let fixture = on_disks(&kind, "part_stubborn_scribe").await;
        let before = pid(&fixture, 1);
        let full = fault(FaultName::FullDisk, Target::Leader, 700);
        let stands_still = async {
            let written = notes(&fixture);
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(notes(&fixture), written);
        };
        let (records, report) = perform(&fixture, full, stands_still).await;
        assert!(
            report.faults[0].effective && report.faults[0].healed,
            "{records:?}"
        );
        let effective = records.evidence(Step::Effective);
        assert!(
            effective.starts_with("the disk of n2 was filled with ")
                && effective.contains("failed with ENOSPC; the disk of n2 is full, n2 is running"),
            "{effective}"
        );
        let healed = records.evidence(Step::Healed);
        assert!(
            healed.contains("the disk of n2 takes a write again; n2 is running"),
            "{healed}"
        );
        assert_eq!(pid(&fixture, 1), before);
        assert!(!fixture.dir.path().join("disks/n2/ballast").exists());
        fixture.end().await;
    });
}

pub fn full_disk_ends() {
    let kind = enter();
    block_on(async {
        let fixture = on_disks(&kind, "part_scribe").await;
        let full = fault(FaultName::FullDisk, Target::All, 700);
        let ended = async {
            for node in 0..2 {
                let ending = fixture.cluster.wait_exit(node).await.unwrap();
                assert_eq!(ending, Ending::Code(CANT_WRITE));
            }
        };
        let (records, report) = perform(&fixture, full, ended).await;
        assert!(
            report.faults[0].effective && report.faults[0].healed,
            "{records:?}"
        );
        let healed = records.evidence(Step::Healed);
        assert!(
            healed.contains("the disk of n2 is full, n2 is exited with code 28")
                && healed.contains("n2 was started again"),
            "{healed}"
        );
        let status = fixture.cluster.status(1);
        assert!(matches!(status, NodeStatus::Running { .. }), "{status}");
        fixture.end().await;
    });
}

pub fn full_disk_emptied() {
    let kind = enter();
    block_on(async {
        let fixture = on_disks(&kind, "part_stubborn_scribe").await;
        let ballast = fixture.dir.path().join("disks/n2/ballast");
        let empty = async { fs::remove_file(ballast).unwrap() };
        let full = fault(FaultName::FullDisk, Target::Leader, LONG);
        let (records, report) = perform(&fixture, full, empty).await;
        assert_eq!(records.steps(), LOST, "{records:?}");
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        assert!(
            reason.contains("has 0 bytes of ballast left of "),
            "{reason}"
        );
        fixture.end().await;
    });
}

pub fn full_disk_nowhere() {
    let kind = enter();
    block_on(async {
        let full = || fault(FaultName::FullDisk, Target::Leader, LONG);
        let ineffective = [Step::Armed, Step::Ineffective, Step::Healed];
        let fixture = serving(&kind, 2).await;
        let (records, report) = perform(&fixture, full(), async {}).await;
        assert_eq!(records.steps(), ineffective);
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        let wanted = "n2 has no disk of its own; give the plan's [cluster] a `disk`";
        assert_eq!(reason, wanted);
        fixture.end().await;
        // A node that keeps nothing there.
        let fixture = on_disks(&kind, "part_idle").await;
        let (records, report) = perform(&fixture, full(), async {}).await;
        assert_eq!(records.steps(), ineffective);
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        assert_eq!(reason, "nothing of n2 lies on its disk");
        fixture.end().await;
    });
}
