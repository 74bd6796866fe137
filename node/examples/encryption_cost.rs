//! What encryption costs: the same load on a cluster in the clear and on one with both
//! envelopes on, in turns, so that both meet the same machine. Prints a table of writes per
//! second and the ratio. Run it from the workspace root:
//! `cargo build --release -p keyquake-node && cargo run --release -p keyquake-node --example encryption_cost`

mod support;

use std::hash::Hasher as _;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use elastickv_wire::encryption_admin_client::EncryptionAdminClient;
use elastickv_wire::{
    BootstrapEncryptionRequest, EnableRaftEnvelopeRequest, EnableStorageEnvelopeRequest,
    WriterRegistryEntry,
};
use tonic::Status;
use tonic::transport::Channel;

use support::{Any, NODES, Node, free_ports, load, start};

const TURN: Duration = Duration::from_secs(3);
const TURNS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(10);

fn node_id(node: usize) -> u64 {
    let mut hasher = fnv::FnvHasher::default();
    hasher.write(format!("n{}", node + 1).as_bytes());
    hasher.finish().max(1)
}

fn wrapped(kek: &[u8; 32]) -> Result<bytes::Bytes, Any> {
    let (nonce, dek) = (rand::random::<[u8; 12]>(), rand::random::<[u8; 32]>());
    let cipher = Aes256Gcm::new(&(*kek).into());
    let sealed = cipher
        .encrypt(&Nonce::from(nonce), &dek[..])
        .map_err(|_| "the cipher refused a key")?;
    Ok([&nonce[..], &sealed].concat().into())
}

/// Bootstraps and cuts over through one node, if that leads.
async fn encrypt(
    admin: &mut EncryptionAdminClient<Channel>,
    proposer: usize,
    bootstrap: &BootstrapEncryptionRequest,
) -> Result<(), Status> {
    admin.bootstrap_encryption(bootstrap.clone()).await?;
    let (proposer_node_id, proposer_local_epoch) = (node_id(proposer), 0);
    let storage = EnableStorageEnvelopeRequest {
        proposer_node_id,
        proposer_local_epoch,
    };
    admin.enable_storage_envelope(storage).await?;
    let raft = EnableRaftEnvelopeRequest {
        proposer_node_id,
        proposer_local_epoch,
    };
    admin.enable_raft_envelope(raft).await.map(drop)
}

/// Both phases, through whichever node leads.
async fn cut_over(ports: &[u16], kek: &[u8; 32]) -> Result<(), Any> {
    let bootstrap = BootstrapEncryptionRequest {
        wrapped_storage_dek: wrapped(kek)?,
        wrapped_raft_dek: wrapped(kek)?,
        storage_dek_id: 1,
        raft_dek_id: 2,
        writer_batch: (0..NODES)
            .map(|node| WriterRegistryEntry {
                full_node_id: node_id(node),
                local_epoch: 0,
            })
            .collect(),
    };
    let since = Instant::now();
    loop {
        let mut last = None;
        for node in 0..NODES {
            let address = format!("http://127.0.0.1:{}", ports[2 * node]);
            let Ok(mut admin) = EncryptionAdminClient::connect(address).await else {
                continue;
            };
            match encrypt(&mut admin, node, &bootstrap).await {
                Ok(()) => return Ok(()),
                Err(status) => last = Some(status),
            }
        }
        if since.elapsed() > PATIENCE {
            return Err(format!("not cut over in time: {last:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn start_all(dir: &std::path::Path, ports: &[u16], keys: bool) -> Result<Vec<Node>, Any> {
    let flags = |node: usize| match keys {
        true => vec![
            "--encryption-enabled".to_owned(),
            format!("--kekFile={}/kek", dir.display()),
            format!("--encryptionSidecarPath={}/n{node}.json", dir.display()),
        ],
        false => Vec::new(),
    };
    (0..NODES)
        .map(|node| start(&dir.join("data"), ports, node, &flags(node)))
        .collect()
}

#[tokio::main]
async fn main() -> Result<(), Any> {
    let (clear_dir, sealed_dir) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (clear, sealed) = (free_ports()?, free_ports()?);
    let kek: [u8; 32] = rand::random();
    let path = sealed_dir.path().join("kek");
    std::fs::write(&path, kek)?;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))?;
    let _clear_nodes = start_all(clear_dir.path(), &clear, false)?;
    let _sealed_nodes = start_all(sealed_dir.path(), &sealed, true)?;
    cut_over(&sealed, &kek).await?;
    // Both warm up once.
    load(&clear, TURN).await?;
    load(&sealed, TURN).await?;
    println!("turn   clear writes/s   encrypted writes/s   clear/encrypted");
    let (mut clear_total, mut sealed_total) = (0, 0);
    for turn in 1..=TURNS {
        let (in_clear, _) = load(&clear, TURN).await?;
        let (in_sealed, _) = load(&sealed, TURN).await?;
        clear_total += in_clear;
        sealed_total += in_sealed;
        let per_second = |writes: u64| writes / TURN.as_secs();
        println!(
            "{turn:>4} {:>16} {:>20} {:>17.3}",
            per_second(in_clear),
            per_second(in_sealed),
            in_clear as f64 / in_sealed as f64
        );
    }
    println!(" all {:>55.3}", clear_total as f64 / sealed_total as f64);
    Ok(())
}
