//! Stored runs: list, check, report.

use crate::support::{Said, Scene};

#[test]
fn a_stored_run_is_listed_checked_and_reported_again() {
    let scene = Scene::new();
    let run = scene.say(&["run", "--seed", "9", "--time", "5s", "--faults", "none"]);
    assert_eq!(run.code, 0);
    let folder = scene.run_folder();
    let id = folder
        .file_name()
        .expect("a name")
        .to_str()
        .expect("UTF-8")
        .to_owned();

    let list = scene.say(&["list", "--json"]);
    assert_eq!(list.json()[0]["id"], id.as_str());
    assert!(scene.say(&["list"]).stdout.contains("valid"));

    let nowhere = scene.say(&["check", "20010101T000000Z-s1"]);
    assert_eq!(nowhere.code, 2);
    assert!(
        nowhere.stderr.contains("no such run") && nowhere.stderr.contains(&id),
        "{}",
        nowhere.stderr
    );

    let history = folder.join("history.kqh");
    let before = std::fs::read(folder.join("verdict.json")).expect("a verdict");
    for subject in [
        id.as_str(),
        "latest",
        folder.to_str().expect("UTF-8"),
        history.to_str().expect("UTF-8"),
    ] {
        let said: Said = scene.say(&["check", subject, "--json"]);
        assert_eq!(
            (said.code, said.json()["verdict"].as_str()),
            (0, Some("valid")),
            "{subject}"
        );
    }
    assert_eq!(
        std::fs::read(folder.join("verdict.json")).expect("a verdict"),
        before,
        "check writes nothing"
    );

    let page = folder.join("report.html");
    let first = std::fs::read_to_string(&page).expect("a report");
    std::fs::remove_file(&page).expect("the report goes");
    assert_eq!(scene.say(&["report", &id]).code, 0);
    assert_eq!(
        std::fs::read_to_string(&page).expect("a report"),
        first,
        "the same history gives the same page"
    );
}

#[test]
fn catalogues_are_there() {
    let scene = Scene::new();
    for (command, word) in [
        ("faults", "partition-halves"),
        ("bugs", "stale-read"),
        ("invariants", "SELF-NONEMPTY"),
    ] {
        let text = scene.say(&[command]);
        let json = scene.say(&[command, "--json"]);
        assert!(text.code == 0 && text.stdout.contains(word), "{command}");
        assert!(
            json.code == 0 && json.json().as_array().is_some_and(|list| !list.is_empty()),
            "{command}"
        );
    }
}
