//! Our own corpus: each history gets the verdict that stands on top of it.

use std::path::{Path, PathBuf};

use elle_rs::{list_append, register};

#[path = "common/events.rs"]
mod events;

fn files(folder: &str) -> Vec<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(folder);
    let mut files: Vec<PathBuf> = ["good", "bad"]
        .iter()
        .flat_map(|part| std::fs::read_dir(corpus.join(part)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(
        files.len() > 10,
        "{} has only {}",
        corpus.display(),
        files.len()
    );
    files
}

/// What a comment on top says about `what`.
fn header(path: &Path, what: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("; {what}: ")));
    line.unwrap_or_else(|| panic!("{} has no {what}", path.display()))
        .to_owned()
}

#[test]
fn registers() {
    for path in files("register") {
        let events = events::read(&path);
        let reports = register::check(&events).unwrap();
        let [report] = &reports[..] else {
            panic!("{} is about one register", path.display());
        };
        let verdict = match &report.outcome {
            register::Outcome::Valid { witness } => {
                assert_eq!(register::verify(&events, report.key, witness), Ok(()));
                "valid".to_owned()
            }
            register::Outcome::Violated { finding } => {
                println!("{}\n    {}", path.display(), finding.explanation);
                finding.anomaly.clone()
            }
            register::Outcome::Undecided { reason } => panic!("{}: {reason}", path.display()),
        };
        assert_eq!(verdict, header(&path, "expect"), "{}", path.display());
    }
}

#[test]
fn lists() {
    for path in files("list-append") {
        let events = events::read(&path);
        let level = header(&path, "level").parse().unwrap();
        let verdict = match list_append::check(&events, level).unwrap().decision {
            list_append::Decision::Valid => "valid".to_owned(),
            list_append::Decision::Violated { findings } => {
                println!("{}", path.display());
                findings
                    .iter()
                    .for_each(|f| println!("    {}", f.explanation));
                let names: Vec<&str> = findings.iter().map(|f| f.anomaly.as_str()).collect();
                names.join(" ")
            }
            list_append::Decision::Undecided { reason } => panic!("{}: {reason}", path.display()),
        };
        assert_eq!(verdict, header(&path, "expect"), "{}", path.display());
    }
}

#[test]
fn a_misspelt_level_is_an_error() {
    let error = "serialisable".parse::<list_append::Level>().unwrap_err();
    assert!(
        error.to_string().contains("\"serialisable\"")
            && error.to_string().contains("strict-serializable")
    );
}
