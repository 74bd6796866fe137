//! Control groups: less processor time, less memory, and nothing left of them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keyquake_cluster::journal::{Journal, Undo, heal};
use keyquake_cluster::{Ending, Groups, NodeStatus};

use crate::stage::{Fixture, block_on, enter_namespace, launch_part, part, until};

const MEMORY: u64 = 64 << 20;

/// Counts as fast as it can.
pub fn part_busy() {
    let mut count: u64 = 0;
    loop {
        count = std::hint::black_box(count + 1);
        if count.is_multiple_of(1_000_000) {
            println!("{count}");
        }
    }
}

/// Takes memory for ever, a mebibyte at a time.
pub fn part_greedy() {
    println!("up");
    std::io::stdout().flush().unwrap();
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        taken.push(vec![taken.len() as u8 | 1; 1 << 20]);
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether this actor can have groups; who can't is told why.
fn to_be_had() -> bool {
    match Groups::possible() {
        Ok(()) => true,
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains("control groups") || error.contains("failed to write to"));
            assert!(!nix::unistd::geteuid().is_root(), "{error}");
            false
        }
    }
}

/// The group folders that the kernel shows for a process, by controller.
fn groups_of(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap()
}

pub fn processor() {
    let kind = enter_namespace();
    if !to_be_had() {
        return;
    }
    block_on(async {
        let fixture = Fixture::grouped(&kind, 1, launch_part("part_busy")).await;
        let pid = fixture.cluster.start(0).await.unwrap();
        let own = format!("/keyquake-{}/n1", fixture.journal.marker());
        assert!(groups_of(pid).contains(&own), "{}", groups_of(pid));
        let free = work(&fixture).await;
        let cluster = &fixture.cluster;
        assert_eq!(cluster.allowance(0).await.unwrap().throttled, 0);
        let read = cluster.limit_cpu(0, Some(0.05)).await.unwrap();
        assert_eq!(read, Some(0.05));
        let slow = work(&fixture).await;
        let seen = cluster.allowance(0).await.unwrap();
        assert!(seen.throttled > 0 && seen.cores == Some(0.05), "{seen:?}");
        // It is the node's, not the process's.
        cluster.kill(0).await.unwrap();
        cluster.start(0).await.unwrap();
        assert_eq!(cluster.allowance(0).await.unwrap().cores, Some(0.05));
        assert_eq!(cluster.limit_cpu(0, None).await.unwrap(), None);
        let lifted = work(&fixture).await;
        println!("free {free}, slow {slow}, lifted {lifted}");
        assert!(slow < free / 2 && slow < lifted / 2);
        fixture.end().await;
    });
}

/// How many millions the node counts in half a second.
async fn work(fixture: &Fixture) -> usize {
    tokio::time::sleep(Duration::from_millis(200)).await;
    let count = || fixture.log(0).matches(" out ").count();
    let before = count();
    tokio::time::sleep(Duration::from_millis(500)).await;
    count() - before
}

pub fn memory() {
    let kind = enter_namespace();
    if !to_be_had() {
        return;
    }
    block_on(async {
        let fixture = Fixture::grouped(&kind, 1, launch_part("part_greedy")).await;
        let cluster = &fixture.cluster;
        cluster.start(0).await.unwrap();
        let read = cluster.limit_memory(0, Some(MEMORY)).await.unwrap();
        assert_eq!(read, Some(MEMORY));
        assert_eq!(cluster.wait_exit(0).await.unwrap(), Ending::OutOfMemory);
        assert!(fixture.log(0).contains("out of memory"));
        let seen = cluster.allowance(0).await.unwrap();
        assert!(seen.reached > 0 && seen.memory == Some(MEMORY), "{seen:?}");
        assert_eq!(cluster.limit_memory(0, None).await.unwrap(), None);
        cluster.start(0).await.unwrap();
        until("it has more than it was allowed", || {
            let NodeStatus::Running { pid } = cluster.status(0) else {
                panic!("it is {}", cluster.status(0));
            };
            let status = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
            let resident: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
            resident * 4096 > MEMORY
        })
        .await;
        // Our own SIGKILL is not taken for the kernel's.
        assert_eq!(cluster.kill(0).await.unwrap(), Ending::Signal(9));
        fixture.end().await;
    });
}

/// A node without a group can't be limited, and says so.
pub fn no_groups() {
    let kind = enter_namespace();
    block_on(async {
        let fixture = Fixture::new(&kind, 1, launch_part("part_greedy")).await;
        let error = fixture.cluster.limit_cpu(0, Some(0.1)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "n1 can't be limited: it has no control group of its own"
        );
        fixture.end().await;
    });
}

/// A suite that dies while its node is limited.
pub fn part_grouped_suite() {
    let kind = enter_namespace();
    block_on(async {
        let fixture = Fixture::grouped(&kind, 2, launch_part("part_busy")).await;
        fixture.cluster.start_all().await.unwrap();
        fixture.cluster.limit_cpu(0, Some(0.1)).await.unwrap();
        println!("{}", fixture.journal.path().parent().unwrap().display());
        println!("{}", fixture.journal.marker());
        let text = fs::read_to_string(fixture.journal.path()).unwrap();
        for line in text.lines().filter(|line| line.contains("cgroup")) {
            let path = line.split("\"path\":\"").nth(1).unwrap();
            println!("{}", path.split('"').next().unwrap());
        }
        // Its journal must outlive it.
        std::mem::forget(fixture);
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
    });
}

pub fn killed_suite() {
    if !to_be_had() {
        return;
    }
    let program = std::env::current_exe().unwrap();
    let output = part(&program, "part_grouped_suite").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let mut lines = said.lines();
    let journal = Path::new(lines.next().unwrap()).to_owned();
    let marker = lines.next().unwrap().to_owned();
    let groups: Vec<_> = lines.map(Path::new).collect();
    assert!(!groups.is_empty(), "{said}");
    for group in &groups {
        assert!(group.join("n2").is_dir(), "{}", group.display());
    }
    let report = heal(&journal, &[]).unwrap();
    assert!(report.is_clean(), "{report}");
    let undone = report.dead[0].undone.join("\n");
    assert!(undone.contains(&format!("keyquake-{marker}")), "{undone}");
    assert!(groups.iter().all(|group| !group.exists()));
    fs::remove_dir_all(journal.parent().unwrap()).unwrap();
}

/// A journal that names somebody else's folder does no harm.
pub fn strangers() {
    let dir = tempfile::tempdir().unwrap();
    let stranger = dir.path().join("keyquake-somebody");
    fs::create_dir(&stranger).unwrap();
    let program = std::env::current_exe().unwrap();
    let mut dead = part(&program, "part_stranger_run");
    dead.env("KEYQUAKE_TEST_DIR", dir.path());
    assert!(dead.status().unwrap().success());
    let report = heal(&dir.path().join("journal"), &[]).unwrap();
    assert!(!report.is_clean());
    let failed = report.dead[0].failed.join("\n");
    assert!(failed.contains("not named after the run"), "{failed}");
    assert!(stranger.is_dir());
}

pub fn part_stranger_run() {
    let dir = std::env::var("KEYQUAKE_TEST_DIR").unwrap();
    let dir = Path::new(&dir);
    let journal = Arc::new(Journal::open(&dir.join("journal"), "test").unwrap());
    let path = dir.join("keyquake-somebody");
    journal.record(Undo::Cgroup { path }).unwrap();
}
