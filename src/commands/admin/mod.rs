//! `keyquake admin`: turn a cluster's keys by hand.

mod answer;
mod status;
pub mod words;

use std::path::Path;

use anyhow::{Context, anyhow};
use keyquake_systems::elastickv::encryption::{
    AdminClient, Enabled, Kek, Leader, Purpose, full_node_id,
};
use serde_json::json;

use self::answer::{Accepted, Ended, say};
use self::words::{AdminArgs, Call, KekCall, PurposeArg};
use crate::exit::{Done, Failure, input};

/// Makes one call and says how it ended.
pub fn admin(args: AdminArgs) -> Result<Done, Failure> {
    if let Call::Kek(KekCall::New { file }) = &args.call {
        return say(new_kek(file), args.json);
    }
    if args.endpoints.is_empty() {
        return Err(input(anyhow!(
            "whom to ask is missing; give the nodes' gRPC addresses with --endpoint HOST:PORT"
        )));
    }
    let clients: Vec<_> = args
        .endpoints
        .iter()
        .map(|address| AdminClient::new(address, args.timeout))
        .collect();
    let runtime = tokio::runtime::Runtime::new().context("failed to start the async runtime")?;
    runtime.block_on(async {
        match &args.call {
            Call::Status => status::status(&clients, args.json).await,
            call => say(change(call, &clients).await, args.json),
        }
    })
}

fn new_kek(file: &Path) -> Result<Accepted, Ended> {
    Kek::generate()?.store_new(file)?;
    Ok(Accepted {
        line: format!("wrote a new KEK to {}; keep a copy", file.display()),
        fields: json!({"file": file}),
    })
}

async fn change(call: &Call, clients: &[AdminClient]) -> Result<Accepted, Ended> {
    // A KEK that can't be read is said before anybody is asked.
    let kek = match call {
        Call::Bootstrap { kek } | Call::RotateDek { kek, .. } => Some(Kek::load(&kek.file)?),
        _ => None,
    };
    let leader = Leader::find(clients).await?;
    Ok(match (call, kek) {
        (Call::Bootstrap { .. }, Some(kek)) => bootstrap(&leader, &kek).await?,
        (
            Call::RotateDek {
                purpose, proposer, ..
            },
            Some(kek),
        ) => {
            let purpose = match purpose {
                PurposeArg::Storage => Purpose::Storage,
                PurposeArg::Raft => Purpose::Raft,
            };
            rotate(&leader, &kek, purpose, proposer.proposer_epoch).await?
        }
        (Call::EnableStorageEnvelope(words), _) => {
            let done = leader.enable_storage_envelope(words.proposer_epoch).await?;
            enabled("storage", done)
        }
        (Call::EnableRaftEnvelope(words), _) => {
            let done = leader.enable_raft_envelope(words.proposer_epoch).await?;
            enabled("raft", done)
        }
        (
            Call::RegisterWriter {
                dek_id,
                node,
                local_epoch,
            },
            _,
        ) => register(&leader, *dek_id, &node.raft_id, *local_epoch).await?,
        (Call::Resync(node), _) => {
            let id = full_node_id(&node.raft_id);
            let answer = leader.client.resync_sidecar(id).await?;
            status::resynced(&node.raft_id, &answer)
        }
        (Call::Status | Call::Kek(_) | Call::Bootstrap { .. } | Call::RotateDek { .. }, _) => {
            return Err(Ended::Failure(Failure::Suite(anyhow!(
                "this is not a call to a leader"
            ))));
        }
    })
}

async fn bootstrap(leader: &Leader, kek: &Kek) -> Result<Accepted, Ended> {
    let made = leader.bootstrap(kek).await?;
    Ok(Accepted {
        line: format!(
            "bootstrapped: storage key {}, raft key {}, {} writers, at index {}",
            made.storage, made.raft, made.writers, made.index
        ),
        fields: json!({"storage_dek_id": made.storage, "raft_dek_id": made.raft,
            "writers": made.writers, "applied_index": made.index}),
    })
}

async fn rotate(
    leader: &Leader,
    kek: &Kek,
    purpose: Purpose,
    epoch: Option<u16>,
) -> Result<Accepted, Ended> {
    let made = leader.rotate(kek, purpose, epoch).await?;
    let (key, index) = (made.key, made.index);
    Ok(Accepted {
        line: format!("rotated: {purpose} key {key}, at index {index}"),
        fields: json!({"purpose": purpose.to_string(), "dek_id": key, "applied_index": index}),
    })
}

async fn register(
    leader: &Leader,
    dek_id: u32,
    raft_id: &str,
    epoch: u16,
) -> Result<Accepted, Ended> {
    let index = leader.register(dek_id, raft_id, epoch).await?;
    Ok(Accepted {
        line: format!("registered: {raft_id} under key {dek_id}, epoch {epoch}, at index {index}"),
        fields: json!({"dek_id": dek_id, "full_node_id": full_node_id(raft_id),
            "local_epoch": epoch, "applied_index": index}),
    })
}

fn enabled(what: &str, done: Enabled) -> Accepted {
    let how = if done.already {
        "already active since"
    } else {
        "enabled at"
    };
    Accepted {
        line: format!("{what} envelope {how} index {}", done.index),
        fields: json!({"envelope": what, "applied_index": done.index,
            "was_already_active": done.already}),
    }
}
