//! What a dead suite leaves, and that it is undone.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use keyquake_cluster::journal::{HealReport, Undo, heal};
use keyquake_docker::{ContainerUndoer, Containers, Engine, Images};

use crate::parts::PART;
use crate::stage::{Fixture, block_on, open_journal, own, run_in};

const LEFT: &str = "MARKER ";

/// A suite with two nodes that waits to be killed.
pub fn part_suite() {
    block_on(async {
        let fixture = Fixture::new(2, "idle").await;
        fixture.start(0).await;
        fixture.start(1).await;
        println!("{}", fixture.path("").display());
        println!("{LEFT}{}", fixture.journal.marker());
        std::future::pending::<()>().await;
    });
}

fn heal_in(dir: &std::path::Path) -> HealReport {
    heal(&dir.join("journal"), &[&ContainerUndoer]).unwrap()
}

pub fn killed_suite() {
    let mut suite = Command::new(std::env::current_exe().unwrap())
        .env(PART, "suite")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(suite.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let folder = std::path::PathBuf::from(lines.next().unwrap());
    let marker = lines.find_map(|line| line.strip_prefix(LEFT).map(str::to_owned));
    let marker = marker.unwrap();

    let alive = heal_in(&folder);
    assert_eq!(alive.live, ["test1"], "a run that lives is left alone");
    suite.kill().unwrap();
    suite.wait().unwrap();
    block_on(async {
        let engine = Engine::find().await.unwrap();
        // Two pauses, two nodes and a network outlive their suite.
        assert_eq!(engine.of_run(&marker).await.unwrap().len(), 5);
    });
    let report = heal_in(&folder);
    assert!(report.is_clean(), "{report}");
    // The five, and the agents' sockets.
    assert_eq!(report.dead[0].undone.len(), 6, "{report}");
    block_on(async {
        let engine = Engine::find().await.unwrap();
        let left = engine.of_run(&marker).await.unwrap();
        assert_eq!(left, [] as [String; 0]);
    });
    assert!(!folder.join("agents").exists());
    assert!(heal_in(&folder).is_empty(), "there is nothing to do again");
    fs::remove_dir_all(&folder).unwrap();
}

/// What the engine was asked for by a suite that is dead by then.
pub fn late() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_journal(dir.path());
    // The same run, to others: written by a process that has ended.
    let dead = dir.path().join("dead/journal");
    fs::create_dir_all(&dead).unwrap();
    block_on(async {
        let engine = Engine::find().await.unwrap();
        journal
            .record(Undo::Containers {
                engine: engine.endpoint().to_owned(),
                sockets: dir.path().join("dead/agents"),
            })
            .unwrap();
        let text = fs::read_to_string(journal.path()).unwrap();
        let text = text.replacen("\"started\":", "\"started\":1", 1);
        fs::write(dead.join("dead.jsonl"), text).unwrap();
        let images = Images::prepare(&engine, &own()).await.unwrap();
        let run = run_in(dir.path(), &engine, 2).await;
        let containers = Containers::of(engine.clone(), &run, journal.clone());
        let folder = dir.path().join("dead");
        let healing = tokio::task::spawn_blocking(move || heal_in(&folder));
        tokio::time::sleep(Duration::from_millis(700)).await;
        // It is not told that all of it is being taken away.
        let _ = containers.raise(images, &run).await;
        let report = healing.await.unwrap();
        assert!(report.is_clean(), "{report}");
        let undone = report.dead[0].undone.join("\n");
        assert!(undone.contains("network "), "{undone}");
        let left = engine.of_run(journal.marker()).await.unwrap();
        assert_eq!(left, [] as [String; 0]);
        containers.clear().await.unwrap();
    });
}

pub fn cut_short() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::find().await.unwrap();
        let images = Images::prepare(&engine, &own()).await.unwrap();
        for pause_ms in [0, 20, 100, 200, 300] {
            let run = run_in(dir.path(), &engine, 2).await;
            let journal = open_journal(dir.path());
            let containers = Containers::of(engine.clone(), &run, journal.clone());
            let raise = containers.raise(images.clone(), &run);
            let limit = Duration::from_millis(pause_ms);
            // Dropped in the middle, as on Ctrl-C.
            let _ = tokio::time::timeout(limit, raise).await;
            containers.clear().await.unwrap();
            journal.finish().unwrap();
            let left = engine.of_run(journal.marker()).await.unwrap();
            assert_eq!(left, [] as [String; 0], "after {pause_ms} ms");
        }
    });
}

pub fn no_engine() {
    // Written by a process that has ended, as far as anybody can see: it began at another time.
    let dir = tempfile::tempdir().unwrap();
    let journal = open_journal(dir.path());
    let endpoint = format!("unix://{}/none.sock", dir.path().display());
    journal
        .record(Undo::Containers {
            engine: endpoint.clone(),
            sockets: dir.path().join("agents"),
        })
        .unwrap();
    let path = journal.path().to_owned();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"started\":", "\"started\":1", 1)).unwrap();

    let report = heal_in(dir.path());
    assert!(!report.is_clean());
    let said = report.dead[0].failed.join("\n");
    assert!(
        said.contains(&endpoint) && said.contains("no Docker daemon answers"),
        "{said}"
    );
    assert!(path.exists(), "what is not undone stays written down");
}
