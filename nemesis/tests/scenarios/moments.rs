//! Faults that hit a call while it is in flight.

use std::sync::Arc;
use std::time::Duration;

use keyquake_cluster::{NetworkMode, enter_own_network};
use keyquake_nemesis::{
    Call, CallRequest, Details, FaultName, Moment, PlannedFault, Step, Target, When,
};

use crate::actors::{Hands, IDLE, Records, fault, perform_with, serving, step};
use crate::stage::block_on;

/// A moment that may take as long as one may that says nothing about it.
pub fn at_moment(moment: Moment) -> Option<When> {
    let within = None;
    Some(When { moment, within })
}

const AFTER: Duration = Duration::from_millis(30);

/// A rotation that goes so, and a kill 30 ms after it was sent.
fn rotation_under_fire(hands: Hands<'static>) -> (Arc<Records>, Vec<bool>) {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    block_on(async {
        let fixture = serving(&kind, 3).await;
        let call = Call::RotateStorage;
        let schedule = [
            step(
                FaultName::Admin,
                Target::Leader,
                Details::Admin(CallRequest::once(call)),
            ),
            PlannedFault {
                at: AFTER,
                when: at_moment(Moment::During(call)),
                ..fault(FaultName::Kill, Target::Leader, 100)
            },
        ];
        let (records, report) = perform_with(&fixture, &hands, &schedule, async {}).await;
        assert!(report.faults.iter().all(|outcome| outcome.healed));
        let effective = report.faults.iter().map(|outcome| outcome.effective);
        let effective = effective.collect();
        fixture.end().await;
        (records, effective)
    })
}

pub fn evidence(records: &Records, fault: u32, step: Step) -> String {
    let said = records.of(fault);
    let found = said.iter().find(|(of, _)| *of == step);
    found.unwrap_or_else(|| panic!("{said:#?}")).1.clone()
}

pub fn hit() {
    let (records, effective) = rotation_under_fire(Hands {
        call: Ok(7),
        takes: Duration::from_secs(1),
        loses: true,
        ..IDLE
    });
    assert_eq!(effective, [true, true]);
    let kill = evidence(&records, 1, Step::Effective);
    let (ms, rest) = kill
        .split_once(" ms after rotate-storage was sent")
        .unwrap();
    let ms: f64 = ms.parse().unwrap();
    assert!((30.0..1_000.0).contains(&ms), "{kill}");
    assert!(rest.contains("n2 was running"), "{kill}");
    assert_eq!(
        evidence(&records, 0, Step::Effective),
        "rotate-storage was sent, and its answer was lost: no answer; it may have been committed"
    );
}

pub fn missed() {
    let (records, effective) = rotation_under_fire(Hands {
        call: Ok(7),
        applied: Ok("n1, n2"),
        ..IDLE
    });
    assert_eq!(effective, [true, false]);
    assert_eq!(
        evidence(&records, 1, Step::Ineffective),
        "the moment did not come: rotate-storage: it was answered before it had been in flight for 30 ms"
    );
    assert_eq!(evidence(&records, 1, Step::Healed), "nothing was applied");
}

pub fn never_sent() {
    let (records, effective) = rotation_under_fire(Hands {
        call: Err("nobody leads"),
        ..IDLE
    });
    assert_eq!(effective, [false, false]);
    assert_eq!(
        evidence(&records, 1, Step::Ineffective),
        "the moment did not come: rotate-storage: it was never sent"
    );
}
