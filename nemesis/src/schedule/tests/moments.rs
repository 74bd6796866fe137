//! Moments read, written, and refused.

use super::*;
use crate::group::is_struck;
use crate::moment::Question;

const ONE_LINE_EACH: &str = r#"
faults = [
  { at = "2s", fault = "admin", call = "rotate-storage" },
  { when = { during = "rotate-storage" }, after = "5ms", for = "2s", fault = "kill", target = "leader" },
  { at = "5s", fault = "admin", call = "rotate-raft" },
]
"#;

#[test]
fn a_fault_hits_the_call_before_it() {
    let schedule = parse(ONE_LINE_EACH).unwrap();
    let when = schedule[1].when.as_ref().unwrap();
    assert_eq!(when.moment, Moment::During(Call::RotateStorage));
    assert_eq!(schedule[1].at, Duration::from_millis(5));
    assert_eq!(validate(&schedule, 3).unwrap(), Duration::from_secs(5));
    let written = to_toml(&schedule).unwrap();
    assert_eq!(parse(&written).unwrap(), schedule, "{written}");
}

const MOMENTS: &str = r#"
faults = [
  { when = { operations = 500 }, within = "4s", for = "1s", fault = "kill", target = "leader" },
  { when = { log = "serving \"all\"", node = "n2" }, after = "1s", fault = "admin", call = "rotate-raft" },
  { at = "12s", fault = "admin", call = "rotate-storage" },
  { when = { between = "rotate-storage" }, for = "2s", fault = "kill", target = "leader" },
  { when = { during = "rotate-storage" }, fault = "admin", call = "rotate-storage" },
  { when = { answer = "leader" }, within = "15s", for = "1s", fault = "pause", target = "n1" },
]
"#;

#[test]
fn every_moment_is_read_and_written_alike() {
    let schedule = parse(MOMENTS).unwrap();
    let moments: Vec<_> = schedule
        .iter()
        .filter_map(|planned| planned.when.as_ref())
        .map(|when| {
            (
                when.moment.clone(),
                when.within.map(|within| within.as_secs()),
            )
        })
        .collect();
    let log = Moment::Log {
        text: "serving \"all\"".to_owned(),
        node: Some(1),
    };
    let question = Question::Leader;
    let answer = Moment::Answer {
        question,
        node: None,
    };
    assert_eq!(
        moments,
        [
            (Moment::Operations(500), Some(4)),
            (log, None),
            (Moment::Between(Call::RotateStorage), None),
            (Moment::During(Call::RotateStorage), None),
            (answer, Some(15)),
        ]
    );
    let written = to_toml(&schedule).unwrap();
    assert_eq!(parse(&written).unwrap(), schedule, "{written}");
    // The last moment may come 15 s after its group began, and the pause is held for 1 s then.
    assert_eq!(validate(&schedule, 3).unwrap(), Duration::from_secs(28));
    // Calls that something may hit, the second one among them: the first is in its group.
    let struck = (0..schedule.len()).map(|number| is_struck(&schedule, number));
    let struck: Vec<_> = struck.collect();
    assert_eq!(struck, [false, true, true, false, true, false]);
}

/// A schedule with one piece in the place of another.
fn with(schedule: &str, from: &str, to: &str) -> String {
    assert!(schedule.contains(from));
    schedule.replacen(from, to, 1)
}

#[test]
fn moments_that_make_no_sense_are_refused_with_their_line() {
    let during = "{ during = \"rotate-storage\" }";
    let cases = [
        (
            "when = {",
            "at = \"3s\", when = {",
            "`kill` begins `at` a time or `when` something happens, not both",
        ),
        (
            "when = { during = \"rotate-storage\" }, ",
            "",
            "`after` of `kill` counts from its `when`, and there is none",
        ),
        (
            "after = \"5ms\", for",
            "afterwards = \"5ms\", for",
            "unknown field `afterwards`",
        ),
        (
            "after = \"5ms\"",
            "within = \"5ms\"",
            "`during` waits until `rotate-storage` is answered, so it can't have `within`",
        ),
        (
            "at = \"2s\"",
            "at = \"2s\", within = \"1s\"",
            "`within` of `admin` says how long its `when` is waited for",
        ),
        (
            during,
            "{ during = \"rotate\" }",
            "there is no call `rotate`; there are bootstrap",
        ),
        (
            during,
            "{ }",
            "`when` says one thing: `during` or `between` (a call)",
        ),
        (
            during,
            "{ operations = 3, log = \"x\" }",
            "`when` says one thing",
        ),
        (during, "{ operations = 0 }", "`operations` counts from 1"),
        (
            during,
            "{ operations = 3, node = \"n1\" }",
            "only `log` and `answer` of `when` are of a `node`",
        ),
        (during, "{ log = \"\" }", "`log` needs a text"),
        (
            during,
            "{ log = \"x\", node = \"one\" }",
            "`one` is no node",
        ),
        (
            during,
            "{ answer = \"key\" }",
            "unknown variant `key`, expected one of `active-storage-key`",
        ),
        (
            during,
            "{ between = \"resync\" }",
            "no member shows in its keys that `resync` was done",
        ),
    ];
    for (from, to, reason) in cases {
        let error = parse(&with(ONE_LINE_EACH, from, to))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line ") && error.contains(reason),
            "{error}\nmust name a line and {reason}"
        );
    }
}

#[test]
fn moments_that_can_not_come_are_refused() {
    let behind = "so it has to stand behind the `admin` that makes this call, with nothing `at` a time between them";
    let cases = [
        (
            with(ONE_LINE_EACH, "during = \"rotate-storage\"", "during = \"rotate-raft\""),
            3,
            format!("fault 2 of the schedule (`kill` 5ms after rotate-raft was sent) can't be: it is to hit `rotate-raft`, {behind}"),
        ),
        (
            with(MOMENTS, "node = \"n2\"", "node = \"n4\""),
            3,
            "fault 2 of the schedule (`admin` 1s after the log of n4 said \"serving \\\"all\\\"\") can't be: there is no n4".to_owned(),
        ),
        (
            with(ONE_LINE_EACH, "during", "between"),
            1,
            "fault 2 of the schedule (`kill` 5ms after the first member showed rotate-storage) can't be: nothing is between".to_owned(),
        ),
    ];
    for (text, nodes, reason) in cases {
        let error = validate(&parse(&text).unwrap(), nodes)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(&reason), "{error}");
    }
}

#[test]
fn several_faults_hit_one_call_unless_they_are_in_each_others_way() {
    let second = |target: &str| {
        let line = format!(
            "\n  {{ when = {{ during = \"rotate-storage\" }}, for = \"1s\", fault = \"pause\", target = \"{target}\" }},\n  {{ at = \"5s\""
        );
        let text = with(ONE_LINE_EACH, "target = \"leader\"", "target = \"n1\"");
        validate(&parse(&with(&text, "\n  { at = \"5s\"", &line)).unwrap(), 3)
    };
    second("n2").unwrap();
    let error = second("n1").unwrap_err().to_string();
    assert!(
        error.contains("n1 is held until 4s 5ms by fault 2 (`kill`)"),
        "{error}"
    );
}
