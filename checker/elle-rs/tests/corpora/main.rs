//! Histories by others, with the verdicts they must get (their MANIFEST.md). They are looked for
//! at `$KEYQUAKE_CORPORA`, or in `../shared/corpora` beside the workspace.

use std::path::{Path, PathBuf};

use elle_rs::levels::Level;
use elle_rs::txn::{self, Decision};
use elle_rs::{list_append, rw_register};

mod linear;

/// The corpora, or `None`, said on stdout.
fn corpora(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("KEYQUAKE_CORPORA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"),
        PathBuf::from,
    );
    if path.join("MANIFEST.md").is_file() {
        return Some(path);
    }
    println!(
        "skipped {test}: no corpora at {}; set KEYQUAKE_CORPORA",
        path.display()
    );
    None
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn elle_list_append() {
    let Some(corpora) = corpora("elle_list_append") else {
        return;
    };
    use Level::{Serializable, SnapshotIsolation, StrictSerializable};
    for (file, level, valid) in [
        ("huge-scc.edn", StrictSerializable, false),
        ("paper-example.edn", StrictSerializable, false),
        ("la-info1pct-10000-c20.edn.gz", StrictSerializable, true),
        ("la-perfect-10000-c10.edn.gz", StrictSerializable, true),
        ("la-perfect-10000-c10.edn.gz", SnapshotIsolation, true),
        ("la-perfect-100000-c10.edn.gz", StrictSerializable, true),
        ("la-si-10000-c10.edn.gz", StrictSerializable, false),
        ("la-si-10000-c10.edn.gz", Serializable, false),
        ("la-si-10000-c10.edn.gz", SnapshotIsolation, true),
        ("la-si-100000-c10.edn.gz", Serializable, false),
        ("la-si-100000-c10.edn.gz", SnapshotIsolation, true),
        ("la-ssi-10000-c10.edn.gz", StrictSerializable, true),
    ] {
        let began = std::time::Instant::now();
        let file_path = corpora.join("elle").join(file);
        let transactions = txn::read(&file_path, None, true).unwrap();
        let read = began.elapsed();
        let outcome = list_append::check_store(&transactions.store, level);
        println!(
            "{file} at {level}: read in {read:?}, judged in {:?}",
            began.elapsed() - read
        );
        match &outcome.decision {
            Decision::Valid => assert!(valid, "{file} passed at {level}"),
            Decision::Violated { findings } => {
                for finding in findings {
                    println!(
                        "    {} {:?}: {:.600}",
                        finding.anomaly, finding.ops, finding.explanation
                    );
                }
                assert!(!valid, "{file} at {level}: {findings:#?}");
            }
            Decision::Undecided { reason } => panic!("{file}: {reason}"),
        }
    }
}

#[test]
fn elle_rw_register() {
    let Some(corpora) = corpora("elle_rw_register") else {
        return;
    };
    let path = corpora.join("elle/rw-perfect-10000-c10.edn.gz");
    let transactions = txn::read(&path, None, false).unwrap();
    for level in Level::all() {
        let outcome = rw_register::check_store(&transactions.store, level);
        assert_eq!(outcome.decision, Decision::Valid, "at {level}");
    }
}
