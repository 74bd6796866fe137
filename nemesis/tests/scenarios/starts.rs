//! Starts that must not serve: what they leave on their disks, and where they halt.

use keyquake_cluster::{NetworkMode, enter_own_network};
use keyquake_nemesis::{Details, Expect, FaultName, Outcome, PlannedFault, Roll, Target};

use crate::actors::{BROKEN, Hands, IDLE, perform_with, serving, step};
use crate::stage::block_on;

/// n1 is started so often as something that ends at once, which is what is expected.
fn ends(times: usize, hands: Hands<'static>, expected: Outcome) -> Vec<String> {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    block_on(async {
        let fixture = serving(&kind, 2).await;
        let hands = Hands {
            fixture: Some(&fixture),
            ..hands
        };
        let change = Roll {
            release: Some(BROKEN.to_owned()),
            ..Roll::default()
        };
        let roll = PlannedFault {
            expect: Expect {
                outcomes: vec![expected],
                ..Expect::default()
            },
            ..step(
                FaultName::Roll,
                Target::Nodes(vec![0]),
                Details::Roll(change),
            )
        };
        let schedule = vec![roll; times];
        let (records, _) = perform_with(&fixture, &hands, &schedule, async {}).await;
        fixture.end().await;
        let outcomes = records.outcomes.lock().unwrap();
        let told = outcomes.iter().map(|outcome| {
            let (about, came) = (&outcome.subject, &outcome.observed);
            format!(
                "{about} ({}): {came}: {}",
                outcome.invariant, outcome.evidence
            )
        });
        let starts = |told: &String| !told.starts_with("start of n1");
        told.filter(starts).collect()
    })
}

/// Of a start that is refused, and has done this to its disk.
fn refused(disk: Result<Option<&'static str>, &'static str>) -> Vec<String> {
    ends(1, Hands { disk, ..IDLE }, Outcome::Refused(None))
}

pub fn refused_with_changes() {
    let disk = "disk of n1, at the refused start (ROL-REFUSE): ";
    for (left, came) in [
        (
            Ok(Some("a row is gone")),
            "changed: a row is gone; before it: a disk",
        ),
        (Ok(None), "unchanged: a disk"),
        (Err("it can't be read"), "unknown: it can't be read"),
    ] {
        assert_eq!(refused(left), [format!("{disk}{came}")]);
    }
}

pub fn halts_elsewhere() {
    let halts = |at: fn(u64) -> u64| {
        let halts_at = Some(at);
        ends(3, Hands { halts_at, ..IDLE }, Outcome::Halts(None))
    };
    let place = "where n1 halts (ROL-HALT): ";
    let same = format!("{place}unchanged: n1 halts at entry 17, as before");
    assert_eq!(halts(|_| 17), [same.clone(), same.clone()]);
    let another = |first: u64| {
        let now = first + 1;
        format!("{place}changed: n1 halted at entry {first} before, and halts at entry {now} now")
    };
    // The first start of all was one that served; and what was seen of n1 before is remembered.
    let elsewhere = [same, another(17), another(18)];
    assert_eq!(halts(|starts| 15 + starts), elsewhere);
}
