//! Schedules read, written, and refused.

mod moments;

use super::*;
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
