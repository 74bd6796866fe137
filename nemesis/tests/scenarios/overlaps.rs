//! Faults and steps that live side by side.

use std::sync::Arc;
use std::time::Duration;

use keyquake_cluster::{NetworkMode, enter_own_network};
use keyquake_nemesis::{
    Call, CallRequest, Details, FaultName, Moment, PlannedFault, Roll, Step, Target,
};

use crate::actors::{Hands, IDLE, Records, Watch, fault, perform_watched, serving, step};
use crate::moments::{at_moment, evidence};
use crate::stage::block_on;

/// Carries a schedule out on three nodes that n2 leads; gives what took effect.
fn carry_out(hands: Hands<'static>, schedule: &[PlannedFault]) -> (Arc<Records>, Vec<bool>) {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    block_on(async {
        let fixture = serving(&kind, 3).await;
        let hands = Hands {
            fixture: Some(&fixture),
            ..hands
        };
        let watch = Watch::new(1_000.0, &[]);
        let run = perform_watched(&fixture, &hands, &watch, schedule, async {});
        let (records, report) = run.await;
        assert!(report.faults.iter().all(|outcome| outcome.healed));
        let effective = report.faults.iter().map(|outcome| outcome.effective);
        let effective = effective.collect();
        fixture.end().await;
        (records, effective)
    })
}

fn admin(call: Call) -> PlannedFault {
    let call = Details::Admin(CallRequest::once(call));
    step(FaultName::Admin, Target::Leader, call)
}

fn during(call: Call, planned: PlannedFault) -> PlannedFault {
    PlannedFault {
        when: at_moment(Moment::During(call)),
        ..planned
    }
}

fn slow(takes_ms: u64) -> Hands<'static> {
    Hands {
        call: Ok(7),
        applied: Ok("n1, n2"),
        takes: Duration::from_millis(takes_ms),
        ..IDLE
    }
}

pub fn several_hit() {
    let call = Call::RotateStorage;
    let schedule = [
        admin(call),
        during(call, fault(FaultName::Kill, Target::Leader, 100)),
        during(call, fault(FaultName::Pause, Target::Follower, 100)),
    ];
    let (records, effective) = carry_out(slow(300), &schedule);
    assert_eq!(effective, [true; 3]);
    for (hit, node) in [(1, "n2"), (2, "n3")] {
        let said = evidence(&records, hit, Step::Effective);
        assert!(
            said.contains("was sent, before its answer: ") && said.contains(node),
            "{said}"
        );
    }
}

pub fn call_during_call() {
    let (storage, raft) = (Call::RotateStorage, Call::RotateRaft);
    let schedule = [
        admin(storage),
        during(storage, admin(raft)),
        // That call can be hit as well.
        during(raft, fault(FaultName::Kill, Target::Leader, 50)),
    ];
    let (records, effective) = carry_out(slow(300), &schedule);
    assert_eq!(effective, [true; 3]);
    let said = evidence(&records, 1, Step::Effective);
    let hit = "rotate-storage was sent, before its answer: rotate-raft was accepted";
    assert!(said.contains(hit), "{said}");
    let said = evidence(&records, 2, Step::Effective);
    assert!(said.contains("rotate-raft was sent, before"), "{said}");
}

fn at(ms: u64, planned: PlannedFault) -> PlannedFault {
    PlannedFault {
        at: Duration::from_millis(ms),
        ..planned
    }
}

fn roll(node: u16) -> PlannedFault {
    let change = Roll {
        release: Some("6b".to_owned()),
        ..Roll::default()
    };
    step(
        FaultName::Roll,
        Target::Nodes(vec![node]),
        Details::Roll(change),
    )
}

pub fn beside() {
    let schedule = [
        fault(FaultName::Kill, Target::Nodes(vec![0]), 1_500),
        at(100, fault(FaultName::Pause, Target::Nodes(vec![2]), 1_000)),
        at(200, roll(1)),
        // Planned behind all of them, and so it waits until they are over.
        at(1_500, fault(FaultName::Kill, Target::Nodes(vec![2]), 50)),
    ];
    let (records, effective) = carry_out(IDLE, &schedule);
    assert_eq!(effective, [true; 4]);
    let order: Vec<_> = records
        .all()
        .into_iter()
        .filter(|(_, step)| *step != Step::Armed)
        .collect();
    let (on, off) = (Step::Effective, Step::Healed);
    let wanted = [
        (0, on),
        (1, on),
        (2, on),
        (2, off),
        (1, off),
        (0, off),
        (3, on),
        (3, off),
    ];
    assert_eq!(order, wanted);
}

pub fn in_the_way() {
    let pause = fault(FaultName::Pause, Target::Nodes(vec![0]), 600);
    let kill = PlannedFault {
        when: at_moment(Moment::Operations(100)),
        ..fault(FaultName::Kill, Target::Nodes(vec![0]), 50)
    };
    // A plan can't know it, so it is seen when it happens.
    let (records, effective) = carry_out(IDLE, &[pause, kill]);
    assert_eq!(effective, [true, false]);
    assert_eq!(
        evidence(&records, 1, Step::Ineffective),
        "n1 is held by fault 0 (pause), which is in force"
    );
}
