//! Schedules read, written, and refused.

use super::*;
use crate::group::is_struck;
use crate::moment::Question;
use keyquake_rollout::{Call, FlagChange, Switch};

const BY_HAND: &str = r#"
[[faults]]
at = "3.2s"
for = "2500ms"
fault = "kill"
target = "leader"

[[faults]]
at = "1m 2s"
for = "2s"
fault = "pause"
target = ["n1", "n3"]

[[faults]]
at = "70s"
for = "2s"
fault = "partition-halves"
target = [["n1"], ["n2", "n3"]]

[[faults]]
at = "80s"
for = "2s"
fault = "partition-one-way"
target = ["n1 -> n2", "n3->n2"]

[[faults]]
at = "90s"
fault = "roll"
target = ["n1", "n2"]
release = "6b"
encryption = "on"

[[faults]]
at = "100s"
fault = "admin"
call = "rotate-storage"

[[faults]]
at = "110s"
for = "100ms"
fault = "restart"
target = "all"
"#;

#[test]
fn hand_written_schedules_are_read_and_written_alike() {
    let schedule = parse(BY_HAND).unwrap();
    assert_eq!(schedule[0].at, Duration::from_millis(3200));
    assert_eq!(schedule[1].target, Target::Nodes(vec![0, 2]));
    assert_eq!(
        schedule[2].target,
        Target::Groups(vec![vec![0], vec![1, 2]])
    );
    assert_eq!(schedule[3].target, Target::Cuts(vec![(0, 1), (2, 1)]));
    let roll = Roll {
        release: Some("6b".to_owned()),
        flags: FlagChange {
            encryption: Some(Switch::On),
            ..FlagChange::default()
        },
        tampers: vec![],
    };
    assert_eq!(schedule[4].details, Details::Roll(roll));
    assert_eq!(schedule[4].title(), "roll to 6b, encryption on");
    assert_eq!(schedule[5].target, Target::Leader);
    assert_eq!(
        schedule[5].details,
        Details::Admin(CallRequest::once(Call::RotateStorage))
    );
    assert_eq!(schedule[5].title(), "admin rotate-storage");
    assert_eq!(schedule[6].target, Target::All);
    validate(&schedule, 3).unwrap();
    let text = to_toml(&schedule).unwrap();
    assert!(
        text.contains("at = \"3.2s\"\nfor = \"2.5s\"\nfault = \"kill\"\ntarget = \"leader\"\n"),
        "{text}"
    );
    assert_eq!(parse(&text).unwrap(), schedule);
    assert_eq!(parse("").unwrap(), []);
}

#[test]
fn steps_that_make_no_sense_are_refused() {
    let cases = [
        (
            "fault = \"roll\"\ntarget = \"n1\"",
            "`roll` changes nothing: give `release`",
        ),
        (
            "fault = \"roll\"\nrelease = \"6b\"",
            "missing field `target`",
        ),
        (
            "fault = \"roll\"\ntarget = \"n1\"\nrelease = \"6b\"\nfor = \"1s\"",
            "`roll` stays, so it can't have `for`",
        ),
        (
            "fault = \"roll\"\ntarget = [\"n1 -> n2\"]\nrelease = \"6b\"",
            "`roll` is aimed at",
        ),
        (
            "fault = \"roll\"\ntarget = \"n1\"\nencryption = \"maybe\"",
            "unknown variant `maybe`, expected `on` or `off`",
        ),
        ("fault = \"admin\"", "missing field `call`"),
        (
            "fault = \"admin\"\ncall = \"rotate\"",
            "there is no call `rotate`; there are bootstrap, enable-storage-envelope",
        ),
        (
            "fault = \"admin\"\ncall = \"bootstrap\"\ntarget = [\"n2\", \"n3\"]",
            "`admin` is aimed at \"leader\" (which may be left out), \"follower\" or one node",
        ),
        (
            "fault = \"admin\"\ncall = \"bootstrap\"\nepoch = 3",
            "`bootstrap` has no `epoch`",
        ),
        (
            "fault = \"admin\"\ncall = \"bootstrap\"\nsend = \"thrice\"",
            "unknown variant `thrice`, expected one of `once`, `twice`, `concurrent`, `late`",
        ),
        (
            "fault = \"admin\"\ncall = \"bootstrap\"\nexpect = \"declined\"",
            "`declined` is no outcome; there are accepted, refused",
        ),
        (
            "fault = \"roll\"\ntarget = \"n1\"\ntamper = [\"sidecar-eaten\"]",
            "unknown variant `sidecar-eaten`",
        ),
        (
            "fault = \"member\"\ntarget = \"n4\"",
            "missing field `change`: what `member` does, one of add-learner",
        ),
        (
            "fault = \"member\"\ntarget = \"n4\"\nchange = \"promote\"\nkek = \"foreign\"",
            "`promote` starts nobody",
        ),
        (
            "fault = \"transfer\"\ntarget = \"leader\"",
            "`transfer` is aimed at \"follower\" or one node",
        ),
        (
            "fault = \"kill\"\ntarget = \"n1\"\nfor = \"1s\"\nexpect = \"serves\"",
            "`kill` has no `expect`",
        ),
        (
            "fault = \"kill\"\ntarget = \"n1\"\nfor = \"1s\"\ncall = \"bootstrap\"",
            "`kill` has no `call`",
        ),
        ("fault = \"kill\"\ntarget = \"n1\"", "missing field `for`"),
    ];
    for (step, reason) in cases {
        let error = parse(&format!("[[faults]]\nat = \"1s\"\n{step}\n"));
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("line ") && error.contains(reason),
            "{error}\nmust name a line and {reason}"
        );
    }
}

#[test]
fn what_ends_a_hold_is_for_one_node_kept_away() {
    let away = |fault: &str, rest: &str| {
        parse(&format!(
            "[[faults]]\nat = \"1s\"\nuntil = \"snapshot\"\nfault = \"{fault}\"\n{rest}"
        ))
    };
    let bound = "for = \"9s\"\n";
    let read = away("pause", &format!("{bound}target = \"follower\"\n")).unwrap();
    assert_eq!(read[0].until, Some(Until::Snapshot));
    assert_eq!(parse(&to_toml(&read).unwrap()).unwrap(), read);
    let cases = [
        ("pause", "target = \"n1\"\n", "missing field `for`"),
        (
            "pause",
            "for = \"9s\"\ntarget = \"leader\"\n",
            "aim it at \"follower\" or one node (\"n2\"), not at `leader`",
        ),
        (
            "kill",
            "for = \"9s\"\ntarget = [\"n1\", \"n2\"]\n",
            "aim it at \"follower\"",
        ),
        (
            "restart",
            "target = \"n1\"\nfor = \"9s\"\n",
            "is for faults that keep a node away: kill, pause, partition-one; not for `restart`",
        ),
    ];
    for (fault, rest, reason) in cases {
        let error = away(fault, rest).unwrap_err().to_string();
        assert!(
            error.contains("line 1") && error.contains(reason),
            "{error}"
        );
    }
}

/// A schedule of one fault, with one field changed; its error.
fn error_with(field: &str, value: &str) -> String {
    let lines = [
        ("at", "\"1s\""),
        ("for", "\"1s\""),
        ("fault", "\"kill\""),
        ("target", "\"n1\""),
    ];
    let line = |(name, usual): (&str, &str)| {
        format!("{name} = {}\n", if name == field { value } else { usual })
    };
    let text = format!("[[faults]]\n{}", lines.map(line).concat());
    parse(&text).unwrap_err().to_string()
}

#[test]
fn mistakes_are_named_with_line_and_reason() {
    let cases = [
        (
            "fault",
            "\"kil\"",
            "line 4",
            "there is no fault `kil`; there are kill, pause, partition-one",
        ),
        ("at", "\"soon\"", "line 2", "`soon` is no time"),
        ("for", "3", "line 3", "invalid type: integer"),
        (
            "target",
            "\"boss\"",
            "line 5",
            "`boss` is no target; there are \"leader\"",
        ),
        ("target", "[\"n0\"]", "line 5", "`n0` is no node"),
        ("target", "[]", "line 5", "the list of targets is empty"),
        (
            "target",
            "[\"n1\", [\"n2\"]]",
            "line 5",
            "either groups or names",
        ),
        (
            "target",
            "[\"n1 -> n1\"]",
            "line 5",
            "from a node to itself",
        ),
        (
            "target",
            "[[\"n1\"], [\"n2\"]]",
            "line 1",
            "`kill` is aimed at",
        ),
        ("for", "\"0s\"", "line 1", "must be held for some time"),
    ];
    for (field, value, line, reason) in cases {
        let error = error_with(field, value);
        assert!(
            error.contains(line) && error.contains(reason),
            "{error}\nmust name {line} and {reason}"
        );
    }
    let extra = parse("[[faults]]\nat = \"1s\"\nhold = \"1s\"\n")
        .unwrap_err()
        .to_string();
    assert!(
        extra.contains("line 3") && extra.contains("unknown field `hold`"),
        "{extra}"
    );
    let missing = parse("[[faults]]\nat = \"1s\"\nfor = \"1s\"\nfault = \"kill\"\n")
        .unwrap_err()
        .to_string();
    assert!(missing.contains("missing field `target`"), "{missing}");
}

#[test]
fn what_does_not_fit_the_cluster_is_refused() {
    let planned = |at, fault, target| PlannedFault {
        at: Duration::from_secs(at),
        when: None,
        until: None,
        hold: Duration::from_secs(2),
        fault,
        target,
        details: Details::None,
        expect: Expect::default(),
    };
    let cases = [
        (
            planned(1, FaultName::Kill, Target::Nodes(vec![3])),
            3,
            "there is no n4, the cluster has 3 nodes",
        ),
        (
            planned(
                1,
                FaultName::PartitionMajorityRing,
                Target::Nodes(vec![0, 1]),
            ),
            2,
            "needs at least 3 nodes",
        ),
        (
            planned(1, FaultName::Kill, Target::Follower),
            1,
            "has no follower",
        ),
        (
            planned(
                1,
                FaultName::PartitionHalves,
                Target::Groups(vec![vec![0], vec![1]]),
            ),
            3,
            "n3 is in neither half",
        ),
        (
            planned(
                1,
                FaultName::PartitionMajorityRing,
                Target::Nodes(vec![0, 1, 2]),
            ),
            4,
            "n4 is not in the ring",
        ),
    ];
    for (fault, nodes, reason) in cases {
        let error = validate(&[fault], nodes).unwrap_err().to_string();
        assert!(
            error.starts_with("fault 1 of the schedule (`") && error.contains(reason),
            "{error}\nwanted: {reason}"
        );
    }
    let overlapping = |second: PlannedFault| {
        let kill = planned(1, FaultName::Kill, Target::Nodes(vec![0]));
        validate(&[kill, second], 3).map_err(|error| error.to_string())
    };
    let n1 = Target::Nodes(vec![0]);
    let error = overlapping(planned(2, FaultName::Pause, n1.clone())).unwrap_err();
    assert_eq!(
        error,
        "fault 2 of the schedule (`pause` at 2s) can't be: n1 is held until 3s by fault 1 (`kill`); what \
         is in force at the same time must touch different things"
    );
    let error = overlapping(planned(0, FaultName::Pause, Target::Leader)).unwrap_err();
    let order = "the one before it begins at 1s; they stand in the order in which they begin";
    assert!(error.ends_with(order), "{error}");
    let end = Ok(Duration::from_secs(4));
    assert_eq!(
        overlapping(planned(2, FaultName::Pause, Target::Nodes(vec![1]))),
        end
    );
    assert_eq!(
        overlapping(planned(2, FaultName::PartitionOne, n1.clone())),
        end
    );
    // Who leads then is not known now.
    assert_eq!(
        overlapping(planned(2, FaultName::Pause, Target::Leader)),
        end
    );
    let five = Ok(Duration::from_secs(5));
    assert_eq!(overlapping(planned(3, FaultName::Pause, n1.clone())), five);
    let error = overlapping(planned(2, FaultName::Kill, Target::All)).unwrap_err();
    assert!(
        error.contains("a node of it is held until 3s by fault 1"),
        "{error}"
    );
    let cuts = [1, 2].map(|at| planned(at, FaultName::PartitionOne, Target::Leader));
    let error = validate(&cuts, 3).unwrap_err().to_string();
    assert!(
        error.contains("the network is held until 3s by fault 1"),
        "{error}"
    );
}

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
