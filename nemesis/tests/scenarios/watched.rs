//! Moments that are watched for: operations, log lines, answers.

use std::time::Duration;

use keyquake_cluster::{NetworkMode, enter_own_network};
use keyquake_nemesis::{
    Call, CallRequest, Details, FaultName, Moment, PlannedFault, Question, Roll, Step, Target,
    Watcher, When,
};

use crate::actors::{BLIND, Hands, IDLE, Records, Watch, fault, perform_watched, serving, step};
use crate::moments::{at_moment, evidence};
use crate::stage::block_on;

const KEYS: [&str; 3] = ["7", "7", "7"];

/// A kill of n3 for a moment's time, at a moment that may take 300 ms.
fn kill_when(moment: Moment) -> PlannedFault {
    let within = Some(Duration::from_millis(300));
    PlannedFault {
        when: Some(When { moment, within }),
        ..fault(FaultName::Kill, Target::Nodes(vec![2]), 50)
    }
}

/// Carries a schedule out on three nodes; the last entry of it waits for a moment, and whether it
/// took effect comes back with the records. `meanwhile` happens once something has taken effect.
fn carry_out(
    hands: Hands<'static>,
    watch: &Watch,
    schedule: &[PlannedFault],
    meanwhile: impl Fn(),
) -> (std::sync::Arc<Records>, bool) {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    block_on(async {
        let fixture = serving(&kind, 3).await;
        let hands = Hands {
            fixture: Some(&fixture),
            ..hands
        };
        let meanwhile = async { meanwhile() };
        let (records, report) = perform_watched(&fixture, &hands, watch, schedule, meanwhile).await;
        assert_eq!(report.faults.len(), schedule.len());
        assert!(report.faults.iter().all(|outcome| outcome.healed));
        let last = report.faults.last().unwrap().effective;
        fixture.end().await;
        (records, last)
    })
}

/// How many ms after its event a fault was applied, and what else its evidence says.
fn offset(records: &Records, fault: u32) -> (f64, String) {
    let said = evidence(records, fault, Step::Effective);
    let (ms, rest) = said.split_once(" ms after ").unwrap();
    (ms.parse().unwrap(), rest.to_owned())
}

fn missed(records: &Records, fault: u32) -> String {
    assert_eq!(
        evidence(records, fault, Step::Healed),
        "nothing was applied"
    );
    let said = evidence(records, fault, Step::Ineffective);
    let why = said.strip_prefix("the moment did not come: ");
    why.unwrap_or_else(|| panic!("{said}")).to_owned()
}

pub fn operations_come() {
    let after = PlannedFault {
        at: Duration::from_millis(40),
        ..kill_when(Moment::Operations(200))
    };
    // Steps wait for moments too.
    let roll = PlannedFault {
        when: at_moment(Moment::Operations(100)),
        ..roll_n1()
    };
    let watch = Watch::new(1_000.0, &[]);
    let (records, effective) = carry_out(IDLE, &watch, &[roll, after], || ());
    assert!(effective);
    let (ms, rest) = offset(&records, 0);
    assert!(
        ms < 40.0 && rest.starts_with("operation 100 was done ("),
        "{ms} {rest}"
    );
    let (ms, rest) = offset(&records, 1);
    assert!((40.0..140.0).contains(&ms), "{ms}");
    assert!(rest.starts_with("operation 200 was done (20"), "{rest}");
    assert!(rest.contains("by then): n3 was running"), "{rest}");
}

pub fn operations_missed() {
    let kill = [kill_when(Moment::Operations(1_000_000))];
    let watch = Watch::new(1_000.0, &[]);
    let (records, effective) = carry_out(IDLE, &watch, &kill, || ());
    assert!(!effective);
    let why = missed(&records, 0);
    assert!(why.starts_with("operation 1000000: only "), "{why}");
    // What was so before is no moment.
    let kill = [kill_when(Moment::Operations(1))];
    let watch = Watch::new(1_000_000.0, &[]);
    watch.operations_done();
    std::thread::sleep(Duration::from_millis(10));
    let (records, effective) = carry_out(IDLE, &watch, &kill, || ());
    assert!(!effective);
    let why = missed(&records, 0);
    assert!(why.ends_with("were done before it was waited for"), "{why}");
}

fn roll_n1() -> PlannedFault {
    let change = Roll {
        release: Some("6b".to_owned()),
        ..Roll::default()
    };
    step(
        FaultName::Roll,
        Target::Nodes(vec![0]),
        Details::Roll(change),
    )
}

fn line(text: &str, node: Option<u16>) -> Moment {
    let text = text.to_owned();
    Moment::Log { text, node }
}

pub fn line_comes() {
    // In the middle of the roll, which lets n1 say what it is.
    for node in [None, Some(0)] {
        let schedule = [roll_n1(), kill_when(line("serving as 6b", node))];
        let (records, effective) = carry_out(IDLE, &BLIND, &schedule, || ());
        assert!(effective);
        let (_, rest) = offset(&records, 1);
        let begins = "n1 wrote \"serving as 6b\": n3 was running";
        assert!(rest.starts_with(begins), "{rest}");
    }
}

pub fn line_missed() {
    // What n1 said before is no moment, nor what another one says.
    for (text, node) in [("serving as 6b", Some(1)), ("no such line", None)] {
        let schedule = [roll_n1(), kill_when(line(text, node))];
        let (records, effective) = carry_out(IDLE, &BLIND, &schedule, || ());
        assert!(!effective);
        let why = missed(&records, 1);
        assert!(
            why.starts_with(&format!("{text:?} in a log: none of the ")),
            "{why}"
        );
    }
}

fn another_key(node: Option<u16>) -> PlannedFault {
    let question = Question::ActiveStorageKey;
    kill_when(Moment::Answer { question, node })
}

pub fn answer_comes() {
    let watch = Watch::new(0.0, &KEYS);
    let turn = || watch.answers(1, Ok("9"));
    let schedule = [roll_n1(), another_key(Some(1))];
    let (records, effective) = carry_out(IDLE, &watch, &schedule, turn);
    assert!(effective);
    let (_, rest) = offset(&records, 1);
    let begins = "active-storage-key of n2 went from 7 to 9: n3 was running";
    assert!(rest.starts_with(begins), "{rest}");
}

pub fn answer_missed() {
    let watch = Watch::new(0.0, &KEYS);
    let schedule = [roll_n1(), another_key(Some(0))];
    // Another's answer, and none at all.
    let turn = || {
        watch.answers(1, Ok("9"));
        watch.answers(0, Err("refused"));
    };
    let (records, effective) = carry_out(IDLE, &watch, &schedule, turn);
    assert!(!effective);
    assert_eq!(
        missed(&records, 1),
        "another active-storage-key: n1 is still 7"
    );
}

/// A rotation whose result members show as `meanwhile` says, and a kill between two of them.
fn between(
    call: Result<u64, &'static str>,
    meanwhile: impl Fn(&Watch),
) -> (std::sync::Arc<Records>, bool) {
    let rotate = Details::Admin(CallRequest::once(Call::RotateStorage));
    let schedule = [
        step(FaultName::Admin, Target::Leader, rotate),
        kill_when(Moment::Between(Call::RotateStorage)),
    ];
    let hands = Hands {
        call,
        applied: Ok("n2"),
        ..IDLE
    };
    let watch = Watch::new(0.0, &KEYS);
    carry_out(hands, &watch, &schedule, || meanwhile(&watch))
}

pub fn between_comes() {
    let (records, effective) = between(Ok(7), |watch| {
        watch.answers(0, Err("refused"));
        watch.answers(1, Ok("9"));
    });
    assert!(effective);
    let (_, rest) = offset(&records, 1);
    let begins = "rotate-storage was shown by n2, and not yet by n3; no answer from n1: n3 was";
    assert!(rest.starts_with(begins), "{rest}");
}

pub fn between_missed() {
    let (records, effective) = between(Ok(7), |watch| {
        (0..3).for_each(|node| watch.answers(node, Ok("9")));
    });
    assert!(!effective);
    assert_eq!(
        missed(&records, 1),
        "rotate-storage: when all were asked again after the first showed it, all did (n1, n2, n3)"
    );
    let (records, effective) = between(Ok(7), |_| ());
    assert!(!effective);
    let why = "rotate-storage: no member showed it in time";
    assert_eq!(missed(&records, 1), why);
    let (records, effective) = between(Err("nobody leads"), |_| ());
    assert!(!effective);
    let why = "rotate-storage: it was never sent";
    assert_eq!(missed(&records, 1), why);
}
