//! Faults that are held until something has come of them.

use std::time::Duration;

use keyquake_cluster::{NetworkMode, enter_own_network};
use keyquake_nemesis::{
    Call, CallRequest, Details, FaultName, PlannedFault, Progress, Step, Target, Until,
};

use crate::actors::{Hands, IDLE, Watch, fault, perform_watched, serving, step};
use crate::stage::block_on;

/// A node whose log ends and begins there.
fn at(leads: bool, last_log: u64, snapshot: u64) -> Progress {
    Progress {
        leads,
        last_log,
        applied: last_log,
        snapshot,
    }
}

pub fn steps_come_before_it() {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    block_on(async {
        let fixture = serving(&kind, 3).await;
        let watch = Watch::new(0.0, &[]);
        watch.is_at(0, at(false, 70, 10));
        watch.is_at(1, at(true, 72, 10));
        let rotate = Details::Admin(CallRequest::once(Call::RotateStorage));
        let schedule = [
            PlannedFault {
                until: Some(Until::Snapshot),
                ..fault(FaultName::Pause, Target::Follower, 20_000)
            },
            PlannedFault {
                at: Duration::from_millis(1_000),
                ..step(FaultName::Admin, Target::Leader, rotate)
            },
        ];
        let hands = Hands {
            call: Ok(7),
            applied: Ok("n1, n2"),
            ..IDLE
        };
        let snapshots = async {
            // Long before the step, and long after it.
            for (wait_ms, last_log) in [(400, 140), (1_200, 300)] {
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                watch.is_at(0, at(false, last_log, last_log - 10));
                watch.is_at(1, at(true, last_log, last_log - 10));
            }
        };
        let run = perform_watched(&fixture, &hands, &watch, &schedule, snapshots);
        let (records, report) = run.await;
        assert!(report.faults.iter().all(|fault| fault.effective));
        let healed = records.of(0).pop().unwrap().1;
        let told = "n3 can have entries up to 140, and of the newest snapshots n1's is at 290";
        assert!(healed.contains(told), "{healed}");
        fixture.end().await;
    });
}

/// n3 is killed until the others have taken a snapshot, at most for so long; `meanwhile` happens
/// while it is down.
fn away(
    hold_ms: u64,
    meanwhile: impl Fn(&Watch),
) -> (std::sync::Arc<crate::actors::Records>, bool) {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    block_on(async {
        let fixture = serving(&kind, 3).await;
        let watch = Watch::new(0.0, &[]);
        watch.is_at(0, at(false, 70, 10));
        watch.is_at(1, at(true, 72, 10));
        let kill = [PlannedFault {
            until: Some(Until::Snapshot),
            ..fault(FaultName::Kill, Target::Follower, hold_ms)
        }];
        let sabotage = async {
            // Once it was looked at for the first time.
            tokio::time::sleep(Duration::from_millis(450)).await;
            meanwhile(&watch);
        };
        let run = perform_watched(&fixture, &IDLE, &watch, &kill, sabotage);
        let (records, report) = run.await;
        assert!(report.faults[0].healed);
        assert_eq!(records.nodes(), [2]);
        fixture.end().await;
        (records, report.faults[0].effective)
    })
}

pub fn snapshot_comes() {
    let (records, effective) = away(20_000, |watch| {
        watch.is_at(0, at(false, 140, 130));
        watch.is_at(1, at(true, 141, 73));
        watch.is_at(2, at(false, 141, 130));
    });
    assert!(effective);
    let healed = records.evidence(Step::Healed);
    for piece in [
        "to the end n3 is down; n3 can have entries up to 72, and of the newest snapshots n1's is at 130, n2's is at 73; healed: n3 was started again",
        "; n3 has caught up by a snapshot: its own is at 130, it has applied 141",
    ] {
        assert!(healed.contains(piece), "{healed}");
    }
}

pub fn snapshot_missed() {
    // One of the others has still all that n3 needs.
    let (records, effective) = away(1_000, |watch| {
        watch.is_at(0, at(false, 140, 130));
        watch.is_at(1, at(true, 141, 72));
    });
    assert!(!effective);
    assert_eq!(
        records.evidence(Step::Ineffective),
        "it was held for too short: n3 can have entries up to 72, and of the newest snapshots n1's \
         is at 130, n2's is at 72"
    );
}
