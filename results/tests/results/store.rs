//! The run store on a real disk: ids, names, lists, and what it says when something is wrong.

use super::support;
use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use keyquake_judge::Verdict;
use keyquake_results::{Report, RunFolder, Runs, StoreError, digest_file};

fn moment() -> Timestamp {
    Timestamp::from_millisecond(1_795_535_315_481).expect("a moment in 2026")
}

fn store() -> (tempfile::TempDir, Runs) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let runs = Runs::at(folder.path().join("results/runs"));
    (folder, runs)
}

/// A run with its `run.json`, begun some seconds after the first.
fn begun(runs: &Runs, seed: u64, seconds: i64) -> RunFolder {
    let folder = runs
        .create(seed, moment() + SignedDuration::from_secs(seconds))
        .expect("a new run");
    let mut info = support::run_info(seed);
    info.id = folder.id().to_owned();
    folder.write_run(&info).expect("run.json");
    folder
}

fn message<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    result.expect_err("an error").to_string()
}

#[test]
fn ids_are_times_and_seeds_sort_and_never_clash() {
    let (_temp, runs) = store();
    let first = begun(&runs, 42, 0);
    let same = begun(&runs, 42, 0);
    let later = begun(&runs, 7, 1);
    assert_eq!(
        first.id(),
        "20261124T112835.481Z-s42".replace("112835", &first.id()[9..15])
    );
    assert_eq!(same.id(), format!("{}-2", first.id()));
    assert!(first.id() < same.id() && same.id() < later.id());
    assert!(first.logs().is_dir() && first.nodes().is_dir());
}

#[test]
fn a_run_is_found_by_id_prefix_path_and_as_the_latest() {
    let (_temp, runs) = store();
    let old = begun(&runs, 42, 0);
    let new = begun(&runs, 42, 3600);
    let unique = &new.id()[..12];
    assert_eq!(runs.find(old.id()).expect("by id"), old);
    assert_eq!(runs.find(unique).expect("by prefix").id(), new.id());
    assert_eq!(runs.find("latest").expect("latest"), new);
    let by_path = runs
        .find(&old.path().display().to_string())
        .expect("by path");
    assert_eq!(by_path.id(), old.id());
    let by_file = runs
        .find(&old.run_json().display().to_string())
        .expect("by a file inside");
    assert_eq!(by_file.id(), old.id());
    // The exact id wins, although it is also the beginning of another.
    let twin = begun(&runs, 42, 0);
    assert_eq!(runs.find(old.id()).expect("exact id").id(), old.id());
    assert!(twin.id().starts_with(old.id()));
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let (temp, runs) = store();
    let said = message(runs.find("latest"));
    assert!(
        said.contains("no runs in") && said.contains("keyquake run"),
        "{said}"
    );

    let one = begun(&runs, 42, 0);
    let said = message(runs.find("20250101"));
    assert!(
        said.contains("no such run: 20250101") && said.contains(one.id()),
        "{said}"
    );

    for seed in 0..8 {
        begun(&runs, seed, 100);
    }
    let wrong = one.id().replace("-s42", "-s43");
    let said = message(runs.find(&wrong));
    assert!(
        said.contains(&format!("nearest: {}", one.id())) && said.contains("all 9"),
        "{said}"
    );

    let said = message(runs.find("2026"));
    assert!(said.contains("beginning of 9 runs"), "{said}");

    let empty = temp.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    let said = message(runs.find(&empty.display().to_string()));
    assert!(said.contains("is not a run folder"), "{said}");
    for strange in ["", ".", "..", "../..", "/", "no\u{0}name", "latest "] {
        assert!(runs.find(strange).is_err(), "{strange:?}");
    }
}

#[test]
fn what_a_newer_keyquake_wrote_is_refused_by_name() {
    let (_temp, runs) = store();
    let run = begun(&runs, 1, 0);
    fs::write(run.run_json(), r#"{"format": 99, "shape": "unknown"}"#).expect("a newer run.json");
    fs::write(
        run.verdict_json(),
        r#"{"format": 2, "verdict": "splendid"}"#,
    )
    .expect("a newer verdict.json");
    for said in [message(run.read_run()), message(run.read_verdict())] {
        assert!(
            said.contains("reads up to 1") && said.contains("newer"),
            "{said}"
        );
    }
    let listed = runs.list().expect("a list in spite of it");
    assert!(
        listed[0]
            .trouble
            .as_ref()
            .is_some_and(|said| said.contains("format 99"))
    );
}

#[test]
fn damaged_files_are_errors_that_name_the_place() {
    let (_temp, runs) = store();
    let run = begun(&runs, 1, 0);
    for bytes in [
        &b"{\"format\": 1, "[..],
        b"",
        b"[]",
        b"\xff\xfe",
        b"{\"format\": -1}",
    ] {
        fs::write(run.run_json(), bytes).expect("a damaged run.json");
        let said = message(run.read_run());
        assert!(said.contains("run.json is damaged"), "{said}");
    }
    let said = message(run.read_verdict());
    assert!(
        said.contains("no verdict.json") && said.contains("keyquake check"),
        "{said}"
    );
    assert!(run.read_verdict().is_err_and(|error| error.is_input()));
}

#[test]
fn what_is_written_is_read_back_and_listed_newest_first() {
    let (_temp, runs) = store();
    let old = begun(&runs, 1, 0);
    let new = begun(&runs, 2, 60);
    let judgement = support::violated(vec![support::finding(
        "stale-read",
        vec![1, 2],
        "said in words",
    )]);
    old.write_verdict(&judgement).expect("verdict.json");
    assert_eq!(old.read_verdict().expect("the verdict"), judgement);
    assert_eq!(old.read_run().expect("the run").seed, 1);
    old.write_plan(&support::plan()).expect("plan.toml");
    assert_eq!(old.read_plan().expect("the plan"), support::plan());

    let listed = runs.list().expect("a list");
    assert_eq!(
        listed.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(),
        [new.id(), old.id()]
    );
    assert_eq!(listed[0].verdict, None);
    assert_eq!(listed[1].verdict, Some(Verdict::Violated));
    assert_eq!(listed[1].violated, ["LIN"]);
    assert!(
        listed
            .iter()
            .all(|run| run.trouble.is_none() && run.run.is_some())
    );

    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(old.verdict_json()).expect("verdict.json")).expect("JSON");
    assert_eq!(json["format"], 1);
    assert_eq!(json["verdict"], "violated");
    assert_eq!(json["invariants"][0]["id"], "LIN");
    assert_eq!(
        json["invariants"][0]["findings"][0]["anomaly"],
        "stale-read"
    );
}

#[test]
fn listing_reads_no_history() {
    let (_temp, runs) = store();
    let run = begun(&runs, 1, 0);
    // A folder in its place: whoever opened it to read would fail.
    fs::create_dir(run.history()).expect("an unreadable history");
    assert!(runs.list().expect("a list")[0].trouble.is_none());
}

#[test]
fn reports_land_in_the_folder_and_nothing_half_written_stays() {
    let (_temp, runs) = store();
    let run = begun(&runs, 1, 0);
    let report = Report::build(
        &support::run_info(1),
        "",
        support::one_operation().into_iter(),
        &support::valid(),
    );
    let path = run.write_report(&report).expect("the report");
    assert_eq!(path, run.report_html());
    assert_eq!(fs::read_to_string(path).expect("the page"), report.html);
    assert_eq!(
        fs::read_to_string(run.junit_xml()).expect("JUnit"),
        report.junit
    );

    // Where the page should go is a folder: an error, and no .tmp beside it.
    fs::remove_file(run.report_html()).expect("away");
    fs::create_dir(run.report_html()).expect("a folder in the way");
    let said = message(run.write_report(&report));
    assert!(
        said.contains("failed to write") && said.contains("report.html"),
        "{said}"
    );
    let left = fs::read_dir(run.path())
        .expect("the folder")
        .filter_map(Result::ok);
    assert!(
        left.into_iter()
            .all(|entry| entry.path().extension().is_none_or(|end| end != "tmp"))
    );
}

#[test]
fn digests_are_those_of_sha256sum() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let file = temp.path().join("abc");
    fs::write(&file, "abc").expect("a file");
    let known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(digest_file(&file).expect("a digest"), known);
    let said = message(digest_file(Path::new("no/such/file")));
    assert!(said.contains("failed to read no/such/file"), "{said}");
}
