//! Running the binary, and looking at what it left.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

/// Clusters take turns: two cores carry one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// A results root of one test, and its turn on the machine.
pub struct Scene {
    pub dir: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// What a finished command said.
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Scene {
    pub fn new() -> Scene {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Scene {
            dir: tempfile::tempdir().expect("a temporary folder"),
            _turn: turn,
        }
    }

    /// The binary, with its results in this scene.
    pub fn keyquake(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(words)
            .env("KEYQUAKE_RESULTS", self.dir.path().join("runs"))
            .current_dir(self.dir.path());
        command
    }

    /// Runs the binary to its end.
    pub fn say(&self, words: &[&str]) -> Said {
        let said = Said::of(self.keyquake(words).output().expect("keyquake starts"));
        println!(
            "$ keyquake {}\n{}{}",
            words.join(" "),
            said.stdout,
            said.stderr
        );
        said
    }

    /// The folder of the only run.
    pub fn run_folder(&self) -> PathBuf {
        let mut runs = run_folders(&self.dir.path().join("runs"));
        assert_eq!(runs.len(), 1, "one run is stored: {runs:?}");
        runs.remove(0)
    }

    /// Writes a file and gives its path as a word of a command line.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("a file in the scene");
        path.to_str().expect("paths of tests are UTF-8").to_owned()
    }
}

impl Said {
    pub fn of(output: Output) -> Said {
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("standard output is one JSON document")
    }
}

/// The binary under test.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_keyquake"))
}

/// Folders of runs below a results root.
pub fn run_folders(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root) else {
        return Vec::new();
    };
    let folders = entries.map(|entry| entry.expect("a readable folder").path());
    folders
        .filter(|path| path.join("run.json").exists())
        .collect()
}

/// The verdict of an invariant in a judgement.
pub fn verdict_of<'a>(judgement: &'a Value, id: &str) -> &'a str {
    let invariants = judgement["invariants"]
        .as_array()
        .expect("a judgement has invariants");
    let found = invariants.iter().find(|invariant| invariant["id"] == id);
    found
        .and_then(|invariant| invariant["verdict"].as_str())
        .unwrap_or_else(|| panic!("{id} was judged: {judgement}"))
}

/// Anomalies that an invariant's findings name.
pub fn anomalies_of(judgement: &Value, id: &str) -> Vec<String> {
    let invariants = judgement["invariants"]
        .as_array()
        .expect("a judgement has invariants");
    let found = invariants
        .iter()
        .find(|invariant| invariant["id"] == id)
        .expect("the invariant was judged");
    let findings = found["findings"]
        .as_array()
        .expect("an invariant has findings");
    findings
        .iter()
        .map(|finding| finding["anomaly"].as_str().expect("a name").to_owned())
        .collect()
}

/// Processes whose environment names this results root, or whose program's
/// arguments do: everything that a run of the scene could leave.
pub fn leftovers(root: &Path) -> Vec<String> {
    let needle = root.to_string_lossy().into_owned().into_bytes();
    let contains = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        let is_process = pid
            .parse::<u32>()
            .is_ok_and(|pid| pid != std::process::id());
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if is_process && contains(&command) {
            found.push(format!(
                "{pid}: {}",
                String::from_utf8_lossy(&command).replace('\0', " ")
            ));
        }
    }
    found
}
