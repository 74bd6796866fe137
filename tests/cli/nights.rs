//! A night with an operator: drawn from a seed, carried out, and every step's outcome foretold.

use crate::support::{Scene, leftovers, verdict_of};

const NIGHT: [&str; 8] = [
    "--seed",
    "3",
    "--time",
    "12s",
    "--faults",
    "kill,operator",
    "--encryption",
    "keys",
];

#[test]
fn a_short_night_is_drawn_and_ends_valid() {
    let scene = Scene::new();
    let words = |before: &[&'static str]| [before, NIGHT.as_slice()].concat();
    let drawn = scene.say(&words(&["plan"]));
    assert_eq!(drawn.code, 0);
    assert_eq!(scene.say(&words(&["plan"])).stdout, drawn.stdout);
    for piece in [
        "spares = 1",
        "fault = \"admin\"",
        "fault = \"roll\"",
        "fault = \"kill\"",
    ] {
        assert!(drawn.stdout.contains(piece), "{piece}");
    }
    let said = scene.say(&words(&["run", "--json"]));
    assert_eq!(said.code, 0);
    let judgement = said.json();
    for id in ["LIN", "DUR", "AVAIL", "ROL-RESTART", "SELF-NONEMPTY"] {
        assert_eq!(verdict_of(&judgement, id), "valid", "{id}");
    }
    let plan = std::fs::read_to_string(scene.run_folder().join("plan.toml")).expect("a plan");
    let faults = |text: &str| text.matches("[[faults]]").count();
    assert_eq!(faults(&plan), faults(&drawn.stdout));
    assert_eq!(leftovers(scene.dir.path()), [] as [String; 0]);
}

#[test]
fn an_operator_is_refused_where_nobody_knows_the_rules() {
    let scene = Scene::new();
    let elastickv = ["--system", "elastickv"];
    for (words, piece) in [
        (
            [&["--faults", "kill,operator"], elastickv.as_slice()].concat(),
            "can't be drawn for release `unnamed`",
        ),
        (
            [
                &["--faults", "operator", "--release", "head"],
                elastickv.as_slice(),
            ]
            .concat(),
            "can't be drawn for release `head`",
        ),
        (vec!["--faults", "operator,none"], "can't be combined"),
        (vec!["--faults", "kill,roll"], "can't be drawn by itself"),
    ] {
        let said = scene.say(&[vec!["plan", "--seed", "1"], words].concat());
        assert_eq!(said.code, 2);
        assert!(said.stderr.contains(piece), "{piece}");
    }
    // Of a store that is not ours, nodes are rolled to what was given, and nothing else.
    let said = scene.say(
        &[
            &[
                "plan", "--seed", "1", "--time", "120s", "--faults", "operator",
            ],
            elastickv.as_slice(),
            &[
                "--release",
                "6a",
                "--binary",
                "6b=./b",
                "--binary",
                "6c=./c",
            ],
        ]
        .concat(),
    );
    assert_eq!(said.code, 0);
    for (release, there) in [("6b", true), ("6c", true), ("6d", false), ("5d", false)] {
        let rolled = format!("release = \"{release}\"");
        assert_eq!(said.stdout.contains(&rolled), there, "{release}");
    }
}
