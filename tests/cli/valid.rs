//! The clean store passes, and a run leaves what the book promises.

use crate::support::{Scene, leftovers, verdict_of};

#[test]
fn the_main_job_ends_valid_and_leaves_a_whole_run_folder() {
    let scene = Scene::new();
    let said = scene.say(&["run", "--seed", "3", "--time", "12s", "--json"]);
    assert_eq!(said.code, 0);
    let judgement = said.json();
    assert_eq!(judgement["verdict"], "valid");
    // ERR is judged only where an operation was answered with a definite error.
    for id in [
        "LIN",
        "SSER",
        "DUR",
        "AVAIL",
        "SELF-HISTORY",
        "SELF-NONEMPTY",
        "ROL-RESTART",
    ] {
        assert_eq!(verdict_of(&judgement, id), "valid", "{id}");
    }
    let folder = scene.run_folder();
    for file in [
        "plan.toml",
        "history.kqh",
        "run.json",
        "verdict.json",
        "junit.xml",
        "report.html",
        "logs/n1.log",
    ] {
        let size = std::fs::metadata(folder.join(file))
            .unwrap_or_else(|_| panic!("{file} is there"))
            .len();
        assert!(size > 0, "{file} is not empty");
    }
    assert_eq!(leftovers(scene.dir.path()), [] as [String; 0]);
    let journals = std::fs::read_dir(scene.dir.path().join("runs/.journal"))
        .expect("the journal's folder")
        .count();
    assert_eq!(journals, 0, "a clean end leaves no heal journal");
}

#[test]
fn a_saved_plan_runs_again() {
    let scene = Scene::new();
    let plan = scene.say(&["plan", "--seed", "5", "--time", "8s"]);
    assert_eq!(plan.code, 0);
    let again = scene.say(&["plan", "--seed", "5", "--time", "8s"]);
    assert_eq!(
        plan.stdout, again.stdout,
        "a seed draws the same plan every time"
    );
    let file = scene.file("plan.toml", &plan.stdout);
    let said = scene.say(&["run", "--plan", &file]);
    assert_eq!(said.code, 0);
    let executed = std::fs::read_to_string(scene.run_folder().join("plan.toml"))
        .expect("the plan as executed");
    assert_eq!(executed, plan.stdout);
}

#[test]
fn every_protocol_target_and_release_works() {
    let scene = Scene::new();
    let shapes: [&[&str]; 3] = [
        &[
            "--workload",
            "register",
            "--protocol",
            "grpc",
            "--target",
            "leader",
            "--release",
            "6a",
        ],
        &[
            "--workload",
            "register",
            "--cas",
            "--target",
            "each",
            "--release",
            "n1=5d,n2=6b,n3=6f",
        ],
        &[
            "--network",
            "loopback",
            "--faults",
            "kill,pause",
            "--nodes",
            "5",
        ],
    ];
    for shape in shapes {
        let words = [&["run", "--seed", "1", "--time", "6s"], shape].concat();
        assert_eq!(scene.say(&words).code, 0, "{shape:?}");
    }
}

#[test]
fn twenty_seeds_in_a_row_are_valid() {
    if std::env::var_os("KEYQUAKE_SLOW").is_none() {
        println!("skipped: twenty runs of 30 s; ./test --slow runs them");
        return;
    }
    for seed in 1..=20 {
        let scene = Scene::new();
        assert_eq!(
            scene.say(&["run", "--seed", &seed.to_string()]).code,
            0,
            "seed {seed}"
        );
    }
}
