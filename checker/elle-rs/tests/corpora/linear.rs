//! The same histories, read as streams and checked by the models' names.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use elle_rs::history::stream::Reader;
use elle_rs::linear::{Method, ModelName, Options, Outcome, check};
use elle_rs::verify::verify;

use crate::{corpora, files};

/// The verdict on a file.
fn linearizable(path: &Path, options: &Options) -> bool {
    let began = Instant::now();
    let reader = Reader::open(path, None).unwrap();
    let report = check(reader, options).unwrap();
    let searched = |part: &&elle_rs::linear::PartReport| part.method == Method::Search;
    println!(
        "{}: {} operations, {} of {} parts searched, {:?}",
        path.display(),
        report.read,
        report.parts.iter().filter(searched).count(),
        report.parts.len(),
        began.elapsed()
    );
    assert_eq!(report.torn, None, "{}", path.display());
    let certificate = report.certificate().unwrap();
    let began = Instant::now();
    let verified = verify(&certificate, Reader::open(path, None).unwrap());
    let verified = verified.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    println!(
        "    {}: {}, {:?}",
        verified.verdict,
        verified.rests_on,
        began.elapsed()
    );
    let mut valid = true;
    for part in &report.parts {
        match &part.outcome {
            Outcome::Valid { witness } => {
                let answered = part.operations - part.pending;
                assert!(witness.len() as u64 >= answered, "{}", path.display());
            }
            Outcome::Violated { finding, .. } => {
                println!("    {}: {}", finding.anomaly, finding.explanation);
                valid = false;
            }
            Outcome::Undecided { reason } => panic!("{}: {reason}", path.display()),
        }
    }
    valid
}

#[test]
fn porcupine() {
    let Some(corpora) = corpora("linear::porcupine") else {
        return;
    };
    let expected = std::fs::read_to_string(corpora.join("porcupine/expected.json")).unwrap();
    let expected: BTreeMap<String, bool> = serde_json::from_str(&expected).unwrap();
    let mut looked_at = 0;
    for (name, expected) in &expected {
        let model = match name.starts_with("jepsen/") {
            true => ModelName::CasRegister,
            false => ModelName::KvMap,
        };
        let path = corpora.join("porcupine").join(name);
        assert_eq!(
            linearizable(&path, &Options::new(model)),
            *expected,
            "{name}"
        );
        looked_at += 1;
    }
    assert_eq!(looked_at, 102 + 6);
}

#[test]
fn knossos() {
    let Some(corpora) = corpora("linear::knossos") else {
        return;
    };
    let mut looked_at = 0;
    for (model, initial) in [
        (ModelName::CasRegister, None),
        // As the comment on top of its one history says.
        (ModelName::MultiRegister, Some(0)),
        (ModelName::Mutex, None),
    ] {
        for (folder, expected) in [("good", true), ("bad", false)] {
            let folder = corpora.join("knossos").join(model.name()).join(folder);
            if !folder.is_dir() {
                continue;
            }
            for path in files(&folder) {
                let options = Options {
                    initial,
                    ..Options::new(model)
                };
                assert_eq!(
                    linearizable(&path, &options),
                    expected,
                    "{}",
                    path.display()
                );
                looked_at += 1;
            }
        }
    }
    assert_eq!(looked_at, 63);
}
