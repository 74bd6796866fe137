//! Starting: what is refused, what is said, and the log entry no release may pass.

use std::error::Error;

use crate::cluster::Cluster;
use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use protobuf::Message as _;
use raft::eraftpb::Entry;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_command_line_is_refused_with_a_reason() {
    for (args, code, wanted) in [
        (&["--raftId", ""][..], 1, "flag --raftId is required"),
        (&["--nope"], 2, "--nope"),
        (
            &["--bug", "nope"],
            2,
            "stale-read, lost-write, double-apply",
        ),
        (&["--release", "7a"], 2, "5d, 6a, 6b, 6c, 6d, 6e, 6f"),
        (&[], 1, "etcd raft refuses to self-bootstrap"),
        (
            &["--raftBootstrapMembers", "n1=1.2.3.4:5"],
            1,
            "must contain this node as n1=",
        ),
        (
            &["--raftBootstrapMembers", "n1"],
            1,
            "not of the form id=host:port",
        ),
        (
            &["--raftJoinAsLearner"],
            1,
            "--raftJoinAsLearner needs --raftJoinMembers",
        ),
        (&["--raftEngine", "hashicorp"], 1, "only etcd is known"),
    ] {
        let mut cluster = Cluster::new(1);
        cluster.start_with(0, args);
        assert_eq!(cluster.exit_code(0).await, Some(code), "{args:?}");
        let log = cluster.log(0);
        assert!(log.contains(wanted), "{args:?}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_one_clear_line() -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster::new(1);
    let taken = std::net::TcpListener::bind(cluster.grpc(0))?;
    cluster.start(0);
    assert_eq!(cluster.exit_code(0).await, Some(1));
    let log = cluster.log(0);
    let errors: Vec<_> = log.lines().filter(|l| l.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "{log}");
    assert!(
        errors[0].contains(&cluster.grpc(0)) && errors[0].contains("--address"),
        "{log}"
    );
    assert!(
        !cluster.data_dir(0).exists(),
        "nothing is written before the port is had"
    );
    drop(taken);
    cluster.start(0);
    cluster.leader().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_flag_of_elastickv_is_taken_and_every_release_starts() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let kek = dir.path().join("kek");
    std::fs::write(&kek, [7; 32]).expect("a KEK");
    std::fs::set_permissions(&kek, PermissionsExt::from_mode(0o600)).expect("a mode");
    let kek = kek.display().to_string();
    let sidecar = format!("--encryptionSidecarPath={}/keys.json", dir.path().display());
    for release in ["5d", "6a", "6b", "6c", "6d", "6e", "6f"] {
        let mut cluster = Cluster::new(1);
        let list = cluster.member_list(1);
        cluster.start_with(
            0,
            &[
                "-raftBootstrapMembers",
                &list,
                "--s3Address=",
                "--sqsAddress",
                "127.0.0.1:1",
                "--metricsAddress=127.0.0.1:2",
                "--pprofAddress",
                "",
                "--raftRedisMap",
                "a=b",
                "--raftDynamoMap",
                "a=b",
                "--raftS3Map",
                "a=b",
                "--raftSqsMap",
                "a=b",
                "--encryption-enabled",
                "--kekFile",
                &kek,
                &sidecar,
                "--encryption-rotate-on-startup=false",
                "--leaderBalanceEnabled=false",
                "-adminEnabled",
                "--release",
                release,
            ],
        );
        cluster.leader().await;
        let log = cluster.log(0);
        assert!(log.contains(&format!("release={release}")), "{log}");
        let said = log.lines().filter(|l| l.contains("without effect")).count();
        assert_eq!(said, 1, "{log}");
        assert!(
            !log.contains("kekFile") && log.contains("pprofAddress"),
            "{log}"
        );
    }
}

/// Appends an entry of a later release to a stopped node's log, as its disk format says.
fn append_reserved(cluster: &Cluster, opcode: u8) -> Result<u64, Box<dyn Error>> {
    let generation = std::fs::read_dir(cluster.data_dir(0).join("wal"))?
        .next()
        .ok_or("no log")??;
    let database = Database::builder(generation.path()).open()?;
    let rows = database.keyspace("main", KeyspaceCreateOptions::default)?;
    let last = rows
        .range([b'e'].to_vec()..[b'f'].to_vec())
        .next_back()
        .ok_or("an empty log")?
        .value()?;
    let mut entry = Entry::parse_from_bytes(&last)?;
    entry.index += 1;
    entry.data = [&[1_u8; 9][..], &[opcode, 1, 2, 3]].concat().into();
    let key = [&b"e"[..], &entry.index.to_be_bytes()].concat();
    rows.insert(key, entry.write_to_bytes()?)?;
    database.persist(PersistMode::SyncAll)?;
    Ok(entry.index)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reserved_entry_halts_and_halts_again() -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster::started(1).await;
    cluster.put(0, "k", "v").await?;
    cluster.kill(0);
    let index = append_reserved(&cluster, 0x05)?;
    for life in 1..=2 {
        cluster.start(0);
        assert_eq!(cluster.exit_code(0).await, Some(1));
        let log = cluster.log(0);
        for wanted in [
            "encryption FSM apply requested halt; not advancing setApplied",
            "etcd raft engine shutting down due to error",
            "failed to serve: raft group 1 engine stopped: encryption: FSM apply failed; halting apply",
        ] {
            assert_eq!(log.matches(wanted).count(), life, "{log}");
        }
        assert!(log.contains(&format!("entry_index={index}")), "{log}");
    }
    Ok(())
}
