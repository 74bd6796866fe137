//! Every row of the tables of mixed versions and startup guards is a plan: it passes on the clean
//! store, and with the seeded bug of that row switched on it fails, by that row's invariant.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::support::{Scene, verdict_of};

/// Plans that run side by side: they wait far more than they compute.
const SIDE_BY_SIDE: usize = 3;

/// A plan, or a plan with a bug of its row and the invariant that it breaks.
pub type Case = (&'static str, Option<(&'static str, &'static str)>);

/// Of each plan: the bugs that it has to find, with the invariant that each breaks.
const ROWS: [(&str, &[(&str, &str)]); 22] = [
    ("only-6a", &[("6a-proposes", "ROL-6A-INERT")]),
    (
        "6a-and-6b-without-flag",
        &[("gate-two-of-three", "ROL-GATE")],
    ),
    (
        "6a-and-6b-leader",
        &[
            ("6a-skips", "ROL-HALT"),
            ("halt-advances", "ROL-HALT"),
            ("halted-serves", "ROL-HALT"),
        ],
    ),
    ("6a-halts-again", &[("halt-advances", "ROL-HALT")]),
    ("6a-recovers-on-6b", &[("halt-leaves-mark", "ROL-RECOVER")]),
    (
        "one-without-flag",
        &[("capable-without-flag", "ROL-CAPABLE")],
    ),
    (
        "one-not-to-be-asked",
        &[("capability-trusts-silence", "ROL-CAPABLE")],
    ),
    (
        "learner-without-flag",
        &[("capability-forgets-learners", "ROL-CAPABLE")],
    ),
    (
        "flag-off-in-phase-1",
        &[("starts-without-flag", "ROL-DOWNGRADE")],
    ),
    ("newcomer-in-phase-1", &[("adds-incapable", "ROL-MEMBER")]),
    (
        "barrier-under-load",
        &[
            ("barrier-loses-write", "ROL-BARRIER"),
            ("barrier-stays-shut", "ROL-BARRIER"),
        ],
    ),
    ("guard-no-flag", &[("starts-without-flag", "ROL-REFUSE")]),
    ("guard-no-kek", &[("starts-without-kek", "ROL-REFUSE")]),
    ("guard-foreign-kek", &[("guard-skips-kek", "ROL-REFUSE")]),
    ("guard-behind-log", &[("guard-repairs", "ROL-REFUSE")]),
    ("guard-no-sync", &[("starts-without-sync", "ROL-REFUSE")]),
    (
        "guard-epochs-used-up",
        &[("starts-exhausted", "ROL-REFUSE")],
    ),
    (
        "guard-older-epoch",
        &[
            ("starts-with-old-epoch", "ROL-REFUSE"),
            ("guard-consumes-epoch", "ROL-REFUSE"),
        ],
    ),
    (
        "guard-other-cutover",
        &[("starts-on-other-cutover", "ROL-REFUSE")],
    ),
    // Whom the start's own guard would refuse is refused before as a member, and at the bootstrap.
    ("guard-shared-id", &[]),
    ("guard-wide-epoch", &[("epoch-truncated", "ROL-REFUSE")]),
    (
        "guard-raft-before-bootstrap",
        &[("cuts-over-without-keys", "ROL-REFUSE")],
    ),
];

fn plan_of(name: &str) -> PathBuf {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plans/rollout");
    plans.join(format!("{name}.toml"))
}

/// All plans, and all plans with each bug of their rows.
pub fn cases() -> Vec<Case> {
    let of_row = |&(name, bugs): &(&'static str, &'static [(&'static str, &'static str)])| {
        let bugs = bugs.iter().map(move |&bug| (name, Some(bug)));
        std::iter::once((name, None)).chain(bugs)
    };
    ROWS.iter().flat_map(of_row).collect()
}

/// Runs a plan, with a bug if one is named; gives what is wrong with what came of it.
fn run(scene: &Scene, (name, bug): Case, runtime: &str) -> Result<(), String> {
    let root = scene
        .dir
        .path()
        .join(format!("{name}-{}", bug.map_or("clean", |bug| bug.0)));
    let text = std::fs::read_to_string(plan_of(name)).expect("the plan is there");
    let text = match bug {
        Some((bug, _)) => text.replace("[cluster]\n", &format!("[cluster]\nbugs = [\"{bug}\"]\n")),
        None => text,
    };
    std::fs::create_dir_all(&root).expect("a folder");
    let plan = root.join("plan.toml");
    std::fs::write(&plan, text).expect("the plan is written");
    let plan = plan.display().to_string();
    let words = ["run", "--plan", &plan, "--json", "--runtime", runtime];
    let mut command = scene.keyquake(&words);
    let output = command
        .env("KEYQUAKE_RESULTS", root.join("runs"))
        .output()
        .expect("it starts");
    let code = output.status.code().unwrap_or(-1);
    // What a scene of many runs holds would be gigabytes of databases.
    let _ = std::fs::remove_dir_all(root.join("runs"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let wrong = |what: String| Err(format!("{name}: {what}\n{told}"));
    match bug {
        None if code == 0 => Ok(()),
        None => wrong(format!("ends with {code} on the clean store")),
        Some((bug, invariant)) if code == 1 => {
            let judgement = serde_json::from_slice(&output.stdout).expect("a judgement");
            match verdict_of(&judgement, invariant) {
                "violated" => Ok(()),
                verdict => wrong(format!("with {bug}, {invariant} is {verdict}")),
            }
        }
        Some((bug, _)) => wrong(format!("ends with {code} with {bug}")),
    }
}

#[test]
fn every_row_passes_clean_and_finds_its_bug() {
    as_they_must(cases(), "process");
}

/// Runs these, some side by side, and all come to what they must.
pub fn as_they_must(cases: Vec<Case>, runtime: &str) {
    let scene = Scene::new();
    let runs = Mutex::new(cases.into_iter());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for _ in 0..SIDE_BY_SIDE {
            threads.spawn(|| {
                loop {
                    let next = runs.lock().expect("nobody panics with it").next();
                    let Some(case) = next else { return };
                    let mut came = run(&scene, case, runtime);
                    // Whether a bug shows may depend on what it meets; a clean run has one try.
                    if came.is_err() && case.1.is_some() {
                        came = run(&scene, case, runtime);
                    }
                    if let Err(failure) = came {
                        failures
                            .lock()
                            .expect("nobody panics with it")
                            .push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("nobody panics with it");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// A plan that no row names would be run by nobody.
#[test]
fn every_plan_has_its_row() {
    let folder = plan_of("x");
    let folder = folder.parent().expect("a folder");
    let mut plans: Vec<_> = std::fs::read_dir(folder)
        .expect("the plans")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    plans.sort();
    let mut rows = ROWS.map(|(name, _)| name.to_owned()).to_vec();
    rows.sort();
    assert_eq!(plans, rows);
}
