//! `keyquake admin status` and `resync`: what the nodes say of themselves.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use keyquake_systems::elastickv::encryption::{
    AdminClient, CapabilityReport, NotAccepted, RaftView, ResyncSidecarResponse, SidecarStateReport,
};
use serde_json::{Value, json};

use super::answer::Accepted;
use crate::exit::{Done, Failure};

struct Said {
    address: String,
    raft: Result<RaftView, NotAccepted>,
    capability: Result<CapabilityReport, NotAccepted>,
    state: Result<SidecarStateReport, NotAccepted>,
}

/// Asks every node; fails if one of them gives no answer at all.
pub async fn status(clients: &[AdminClient], as_json: bool) -> Result<Done, Failure> {
    let said = join_all(clients.iter().map(ask)).await;
    if as_json {
        let nodes: Vec<_> = said.iter().map(in_json).collect();
        println!("{}", serde_json::to_string_pretty(&nodes)?);
    } else {
        said.iter().for_each(print);
    }
    let silent = said.iter().any(|node| node.raft.is_err());
    Ok(if silent { Done::Failed } else { Done::Fine })
}

async fn ask(client: &AdminClient) -> Said {
    Said {
        address: client.address().to_owned(),
        raft: client.raft_view().await,
        capability: client.capability().await,
        state: client.sidecar_state().await,
    }
}

fn sorted<'a>(ids: impl Iterator<Item = &'a u32>) -> Vec<u32> {
    ids.copied().collect::<BTreeSet<_>>().into_iter().collect()
}

fn in_json(node: &Said) -> Value {
    let not = |error: &NotAccepted| {
        json!({"outcome": error.outcome(),
        "refusal": error.refusal().map(|refusal| refusal.name()), "text": error.to_string()})
    };
    json!({
        "endpoint": node.address,
        "raft": node.raft.as_ref().map_or_else(not, |raft| json!({
            "leads": raft.leads, "leader_id": raft.leader_id, "term": raft.term,
            "commit_index": raft.commit_index, "applied_index": raft.applied_index})),
        "capability": node.capability.as_ref().map_or_else(not, |report| json!({
            "encryption_capable": report.encryption_capable,
            "sidecar_present": report.sidecar_present,
            "full_node_id": report.full_node_id, "build_sha": report.build_sha})),
        "sidecar": node.state.as_ref().map_or_else(not, |state| json!({
            "active_storage_id": state.active_storage_id, "active_raft_id": state.active_raft_id,
            "storage_envelope_active": state.storage_envelope_active,
            "raft_envelope_cutover_index": state.raft_envelope_cutover_index,
            "latest_applied_index": state.latest_applied_index,
            "dek_ids": sorted(state.wrapped_deks_by_id.keys()),
            "own_epochs": state.writer_registry_for_caller})),
    })
}

fn print(node: &Said) {
    println!("{}", node.address);
    match &node.raft {
        Ok(raft) => println!(
            "  raft        {}, term {}, commit {}, applied {}",
            if raft.leads { "leader" } else { "not leader" },
            raft.term,
            raft.commit_index,
            raft.applied_index
        ),
        Err(error) => println!("  raft        {error}"),
    }
    match &node.capability {
        Ok(report) => println!(
            "  capability  {}, sidecar {}, full_node_id {}, build {}",
            if report.encryption_capable {
                "capable"
            } else {
                "not capable"
            },
            if report.sidecar_present {
                "present"
            } else {
                "absent"
            },
            report.full_node_id,
            report.build_sha
        ),
        Err(error) => println!("  capability  {error}"),
    }
    match &node.state {
        Ok(state) => println!(
            "  keys        storage {}, raft {}, of {:?}; storage envelope {}, raft cutover {}",
            state.active_storage_id,
            state.active_raft_id,
            sorted(state.wrapped_deks_by_id.keys()),
            if state.storage_envelope_active {
                "on"
            } else {
                "off"
            },
            state.raft_envelope_cutover_index
        ),
        Err(error) => println!("  keys        {error}"),
    }
}

/// The leader's answer about one node.
pub fn resynced(raft_id: &str, answer: &ResyncSidecarResponse) -> Accepted {
    let ids = sorted(answer.wrapped_deks_by_id.keys());
    Accepted {
        line: format!(
            "storage key {}, raft key {}, of {ids:?}; {raft_id}'s registered epochs by key: {:?}",
            answer.active_storage_id, answer.active_raft_id, answer.writer_registry_for_caller
        ),
        fields: json!({"active_storage_id": answer.active_storage_id,
            "active_raft_id": answer.active_raft_id, "dek_ids": ids,
            "leader_latest_applied_index": answer.leader_latest_applied_index,
            "registered_epochs": answer.writer_registry_for_caller}),
    }
}
