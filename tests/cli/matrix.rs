//! A small part of the detection matrix, ended in the middle and gone on with.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Said, Scene, leftovers};

fn docs(below: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(below);
    path.display().to_string()
}

/// What a matrix has under way.
fn under_way(scene: &Scene) -> Vec<PathBuf> {
    let now = scene.dir.path().join("runs/.matrix/now");
    let entries = std::fs::read_dir(now).expect("a matrix was here");
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

#[test]
fn bugs_are_found_and_a_second_call_goes_on() {
    let scene = Scene::new();
    let table = docs("matrix.toml");
    let mut words = vec!["matrix", "--table", &table, "--clean", "--json"];
    for bug in ["stale-read", "gate-two-of-three"] {
        words.extend(["--bug", bug]);
    }
    let mut first = scene.keyquake(&words);
    let first = first.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut first = first.spawn().expect("keyquake starts");
    let lines = BufReader::new(first.stderr.as_mut().expect("its stderr is a pipe")).lines();
    let lines = lines.map(|line| line.expect("a line"));
    let done = lines.into_iter().find(|line| line.contains(", run 1: "));
    assert!(done.is_some(), "a cell is told when it is done");
    let pid = first.id().to_string();
    let ended = Command::new("kill").args(["-INT", &pid]).status();
    assert!(ended.expect("kill runs").success());
    let ended = Said::of(first.wait_with_output().expect("it ends"));
    assert_eq!(
        ended.code, 3,
        "what is missing is not valid: {}",
        ended.stdout
    );
    assert_eq!(under_way(&scene), [] as [PathBuf; 0]);
    assert_eq!(leftovers(scene.dir.path()), [] as [String; 0]);

    let whole = scene.say(&words);
    assert_eq!(whole.code, 0, "{}", whole.stdout);
    assert!(whole.stderr.contains(" of 4 runs are done already"));
    let matrix = whole.json();
    assert_eq!(matrix["missing"], 0);
    for row in matrix["bugs"].as_array().expect("rows") {
        assert_eq!(
            (&row["found"], &row["runs"]),
            (&1.into(), &1.into()),
            "{row}"
        );
    }
    for row in matrix["clean"].as_array().expect("rows") {
        assert_eq!(row["valid"], 1, "{row}");
    }
    let slowest = matrix["slowest_s"].as_f64().expect("a time");
    assert!(slowest > 0.0, "{slowest} s");

    let again = scene.say(&words);
    assert!(again.stderr.contains("4 of 4 runs are done already"));
    assert_eq!(again.stdout, whole.stdout);
}

#[test]
fn a_bug_that_is_not_found_is_no_pass() {
    let scene = Scene::new();
    let (table, calm) = (
        docs("matrix.toml"),
        docs("plans/matrix/nothing-happens.toml"),
    );
    let words = [
        "matrix",
        "--table",
        &table,
        "--bug",
        "6a-proposes",
        "--plan",
        &calm,
    ];
    let said = scene.say(&words);
    assert_eq!(said.code, 1);
    assert!(said.stdout.contains("0 of 1 bugs found"), "{}", said.stdout);
    // What is not as it must be is kept, to be looked at.
    assert!(said.stderr.contains("kept in "), "{}", said.stderr);
}

#[test]
fn words_that_make_no_matrix_are_refused() {
    let scene = Scene::new();
    let table = docs("matrix.toml");
    let refused = |words: &[&str], text: &str| {
        let said = scene.say(&[&["matrix"], words].concat());
        assert_eq!(said.code, 2, "{words:?}");
        assert!(said.stderr.contains(text), "{}", said.stderr);
    };
    refused(&[], "name it with --table");
    refused(&["--table", &table, "--bug", "nobody"], "no bug nobody");
    refused(
        &["--table", &table, "--bug", "sidecar-not-synced"],
        "power loss",
    );
    let other = docs("plans/rollout/only-6a.toml");
    let words = ["--table", &table, "--plan", &other, "--bug", "stale-read"];
    let plan = std::fs::read_to_string(&other).expect("the plan");
    let with = plan.replace("[cluster]\n", "[cluster]\nbugs = [\"stale-read\"]\n");
    let with = scene.file("with.toml", with);
    refused(
        &[&words[..2], &["--plan", &with], &words[4..]].concat(),
        "has a bug in it",
    );
}

/// A plan that the table does not name would be run by nobody.
#[test]
fn every_plan_is_for_some_bug() {
    let table = std::fs::read_to_string(docs("matrix.toml")).expect("the table");
    let plans = std::fs::read_dir(docs("plans/matrix")).expect("the plans");
    for plan in plans {
        let name = plan.expect("an entry").file_name();
        let named = format!("\"plans/matrix/{}\"", name.to_string_lossy());
        assert!(table.contains(&named), "{named}");
    }
}
