//! Roll and admin: steps that stay.

use keyquake_cluster::{Ending, NetworkKind, NetworkMode, NodeStatus, enter_own_network};
use keyquake_nemesis::{Call, CallRequest, Details, FaultName, PlannedFault, Roll, Step, Target};

use crate::actors::{
    BROKEN, Hands, IDLE, LIAR, Records, fault, perform, perform_with, pid, serving, step,
};
use crate::stage::{Fixture, block_on};

const DONE: [Step; 3] = [Step::Armed, Step::Effective, Step::Healed];
const NOT_DONE: [Step; 3] = [Step::Armed, Step::Ineffective, Step::Healed];

fn loopback() -> NetworkKind {
    enter_own_network(NetworkMode::Loopback).unwrap()
}

fn roll(nodes: &[u16], release: &str) -> PlannedFault {
    let change = Roll {
        release: Some(release.to_owned()),
        ..Roll::default()
    };
    let target = Target::Nodes(nodes.to_vec());
    step(FaultName::Roll, target, Details::Roll(change))
}

async fn release(fixture: &Fixture, node: u16) -> String {
    fixture.cluster.spec(node).await.unwrap().release
}

pub fn roll_takes_effect() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 3).await;
        let before = [0, 1, 2].map(|node| pid(&fixture, node));
        let (records, report) = perform(&fixture, roll(&[2, 0], "6b"), async {}).await;
        assert_eq!(records.steps(), DONE);
        assert!(report.faults[0].effective && report.faults[0].healed);
        assert_eq!(records.nodes(), [2, 0]);
        let after = [0, 1, 2].map(|node| pid(&fixture, node));
        assert!(after[0] != before[0] && after[1] == before[1] && after[2] != before[2]);
        let effective = records.evidence(Step::Effective);
        let first = format!(
            "n3 was test (running (pid {})), and was started again as pid {}, serves after ",
            before[2], after[2]
        );
        assert!(effective.starts_with(&first), "{effective}");
        for piece in [
            "ms (serving as 6b), and n2 leads; n1 was test",
            "; n3 runs; n1 runs",
        ] {
            assert!(effective.contains(piece), "{effective}");
        }
        let healed = records.evidence(Step::Healed);
        assert!(
            healed.starts_with("nothing to undo: n3 is running"),
            "{healed}"
        );
        assert_eq!(release(&fixture, 0).await, "6b");
        // A later kill starts what the roll made of it.
        let kill = fault(FaultName::Kill, Target::Nodes(vec![0]), 50);
        perform(&fixture, kill, async {}).await;
        assert!(fixture.log(0).matches("serving as 6b").count() == 2);
        fixture.end().await;
    });
}

pub fn roll_of_the_dead() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        fixture.cluster.kill(0).await.unwrap();
        let (records, _) = perform(&fixture, roll(&[0], "6b"), async {}).await;
        assert_eq!(records.steps(), DONE);
        let effective = records.evidence(Step::Effective);
        assert!(
            effective.starts_with("n1 was test (ended by signal 9 (SIGKILL)), and was started"),
            "{effective}"
        );
        fixture.end().await;
    });
}

pub fn roll_to_broken() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        let untouched = pid(&fixture, 1);
        let (records, report) = perform(&fixture, roll(&[0, 1], BROKEN), async {}).await;
        let steps = [Step::Armed, Step::Ineffective, Step::HealFailed];
        assert_eq!(records.steps(), steps);
        assert!(!report.faults[0].effective && !report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        let end = "but doesn't serve: it exited with code 1: it said nothing of why";
        assert!(reason.ends_with(end), "{reason}");
        let left = fixture.cluster.status(0);
        assert_eq!(left, NodeStatus::Exited(Ending::Code(1)));
        assert_eq!(pid(&fixture, 1), untouched, "the one behind it was let be");
        fixture.end().await;
    });
}

pub fn roll_to_liar() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        let (records, report) = perform(&fixture, roll(&[0], LIAR), async {}).await;
        assert_eq!(records.steps(), NOT_DONE);
        assert!(!report.faults[0].effective && report.faults[0].healed);
        let reason = records.evidence(Step::Ineffective);
        assert!(
            reason.ends_with("but it says it is something else"),
            "{reason}"
        );
        fixture.end().await;
    });
}

pub fn roll_undone() {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        // Held for once, so that another hand has the time to come in between.
        let held = PlannedFault {
            hold: std::time::Duration::from_secs(20),
            ..roll(&[0], "6b")
        };
        let undo = async {
            fixture.cluster.kill(0).await.unwrap();
            fixture.cluster.start(0).await.unwrap();
        };
        let (records, report) = perform(&fixture, held, undo).await;
        let steps = [
            Step::Armed,
            Step::Effective,
            Step::Ineffective,
            Step::Healed,
        ];
        assert_eq!(records.steps(), steps);
        assert!(!report.faults[0].effective);
        let reason = records.evidence(Step::Ineffective);
        assert!(
            reason.starts_with("its effect was lost: n1 should run as pid "),
            "{reason}"
        );
        fixture.end().await;
    });
}

/// Makes a call with an operator whose call and application go so.
fn call(
    call: Result<u64, &'static str>,
    applied: Result<&'static str, &'static str>,
) -> std::sync::Arc<Records> {
    let kind = loopback();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        let hands = Hands {
            call,
            applied,
            ..IDLE
        };
        let rotate = Details::Admin(CallRequest::once(Call::RotateStorage));
        let rotate = step(FaultName::Admin, Target::Leader, rotate);
        let (records, _) = perform_with(&fixture, &hands, &[rotate], async {}).await;
        assert_eq!(records.nodes(), [1]);
        fixture.end().await;
        records
    })
}

pub fn call_accepted() {
    let records = call(Ok(7), Ok("n1, n2"));
    assert_eq!(records.steps(), DONE);
    assert_eq!(
        records.evidence(Step::Effective),
        "rotate-storage was accepted: rotate-storage at index 7; n1, n2 at index 7"
    );
}

pub fn call_refused() {
    let records = call(Err("refused (not-leader)"), Ok("n1"));
    assert_eq!(records.steps(), NOT_DONE);
    assert_eq!(
        records.evidence(Step::Ineffective),
        "rotate-storage was not done: refused (not-leader)"
    );
}

pub fn call_not_applied() {
    let records = call(Ok(7), Err("nobody applied it"));
    assert_eq!(records.steps(), NOT_DONE);
    assert_eq!(
        records.evidence(Step::Ineffective),
        "rotate-storage was accepted: rotate-storage at index 7; nobody applied it"
    );
}
