//! One run's folder: which files it has, and how they are read and written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use keyquake_judge::{Judgement, Verdict};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::files::write_whole;
use crate::evidence::{EVIDENCE_FORMAT, EvidenceIndex};
use crate::report::Report;
use crate::run_info::{RUN_FORMAT, RunInfo};

/// The version of `verdict.json` that this code writes, and the newest it reads.
pub const VERDICT_FORMAT: u32 = 1;

/// The folder of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
    id: String,
}

/// A run as `keyquake list` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct ListedRun {
    /// The run's id.
    pub id: String,
    /// Its folder.
    pub path: PathBuf,
    /// Its verdict; `None` while it runs, or when it was cut off before it was judged.
    pub verdict: Option<Verdict>,
    /// Ids of the invariants that it violated.
    pub violated: Vec<String>,
    /// What it was made of, when `run.json` could be read.
    pub run: Option<RunInfo>,
    /// What could not be read, and why.
    pub trouble: Option<String>,
}

/// `verdict.json` as written: its version, then the judgement's own fields.
#[derive(Serialize)]
struct VerdictFile<'a> {
    format: u32,
    #[serde(flatten)]
    judgement: &'a Judgement,
}

/// The part of `verdict.json` that a list needs.
#[derive(Deserialize)]
struct VerdictHead {
    verdict: Verdict,
    invariants: Vec<InvariantHead>,
}

#[derive(Deserialize)]
struct InvariantHead {
    id: String,
    verdict: Verdict,
}

#[derive(Deserialize)]
struct FormatHead {
    format: u32,
}

impl RunFolder {
    pub(super) fn new(path: PathBuf, id: String) -> Self {
        RunFolder { path, id }
    }

    /// The folder at `path`, if it is a run's.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let id = path.file_name()?.to_str()?.to_owned();
        let is_run = path.join("run.json").is_file() || path.join("history.kqh").is_file();
        is_run.then(|| RunFolder {
            path: path.to_path_buf(),
            id,
        })
    }

    pub(super) fn with_rooms(self) -> Result<Self, StoreError> {
        for room in [self.logs(), self.nodes()] {
            fs::create_dir(&room).map_err(StoreError::io("create", &room))?;
        }
        Ok(self)
    }

    /// The run's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plan as executed.
    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.toml")
    }

    /// The history.
    pub fn history(&self) -> PathBuf {
        self.path.join("history.kqh")
    }

    /// What the run was made of.
    pub fn run_json(&self) -> PathBuf {
        self.path.join("run.json")
    }

    /// The verdict.
    pub fn verdict_json(&self) -> PathBuf {
        self.path.join("verdict.json")
    }

    /// The verdict as JUnit XML.
    pub fn junit_xml(&self) -> PathBuf {
        self.path.join("junit.xml")
    }

    /// The report.
    pub fn report_html(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// The nodes' logs, one file per node.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// The nodes' data, one folder per node.
    pub fn nodes(&self) -> PathBuf {
        self.path.join("nodes")
    }

    /// What was collected while the run went on.
    pub fn evidence(&self) -> PathBuf {
        self.path.join("evidence")
    }

    fn evidence_json(&self) -> PathBuf {
        self.evidence().join("evidence.json")
    }

    /// What the audit of the disks came to, in numbers.
    pub fn audit_json(&self) -> PathBuf {
        self.path.join("audit.json")
    }

    /// Writes `evidence/evidence.json`, whole or not at all.
    pub fn write_evidence(&self, index: &EvidenceIndex) -> Result<(), StoreError> {
        write_whole(
            &self.evidence_json(),
            &to_json(&self.evidence_json(), index)?,
        )
    }

    /// Reads `evidence/evidence.json`; `None` if the run collected nothing.
    pub fn read_evidence(&self) -> Result<Option<EvidenceIndex>, StoreError> {
        if !self.evidence_json().exists() {
            return Ok(None);
        }
        let hint = "what was collected is there, and nothing says what it is";
        let text = self.read(&self.evidence_json(), "evidence/evidence.json", hint)?;
        parse(&self.evidence_json(), &text, EVIDENCE_FORMAT).map(Some)
    }

    /// Writes `audit.json`, whole or not at all.
    pub fn write_audit(&self, audit: &impl Serialize) -> Result<(), StoreError> {
        write_whole(&self.audit_json(), &to_json(&self.audit_json(), audit)?)
    }

    /// Writes `plan.toml`, whole or not at all.
    pub fn write_plan(&self, toml: &str) -> Result<(), StoreError> {
        write_whole(&self.plan(), toml.as_bytes())
    }

    /// Reads `plan.toml` as text.
    pub fn read_plan(&self) -> Result<String, StoreError> {
        self.read(
            &self.plan(),
            "plan.toml",
            "the run was cut off before its plan was saved",
        )
    }

    /// Writes `run.json`, whole or not at all.
    pub fn write_run(&self, run: &RunInfo) -> Result<(), StoreError> {
        write_whole(&self.run_json(), &to_json(&self.run_json(), run)?)
    }

    /// Reads `run.json`.
    pub fn read_run(&self) -> Result<RunInfo, StoreError> {
        let text = self.read(
            &self.run_json(),
            "run.json",
            "only the history is left; `keyquake check` can judge that",
        )?;
        parse(&self.run_json(), &text, RUN_FORMAT)
    }

    /// Writes `verdict.json`, whole or not at all.
    pub fn write_verdict(&self, judgement: &Judgement) -> Result<(), StoreError> {
        let file = VerdictFile {
            format: VERDICT_FORMAT,
            judgement,
        };
        write_whole(&self.verdict_json(), &to_json(&self.verdict_json(), &file)?)
    }

    /// Reads `verdict.json`.
    pub fn read_verdict(&self) -> Result<Judgement, StoreError> {
        parse(&self.verdict_json(), &self.verdict_text()?, VERDICT_FORMAT)
    }

    /// Writes `report.html` and `junit.xml`, each whole or not at all, and says
    /// where the report is.
    pub fn write_report(&self, report: &Report) -> Result<PathBuf, StoreError> {
        write_whole(&self.junit_xml(), report.junit.as_bytes())?;
        write_whole(&self.report_html(), report.html.as_bytes())?;
        Ok(self.report_html())
    }

    /// The run as a list shows it; what can't be read is said, not an error.
    pub(super) fn listed(&self) -> ListedRun {
        let mut trouble = None;
        let mut note = |error: StoreError| {
            trouble.get_or_insert(error.to_string());
        };
        let run = self.read_run().map_err(&mut note).ok();
        let head = match self.verdict_text() {
            Ok(text) => parse::<VerdictHead>(&self.verdict_json(), &text, VERDICT_FORMAT)
                .map_err(&mut note)
                .ok(),
            // Not judged (yet) is no trouble.
            Err(StoreError::Missing { .. }) => None,
            Err(error) => {
                note(error);
                None
            }
        };
        let violated = head.iter().flat_map(|head| &head.invariants);
        let violated = violated
            .filter(|one| one.verdict == Verdict::Violated)
            .map(|one| one.id.clone())
            .collect();
        ListedRun {
            id: self.id.clone(),
            path: self.path.clone(),
            verdict: head.map(|head| head.verdict),
            violated,
            run,
            trouble,
        }
    }

    fn verdict_text(&self) -> Result<String, StoreError> {
        let hint = "it was not judged (still running, or cut off); `keyquake check` judges it";
        self.read(&self.verdict_json(), "verdict.json", hint)
    }

    fn read(
        &self,
        path: &Path,
        file: &'static str,
        hint: &'static str,
    ) -> Result<String, StoreError> {
        fs::read_to_string(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::Missing {
                id: self.id.clone(),
                file,
                hint,
            },
            io::ErrorKind::InvalidData => StoreError::Malformed {
                path: path.to_path_buf(),
                reason: "it is not UTF-8 text".to_owned(),
            },
            _ => StoreError::io("read", path)(error),
        })
    }
}

fn to_json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| malformed(path, &error))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Parses a versioned JSON file: the version first, because a newer file may
/// have any shape beside it.
fn parse<T: DeserializeOwned>(path: &Path, text: &str, known: u32) -> Result<T, StoreError> {
    let head: FormatHead = serde_json::from_str(text).map_err(|error| malformed(path, &error))?;
    if head.format > known {
        return Err(StoreError::NewerFormat {
            path: path.to_path_buf(),
            found: head.format,
            known,
        });
    }
    serde_json::from_str(text).map_err(|error| malformed(path, &error))
}

fn malformed(path: &Path, error: &serde_json::Error) -> StoreError {
    StoreError::Malformed {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}
