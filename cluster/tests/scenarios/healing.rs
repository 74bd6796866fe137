//! What a killed suite leaves: nothing that lives; and what `heal` does about
//! the rest.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keyquake_cluster::NodeStatus;
use keyquake_cluster::journal::{Journal, NODE_VARIABLE, RUN_VARIABLE, Undo, heal};

use crate::stage::{Fixture, block_on, enter_namespace, launch_shell, part, until};

/// Tells whether a process is there and not merely waiting to be reaped.
fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// A suite of its own, to be killed: one of its nodes starts a daemon that
/// leaves the process group and would survive.
pub fn part_suite() {
    let kind = enter_namespace();
    block_on(async {
        let fixture = Fixture::new(
            &kind,
            3,
            launch_shell("setsid sleep 1000 & echo daemon $!; exec sleep 1001"),
        )
        .await;
        fixture.cluster.start_all().await.unwrap();
        for node in 0..3 {
            until("the daemon is there", || {
                fixture.log(node).contains("out daemon ")
            })
            .await;
            let NodeStatus::Running { pid } = fixture.cluster.status(node) else {
                panic!("not running")
            };
            println!("pid {pid}");
            println!(
                "namespace {}",
                fs::read_link(format!("/proc/{pid}/ns/net"))
                    .unwrap()
                    .display()
            );
            let log = fixture.log(node);
            let daemon = log.split("out daemon ").nth(1).unwrap();
            let daemon = daemon.lines().next().unwrap();
            // Before that it would share the fate of the group that it was forked in.
            until("the daemon has left its group", || {
                fs::read_to_string(format!("/proc/{daemon}/comm"))
                    .is_ok_and(|name| name.trim() == "sleep")
            })
            .await;
            println!("daemon {daemon}");
        }
        // Death reaches the stopped too.
        fixture.cluster.pause(2).await.unwrap();
        println!(
            "namespace {}",
            fs::read_link("/proc/self/ns/net").unwrap().display()
        );
        println!(
            "journal {}",
            fixture.journal.path().parent().unwrap().display()
        );
        println!("end");
        std::future::pending::<()>().await;
    });
}

/// Ends with the scenario, even if that fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn killed_suite() {
    let program = std::env::current_exe().unwrap();
    let place = tempfile::tempdir().unwrap();
    let suite = part(&program, "part_suite")
        .env("TMPDIR", place.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut suite = Ended(suite);
    let facts = BufReader::new(suite.0.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .take_while(|line| line != "end")
        .collect::<Vec<_>>();
    let all = |name: &str| {
        facts
            .iter()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .collect::<Vec<_>>()
    };
    let number = |text: &&str| text.parse::<u32>().unwrap();
    let (pids, daemons) = (
        all("pid").iter().map(number).collect::<Vec<_>>(),
        all("daemon").iter().map(number).collect::<Vec<_>>(),
    );
    let journal = Path::new(all("journal")[0]);
    assert_eq!(
        (pids.len(), daemons.len(), all("namespace").len()),
        (3, 3, 4),
        "{facts:?}"
    );

    let report = heal(journal, &[]).unwrap();
    assert_eq!(
        (report.live.len(), report.dead.len()),
        (1, 0),
        "a living run is left alone: {report}"
    );
    assert!(pids.iter().chain(&daemons).all(|&pid| lives(pid)));

    suite.0.kill().unwrap();
    assert_eq!(suite.0.wait().unwrap().signal(), Some(9));
    block_on(async {
        until("every node has died with it", || {
            pids.iter().all(|&pid| !lives(pid))
        })
        .await;
        let report = heal(journal, &[]).unwrap();
        assert!(
            report.is_clean() && report.dead.len() == 1 && report.dead[0].undone.len() == 3,
            "{report}"
        );
        until("the daemons are gone", || {
            daemons.iter().all(|&pid| !lives(pid))
        })
        .await;
        until("no namespace is held any more", || {
            all("namespace").iter().all(|namespace| !is_held(namespace))
        })
        .await;
    });
    assert_eq!(fs::read_dir(journal).unwrap().count(), 0);
    assert_eq!(heal(journal, &[]).unwrap().to_string(), "nothing to heal\n");
}

/// Whether any process or thread lives in a namespace or has it open.
fn is_held(namespace: &str) -> bool {
    let links = |path: String| {
        fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
    };
    links("/proc".into())
        .filter(|path| path.join("ns").exists())
        .any(|process| {
            let process = process.display();
            links(format!(
                "/proc/self/../{}/fd",
                process.to_string().trim_start_matches("/proc/")
            ))
            .chain(links(format!("{process}/task")).map(|task| task.join("ns/net")))
            .any(|link| fs::read_link(link).is_ok_and(|target| target.as_os_str() == namespace))
        })
}

/// A run that writes its journal and dies; its directory is the argument.
pub fn part_dead_run() {
    let dir = std::env::var("JOURNAL_DIR").unwrap();
    let journal = Journal::open(Path::new(&dir), "dead").unwrap();
    journal.record(Undo::Process { node: "n1".into() }).unwrap();
    let gone = journal.record(Undo::Process { node: "n2".into() }).unwrap();
    journal.done(gone).unwrap();
    println!("{}", journal.marker());
}

fn dead_run(dir: &Path) -> String {
    let program = std::env::current_exe().unwrap();
    let output = part(&program, "part_dead_run")
        .env("JOURNAL_DIR", dir)
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn marked_sleep(marker: &str, node: &str) -> Child {
    Command::new("sleep")
        .arg("1000")
        .env(RUN_VARIABLE, marker)
        .env(NODE_VARIABLE, node)
        .spawn()
        .unwrap()
}

fn reap(mut children: Vec<Child>) -> Vec<Option<i32>> {
    children
        .iter_mut()
        .map(|child| {
            let gone = child.try_wait().unwrap();
            if gone.is_none() {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            gone.and_then(|status| status.signal())
        })
        .collect()
}

pub fn orphan() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dead_run(dir.path());
    let alive = Journal::open(dir.path(), "alive").unwrap();
    let children = vec![
        marked_sleep(&marker, "n1"),
        // Paused ones can be killed as well.
        marked_sleep(&marker, "n1"),
        // Not written down as still there: not ours to judge.
        marked_sleep(&marker, "n2"),
        marked_sleep(alive.marker(), "n1"),
        marked_sleep(&format!("{marker}0"), "n1"),
    ];
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(children[1].id() as i32),
        nix::sys::signal::Signal::SIGSTOP,
    )
    .unwrap();
    let report = heal(dir.path(), &[]).unwrap();
    let endings = reap(children);
    assert_eq!(endings, [Some(9), Some(9), None, None, None], "{report}");
    assert_eq!(report.live, ["alive"]);
    assert_eq!(report.dead.len(), 1);
    assert_eq!(report.dead[0].run, "dead");
    assert!(
        report.dead[0]
            .undone
            .iter()
            .all(|line| line.contains("(sleep) of n1")),
        "{report}"
    );
    assert!(report.is_clean());
    let text = report.to_string();
    assert!(
        text.contains("run dead had died\n  undone: process ")
            && text.contains("run alive is alive: left alone"),
        "{text}"
    );
    alive.finish().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

pub fn broken_journals() {
    let dir = tempfile::tempdir().unwrap();
    assert!(heal(&dir.path().join("nowhere"), &[]).unwrap().is_empty());

    // A torn line: whatever carries the marker is undone.
    let marker = dead_run(dir.path());
    let path = dir.path().join("dead.jsonl");
    append(&path, "{\"undo\":{\"id\":7,\"wh");
    let report = block_on(async {
        let children = vec![marked_sleep(&marker, "n5")];
        tokio::time::timeout(
            Duration::from_secs(20),
            until("it runs under its own name", || {
                fs::read_to_string(format!("/proc/{}/comm", children[0].id()))
                    .is_ok_and(|name| name == "sleep\n")
            }),
        )
        .await
        .unwrap();
        let report = heal(dir.path(), &[]).unwrap();
        assert_eq!(reap(children), [Some(9)]);
        report
    });
    assert!(
        report.dead[0].notes[0].starts_with("line 5 can't be read"),
        "{report}"
    );
    assert!(report.is_clean() && !path.exists());

    // An undo of a later version: it stays, and is said.
    dead_run(dir.path());
    append(
        &path,
        "{\"undo\":{\"id\":7,\"what\":{\"kind\":\"mount\",\"path\":\"/x\"}}}\n",
    );
    let report = heal(dir.path(), &[]).unwrap();
    assert!(!report.is_clean() && path.exists());
    assert!(
        report
            .to_string()
            .contains("NOT undone: {\"undo\":{\"id\":7")
            && report.to_string().contains("version"),
        "{report}"
    );
    fs::remove_file(&path).unwrap();

    // No owner: nobody knows whether it lives.
    fs::write(&path, "hello\n").unwrap();
    let report = heal(dir.path(), &[]).unwrap();
    assert!(
        report.left_alone[0].contains("doesn't name an owner in format 1"),
        "{report}"
    );
    assert!(path.exists() && !report.is_clean());

    // A journal that never got its name.
    fs::remove_file(&path).unwrap();
    fs::write(dir.path().join(".young.4999999.new"), "").unwrap();
    assert!(heal(dir.path(), &[]).unwrap().is_empty());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

fn append(path: &Path, text: &str) {
    fs::OpenOptions::new()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}
