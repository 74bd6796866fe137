//! The encryption administration of a node that is not set up for encryption: it answers
//! questions and refuses changes, and nothing that it refuses reaches the log.

use elastickv_wire::encryption_admin_client::EncryptionAdminClient;
use elastickv_wire::{
    BootstrapEncryptionRequest, Empty, EnableRaftEnvelopeRequest, EnableStorageEnvelopeRequest,
    RegisterEncryptionWriterRequest, ResyncSidecarRequest, RotateDekRequest, WriterRegistryEntry,
};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::cluster::Cluster;

type Admin = EncryptionAdminClient<Channel>;

async fn admin(cluster: &Cluster, node: usize) -> Admin {
    EncryptionAdminClient::new(cluster.patiently(node).await)
}

/// Every mutator with arguments that a store which encrypts would take.
async fn mutations(admin: &mut Admin) -> Vec<(&'static str, Status)> {
    let wrapped = bytes::Bytes::from(vec![7; 60]);
    let writer = WriterRegistryEntry {
        full_node_id: 0x08b3_7b07_b558_d4c0,
        local_epoch: 0,
    };
    let bootstrap = BootstrapEncryptionRequest {
        wrapped_storage_dek: wrapped.clone(),
        wrapped_raft_dek: wrapped.clone(),
        storage_dek_id: 1,
        raft_dek_id: 2,
        writer_batch: vec![writer],
    };
    let rotate = RotateDekRequest {
        purpose: 1,
        wrapped_new_dek: wrapped,
        new_dek_id: 3,
        proposer_node_id: writer.full_node_id,
        proposer_local_epoch: 0,
    };
    let register = RegisterEncryptionWriterRequest {
        dek_id: 1,
        writers: vec![writer],
    };
    let storage = EnableStorageEnvelopeRequest {
        proposer_node_id: writer.full_node_id,
        proposer_local_epoch: 0,
    };
    let raft = EnableRaftEnvelopeRequest {
        proposer_node_id: writer.full_node_id,
        proposer_local_epoch: 0,
    };
    let answers = [
        (
            "bootstrap",
            admin.bootstrap_encryption(bootstrap).await.err(),
        ),
        ("rotate", admin.rotate_dek(rotate).await.err()),
        (
            "register",
            admin.register_encryption_writer(register).await.err(),
        ),
        (
            "enable storage",
            admin.enable_storage_envelope(storage).await.err(),
        ),
        ("enable raft", admin.enable_raft_envelope(raft).await.err()),
    ];
    let refused = answers.into_iter();
    refused
        .map(|(name, status)| {
            (
                name,
                status.unwrap_or_else(|| panic!("{name} was accepted")),
            )
        })
        .collect()
}

fn assert_precondition(status: &Status, text: &str) {
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.message().contains(text), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mutator_is_refused_and_nothing_is_proposed() {
    for release in ["5d", "6f"] {
        let mut cluster = Cluster::new(3);
        // A release with guards does not start with the flag alone.
        let flag = if release == "5d" {
            "--encryption-enabled"
        } else {
            "--adminEnabled"
        };
        cluster.args = ["--release", release, flag].map(str::to_owned).to_vec();
        cluster.start_all();
        let leader = cluster.leader().await;
        let before = cluster.put(leader, "before", "x").await.expect("a write");
        for node in 0..3 {
            cluster
                .until(node, "leader known", |s| !s.leader_id.is_empty())
                .await;
            let not_leader = format!(
                "encryption: not leader (current leader id=\"n{}\" address=\"{}\")",
                leader + 1,
                cluster.grpc(leader)
            );
            let text = match node == leader {
                true => "encryption: proposer is not configured on this node",
                false => &not_leader,
            };
            for (name, status) in mutations(&mut admin(&cluster, node).await).await {
                println!("{release} n{}: {name}: {status}", node + 1);
                assert_precondition(&status, text);
            }
        }
        // A status may lag behind; two writes next to each other leave room for nothing.
        let after = cluster.put(leader, "after", "x").await.expect("a write");
        assert_eq!(after, before + 1, "the log moved between the writes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_without_a_majority_refuses_as_such() {
    let mut cluster = Cluster::started(3).await;
    let leader = cluster.leader().await;
    let mut admin = admin(&cluster, leader).await;
    for node in (0..3).filter(|&node| node != leader) {
        cluster.kill(node);
    }
    // It may have noticed already that it is alone.
    for (_, status) in mutations(&mut admin).await {
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        let verified = status.message().contains("VerifyLeader failed");
        assert!(
            verified || status.message().contains("encryption: not leader"),
            "{status}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_without_a_sidecar_path() -> Result<(), Status> {
    let cluster = Cluster::started(1).await;
    let mut admin = admin(&cluster, 0).await;
    let report = admin.get_capability(Empty {}).await?.into_inner();
    assert!(!report.encryption_capable && !report.sidecar_present);
    assert_eq!((report.full_node_id, report.local_epoch), (0, 0));
    assert!(report.build_sha.starts_with("keyquake-"), "{report:?}");
    let state = admin.get_sidecar_state(Empty {}).await.unwrap_err();
    assert_precondition(
        &state,
        "encryption: sidecar path is not configured on this node",
    );
    let nobody = ResyncSidecarRequest::default();
    let resync = admin.resync_sidecar(nobody).await.unwrap_err();
    assert_eq!(resync.code(), Code::InvalidArgument);
    let somebody = ResyncSidecarRequest {
        caller_full_node_id: 1,
    };
    let resync = admin.resync_sidecar(somebody).await.unwrap_err();
    assert_precondition(
        &resync,
        "encryption: sidecar path is not configured on this node",
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_with_a_sidecar_path() -> Result<(), Status> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("keys.json");
    let mut cluster = Cluster::new(1);
    let word = path.to_str().expect("UTF-8").to_owned();
    cluster.args = vec!["--encryptionSidecarPath".to_owned(), word];
    cluster.start_all();
    cluster.leader().await;
    let mut admin = admin(&cluster, 0).await;
    let report = admin.get_capability(Empty {}).await?.into_inner();
    assert!(!report.encryption_capable && !report.sidecar_present);
    assert_eq!(report.full_node_id, 0x08b3_7b07_b558_d4c0);
    let missing = admin.get_sidecar_state(Empty {}).await.unwrap_err();
    assert_precondition(&missing, "encryption: sidecar file is missing");

    let sidecar = r#"{"version": 2, "raft_applied_index": 9, "storage_envelope_active": true,
        "storage_envelope_cutover_index": 8, "raft_envelope_cutover_index": 9,
        "active": {"storage": 7, "raft": 8}, "keys": {
        "7": {"purpose": "storage", "wrapped": "AAEC", "created": "x", "local_epoch": 0},
        "8": {"purpose": "raft", "wrapped": "AwQF", "created": "x", "local_epoch": 0}}}"#;
    std::fs::write(&path, sidecar).expect("a sidecar");
    assert!(
        admin
            .get_capability(Empty {})
            .await?
            .into_inner()
            .sidecar_present
    );
    let state = admin.get_sidecar_state(Empty {}).await?.into_inner();
    assert_eq!((state.active_storage_id, state.active_raft_id), (7, 8));
    assert!(state.storage_envelope_active);
    assert_eq!(state.raft_envelope_cutover_index, 9);
    assert_eq!(&state.wrapped_deks_by_id[&7][..], [0, 1, 2]);
    let somebody = ResyncSidecarRequest {
        caller_full_node_id: 1,
    };
    let resync = admin.resync_sidecar(somebody).await?.into_inner();
    assert_eq!(resync.wrapped_deks_by_id, state.wrapped_deks_by_id);

    std::fs::write(&path, sidecar.replace("\"version\": 2", "\"version\": 3")).expect("a sidecar");
    let later = admin.get_sidecar_state(Empty {}).await.unwrap_err();
    assert_precondition(&later, "unsupported sidecar version");
    std::fs::write(&path, &sidecar[..50]).expect("a sidecar");
    let torn = admin.get_sidecar_state(Empty {}).await.unwrap_err();
    assert_eq!(torn.code(), Code::Internal, "{torn}");
    Ok(())
}
