//! The house rules that a machine can check: file headers, sizes, dead links,
//! names that must not leak into the project. Run with `cargo test --test tidy`.

use std::fs;
use std::path::{Path, PathBuf};

/// A file longer than this has more than one reason to exist.
const LINES_MAX: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that git knows or would add, as (path below the root, text).
fn files(endings: &[&str]) -> Vec<(PathBuf, String)> {
    let output = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files of the checkout");
    assert!(output.status.success(), "git ls-files failed");
    let listing = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let files: Vec<_> = listing
        .lines()
        .map(PathBuf::from)
        .filter(|path| {
            endings
                .iter()
                .any(|end| path.to_string_lossy().ends_with(end))
        })
        .filter_map(|path| Some((path.clone(), fs::read_to_string(root().join(&path)).ok()?)))
        .collect();
    assert!(!files.is_empty(), "no file ends with {endings:?}");
    files
}

fn assert_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_source_file_says_what_it_is() {
    assert_none(
        files(&[".rs"])
            .iter()
            .filter(|(_, text)| !text.starts_with("//!"))
            .map(|(path, _)| format!("{}: does not begin with a //! header", path.display()))
            .collect(),
    );
}

#[test]
fn files_stay_small() {
    assert_none(
        files(&[".rs"])
            .iter()
            .filter(|(_, text)| text.lines().count() > LINES_MAX)
            .map(|(path, text)| {
                format!(
                    "{}: {} lines, at most {LINES_MAX}",
                    path.display(),
                    text.lines().count()
                )
            })
            .collect(),
    );
}

#[test]
fn nothing_is_left_undone_or_silenced() {
    // Spelled apart so that this file does not name itself.
    let mut banned = ["todo", "unimplemented"]
        .map(|word| format!("{word}!("))
        .to_vec();
    banned.extend(["dead_code", "unused"].map(|lint| format!("allow({lint}")));
    banned.push(format!("#[{}", "ignore"));
    let mut complaints = Vec::new();
    for (path, text) in files(&[".rs"]) {
        for word in banned.iter().filter(|word| text.contains(word.as_str())) {
            complaints.push(format!("{}: holds `{word}`", path.display()));
        }
    }
    assert_none(complaints);
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut complaints = Vec::new();
    for (path, text) in files(&[".md"]) {
        let folder = root().join(&path);
        let folder = folder.parent().expect("a file has a folder");
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            let outside = target.contains("://") || target.is_empty();
            if !outside && !folder.join(target).exists() {
                complaints.push(format!("{}: dead link {link}", path.display()));
            }
        }
    }
    assert_none(complaints);
}

#[test]
fn arrows_between_rooms_go_one_way() {
    let forbidden = [
        ("checker/elle-rs", "keyquake-"),
        ("checker/audit", "keyquake-cluster"),
        ("checker/audit", "keyquake-node"),
        ("checker/audit", "keyquake-systems"),
        ("checker/audit", "keyquake-workloads"),
        ("checker/audit", "tokio"),
        ("checker/judge", "keyquake-cluster"),
        ("checker/judge", "keyquake-workloads"),
        ("workloads", "keyquake-"),
        ("cluster", "keyquake-"),
        ("cluster", "bollard"),
        ("docker", "keyquake-nemesis"),
        ("docker", "keyquake-systems"),
        ("docker", "keyquake-node"),
        ("docker", "keyquake-workloads"),
        ("nemesis", "keyquake-workloads"),
        ("nemesis", "elle-rs"),
        ("results", "keyquake-cluster"),
        ("results", "keyquake-nemesis"),
        ("systems", "keyquake-nemesis"),
        ("systems/formats", "keyquake-"),
        ("systems/formats", "tokio"),
        ("node", "keyquake-"),
        ("node", "elle-rs"),
    ];
    let mut complaints = Vec::new();
    for (room, other) in forbidden {
        let manifest = fs::read_to_string(root().join(room).join("Cargo.toml"))
            .expect("every room has a manifest");
        for line in manifest.lines().filter(|line| !line.starts_with("name")) {
            if line.starts_with(other) {
                complaints.push(format!("{room} must not know `{line}`"));
            }
        }
    }
    assert_none(complaints);
}
