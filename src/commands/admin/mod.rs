//! `keyquake admin`: turn a cluster's keys by hand.

mod answer;
mod leader;
mod status;
pub mod words;

use std::path::Path;

use anyhow::{Context, anyhow};
use keyquake_systems::elastickv::encryption::{
    AdminClient, Bootstrap, Dek, Kek, Proposer, Purpose, Refusal, Rotation, WrappedDek, collisions,
    full_node_id,
};
use serde_json::json;

use self::answer::{Accepted, Ended, refused_here, say};
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
    let leader = leader::find(clients).await?;
    match (call, kek) {
        (Call::Bootstrap { .. }, Some(kek)) => bootstrap(&leader, &kek).await,
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
            rotate(&leader, &kek, purpose, proposer.proposer_epoch).await
        }
        (Call::EnableStorageEnvelope(words), _) => {
            let proposer = leader.proposer(Purpose::Storage, words.proposer_epoch)?;
            let answer = leader.client.enable_storage_envelope(proposer).await?;
            let active = answer.was_already_active;
            Ok(enabled("storage", answer.applied_index, active))
        }
        (Call::EnableRaftEnvelope(words), _) => {
            let proposer = leader.proposer(Purpose::Raft, words.proposer_epoch)?;
            let answer = leader.client.enable_raft_envelope(proposer).await?;
            let active = answer.was_already_active;
            Ok(enabled("raft", answer.applied_index, active))
        }
        (
            Call::RegisterWriter {
                dek_id,
                node,
                local_epoch,
            },
            _,
        ) => register(&leader, *dek_id, &node.raft_id, *local_epoch).await,
        (Call::Resync(node), _) => {
            let id = full_node_id(&node.raft_id);
            let answer = leader.client.resync_sidecar(id).await?;
            Ok(status::resynced(&node.raft_id, &answer))
        }
        (Call::Status | Call::Kek(_) | Call::Bootstrap { .. } | Call::RotateDek { .. }, _) => Err(
            Ended::Failure(Failure::Suite(anyhow!("this is not a call to a leader"))),
        ),
    }
}

async fn bootstrap(leader: &leader::Leader, kek: &Kek) -> Result<Accepted, Ended> {
    let active = leader.active(Purpose::Storage);
    if active != 0 {
        let text = format!("the cluster has keys; the storage key is {active}");
        return Err(refused_here("already-bootstrapped", text));
    }
    if let Some(twins) = collisions(leader.members.iter().map(|m| m.id.as_str())).first() {
        let (one, two) = &twins.raft_ids;
        let text = format!("{one} and {two} share the node id {:#06x}", twins.node_id);
        return Err(refused_here("node-id-collision", text));
    }
    let storage = (new_id(&[0]), kek.wrap(&Dek::generate()?)?);
    let raft = (new_id(&[0, storage.0]), kek.wrap(&Dek::generate()?)?);
    let writer = |id: &str| Proposer {
        full_node_id: full_node_id(id),
        local_epoch: 0,
    };
    let writers: Vec<_> = leader.members.iter().map(|m| writer(&m.id)).collect();
    let request = Bootstrap {
        storage,
        raft,
        writers,
    };
    let index = leader.client.bootstrap(&request).await?;
    let members = request.writers.len();
    Ok(Accepted {
        line: format!(
            "bootstrapped: storage key {}, raft key {}, {members} writers, at index {index}",
            storage.0, raft.0
        ),
        fields: json!({"storage_dek_id": storage.0, "raft_dek_id": raft.0,
            "writers": members, "applied_index": index}),
    })
}

async fn rotate(
    leader: &leader::Leader,
    kek: &Kek,
    purpose: Purpose,
    epoch: Option<u16>,
) -> Result<Accepted, Ended> {
    let mut used = vec![0];
    if let Some(state) = &leader.state {
        let active = leader.active(purpose);
        let Some(wrapped) = state.wrapped_deks_by_id.get(&active) else {
            let text = format!("the cluster has no {purpose} key to replace");
            return Err(refused_here(Refusal::NotBootstrapped.name(), text));
        };
        let opens = WrappedDek::try_from(&wrapped[..]).and_then(|key| kek.unwrap(&key));
        if let Err(error) = opens {
            return Err(refused_here(
                "kek-mismatch",
                format!("key {active}: {error}"),
            ));
        }
        used.extend(state.wrapped_deks_by_id.keys());
    }
    let rotation = Rotation {
        purpose,
        id: new_id(&used),
        wrapped: kek.wrap(&Dek::generate()?)?,
        proposer: leader.proposer(purpose, epoch)?,
    };
    let index = leader.client.rotate_dek(&rotation).await?;
    Ok(Accepted {
        line: format!("rotated: {purpose} key {}, at index {index}", rotation.id),
        fields: json!({"purpose": purpose.to_string(), "dek_id": rotation.id,
            "applied_index": index}),
    })
}

async fn register(
    leader: &leader::Leader,
    dek_id: u32,
    raft_id: &str,
    epoch: u16,
) -> Result<Accepted, Ended> {
    let id = full_node_id(raft_id);
    let others = leader.members.iter().map(|m| m.id.as_str());
    if let Some(twins) = collisions(others.chain([raft_id])).first() {
        let (one, two) = &twins.raft_ids;
        let text = format!("{one} and {two} share the node id {:#06x}", twins.node_id);
        return Err(refused_here("node-id-collision", text));
    }
    if leader.state.is_some() {
        let known = leader.client.resync_sidecar(id).await?;
        let registered = known.writer_registry_for_caller.get(&dek_id).copied();
        if registered.is_some_and(|last| u32::from(epoch) < last) {
            let text = format!("epoch {epoch} is behind what is registered for {raft_id}");
            return Err(refused_here("epoch-behind-registry", text));
        }
        if !known.wrapped_deks_by_id.contains_key(&dek_id) {
            let text = format!("the cluster has no key {dek_id}");
            return Err(refused_here("key-unknown", text));
        }
    }
    let writer = Proposer {
        full_node_id: id,
        local_epoch: epoch.into(),
    };
    let index = leader.client.register_writer(dek_id, writer).await?;
    Ok(Accepted {
        line: format!("registered: {raft_id} under key {dek_id}, epoch {epoch}, at index {index}"),
        fields: json!({"dek_id": dek_id, "full_node_id": id, "local_epoch": epoch,
            "applied_index": index}),
    })
}

fn enabled(what: &str, index: u64, already: bool) -> Accepted {
    let how = if already {
        "already active since"
    } else {
        "enabled at"
    };
    Accepted {
        line: format!("{what} envelope {how} index {index}"),
        fields: json!({"envelope": what, "applied_index": index, "was_already_active": already}),
    }
}

/// A random id that is not used yet.
fn new_id(used: &[u32]) -> u32 {
    loop {
        let id = rand::random();
        if !used.contains(&id) {
            return id;
        }
    }
}
