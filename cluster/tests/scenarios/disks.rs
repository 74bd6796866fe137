//! Disks of a given size: full, and room again; and nothing left of them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use keyquake_cluster::journal::{Journal, heal};
use keyquake_cluster::{Disks, NetworkMode, OnDisk, enter_own_mounts, enter_own_network};

use crate::stage::{Fixture, block_on, launch_shell, open_tempdir, part, until};

const SIZE: u64 = 4 << 20;

fn enter() {
    enter_own_network(NetworkMode::Loopback).unwrap();
    enter_own_mounts().unwrap();
}

fn on_disk(dir: &Path) -> Vec<OnDisk> {
    let node = |name: &str| OnDisk {
        node: name.into(),
        data: dir.join("nodes").join(name),
        keys: dir.join("nodes").join(format!("{name}.keys")),
    };
    ["n1", "n2"].map(node).into()
}

fn mounted_in(dir: &Path) -> usize {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.matches(&*dir.to_string_lossy()).count()
}

pub fn full() {
    enter();
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(&dir.path().join("journal"), "test").unwrap();
    let disks = Disks::make(&journal, dir.path(), on_disk(dir.path()), SIZE).unwrap();
    let write = |name: &str| fs::write(dir.path().join("nodes").join(name), [7; 8192]);
    let disk = disks.of(0).unwrap();
    assert!(!disk.is_used() && disks.of(2).is_none());
    write("n1/data").unwrap();
    assert!(disk.is_used());
    let full = disk.fill().unwrap();
    assert!(full.ballast > SIZE / 2 && full.ballast < SIZE, "{full:?}");
    for name in ["n1/more", "n1.keys/sidecar"] {
        assert_eq!(write(name).unwrap_err().kind(), ErrorKind::StorageFull);
    }
    write("n2/data").unwrap();
    assert_eq!(disk.still_full(full.ballast).unwrap().added, 0);
    // What the node gives back is taken.
    fs::remove_file(dir.path().join("nodes/n1/data")).unwrap();
    let fuller = disk.still_full(full.ballast).unwrap();
    assert!(fuller.added >= 8192, "{fuller:?}");
    // What somebody else takes away is noticed.
    let ballast = dir.path().join("disks/n1/ballast");
    fs::write(&ballast, [0; 100]).unwrap();
    let error = disk.still_full(fuller.ballast).unwrap_err().to_string();
    assert!(error.contains("has 100 bytes of ballast left"), "{error}");
    disk.relieve().unwrap();
    write("n1/more").unwrap();
    disks.clear(&journal).unwrap();
    journal.finish().unwrap();
}

pub fn copied_back() {
    enter();
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(&dir.path().join("journal"), "test").unwrap();
    let disks = Disks::make(&journal, dir.path(), on_disk(dir.path()), SIZE).unwrap();
    assert_eq!(mounted_in(dir.path()), 6);
    let data = dir.path().join("nodes/n1");
    fs::create_dir_all(data.join("raft/wal")).unwrap();
    fs::write(data.join("raft/wal/1"), "entry").unwrap();
    fs::write(dir.path().join("nodes/n1.keys/sidecar.json"), "{}").unwrap();
    disks.clear(&journal).unwrap();
    disks.clear(&journal).unwrap();
    assert_eq!(mounted_in(dir.path()), 0);
    let read = |name: &str| fs::read_to_string(dir.path().join("nodes").join(name)).unwrap();
    assert_eq!(read("n1/raft/wal/1"), "entry");
    assert_eq!(read("n1.keys/sidecar.json"), "{}");
    assert!(!dir.path().join("nodes/n2.keys").exists());
    assert!(!dir.path().join("disks").exists());
    journal.finish().unwrap();
}

/// A node keeps its data on its disk without knowing.
pub fn node() {
    let kind = enter_own_network(NetworkMode::Loopback).unwrap();
    enter_own_mounts().unwrap();
    block_on(async {
        let launch =
            launch_shell("echo hello > $KEYQUAKE_TEST_DATA/notes; echo up; exec sleep 1000");
        let fixture = Fixture::on_disks(&kind, 1, launch, SIZE).await;
        fixture.cluster.start(0).await.unwrap();
        until("it is up", || fixture.log(0).contains("out up")).await;
        assert!(fixture.cluster.disk(0).unwrap().is_used());
        let kept = fixture.dir.path().join("disks/n1/data/notes");
        assert_eq!(fs::read_to_string(kept).unwrap(), "hello\n");
        fixture.end().await;
    });
}

/// A suite that mounts where everybody sees it, as one on Docker does, and dies.
pub fn part_disk_suite() {
    let dir = PathBuf::from(std::env::var("KEYQUAKE_TEST_DIR").unwrap());
    let journal = Journal::open(&dir.join("journal"), "test").unwrap();
    let disks = Disks::make(&journal, &dir, on_disk(&dir), SIZE).unwrap();
    std::mem::forget(disks);
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
}

pub fn killed_suite() {
    // Only root mounts where others see it.
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let dir = open_tempdir();
    let program = std::env::current_exe().unwrap();
    let mut suite = part(&program, "part_disk_suite");
    suite.env("KEYQUAKE_TEST_DIR", dir.path());
    assert!(!suite.status().unwrap().success());
    assert_eq!(mounted_in(dir.path()), 6);
    let report = heal(&dir.path().join("journal"), &[]).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.dead[0].undone.len(), 6, "{report}");
    assert_eq!(mounted_in(dir.path()), 0);
    assert!(!dir.path().join("disks").exists());
}

/// Who may not mount is told what it takes.
pub fn refused() {
    if nix::unistd::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(&dir.path().join("journal"), "test").unwrap();
    let made = Disks::make(&journal, dir.path(), on_disk(dir.path()), SIZE);
    let error = made.err().unwrap().to_string();
    assert!(
        error.contains("failed to mount") && error.contains("it takes root"),
        "{error}"
    );
    assert!(!dir.path().join("disks").exists());
    journal.finish().unwrap();
}
