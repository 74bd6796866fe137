//! Each seeded bug is found by a default run, and named by the right invariant.

use crate::support::{Scene, anomalies_of, verdict_of};

#[test]
fn stale_reads_are_found() {
    let judgement = judged_with("stale-read");
    assert_eq!(verdict_of(&judgement, "LIN"), "violated");
    assert!(anomalies_of(&judgement, "LIN").contains(&"stale-read".to_owned()));
}

#[test]
fn lost_writes_are_found() {
    let judgement = judged_with("lost-write");
    assert_eq!(verdict_of(&judgement, "LIN"), "violated");
    let anomalies = anomalies_of(&judgement, "LIN");
    assert!(
        anomalies
            .iter()
            .any(|name| ["lost-update", "stale-read"].contains(&name.as_str())),
        "{anomalies:?}"
    );
}

#[test]
fn doubled_appends_are_found() {
    let judgement = judged_with("double-apply");
    assert_eq!(verdict_of(&judgement, "SSER"), "violated");
    assert!(anomalies_of(&judgement, "SSER").contains(&"duplicate-elements".to_owned()));
}

/// The judgement of a default run with this bug switched on.
fn judged_with(bug: &str) -> serde_json::Value {
    let scene = Scene::new();
    let said = scene.say(&["run", "--seed", "1", "--bug", bug, "--json"]);
    assert_eq!(said.code, 1, "{bug} is found");
    said.json()
}

/// The manual's table is the catalogue: a test of the store sees to that.
#[test]
fn all_are_listed_with_what_they_do_and_break() {
    let listed = Scene::new().say(&["bugs"]);
    assert_eq!(listed.code, 0);
    let page = include_str!("../../docs/reference-store.md");
    let table = page.split("## Seeded bugs").nth(1).expect("a section");
    let rows: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    assert!(rows.len() >= 54, "{} rows", rows.len());
    for row in rows {
        let cells: Vec<_> = row.trim_matches(['|', ' ']).split(" | ").collect();
        let name = cells[0].trim_matches('`');
        let entry = format!("{name}\n  does    {}\n  breaks  {}\n", cells[1], cells[2]);
        assert!(listed.stdout.contains(&entry), "{entry}");
    }
}
