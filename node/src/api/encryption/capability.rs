//! Who can take part in a cutover: what this node says of itself, and the fresh poll of
//! every voter and learner.

use std::time::Duration;

use elastickv_wire::encryption_admin_client::EncryptionAdminClient;
use elastickv_wire::{CapabilityReport, CapabilityVerdict, Empty};
use tonic::Status;

use super::build;
use crate::bugs::{self, Bug};
use crate::consensus::Membership;
use crate::encryption::Encryption;
use crate::peers::Peer;
use crate::release::Release;
use crate::transport::connect;

/// How long members may take to answer, all together.
const POLL: Duration = Duration::from_secs(5);

/// What this node says of itself.
pub(super) fn report(encryption: &Encryption) -> CapabilityReport {
    let mut report = CapabilityReport {
        build_sha: build(encryption.release()),
        encryption_capable: encryption.is_capable()
            || bugs::on(Bug::CapableWithoutFlag) && encryption.path().is_some(),
        ..CapabilityReport::default()
    };
    if let Some(path) = encryption.path() {
        report.sidecar_present = path.exists();
        report.full_node_id = encryption.full_node_id();
        report.local_epoch = encryption.epochs().storage.into();
    }
    report
}

/// The release a build of this store names, if it is one.
fn release_of(build: &str) -> Option<Release> {
    let (name, release) = build.rsplit_once('-')?;
    name.starts_with("keyquake-").then_some(())?;
    release.parse().ok()
}

/// Asks one member; the text says what speaks against it.
pub(super) async fn ask(
    full_node_id: u64,
    peer: &Peer,
    since: Release,
) -> Result<CapabilityVerdict, String> {
    let named = format!("full_node_id={full_node_id} id={:?}", peer.id);
    let call = async {
        let channel = connect(&peer.address).await.map_err(|e| e.to_string())?;
        let mut client = EncryptionAdminClient::new(channel);
        let answer = client.get_capability(Empty {}).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| status.message().to_owned())
    };
    let report = match tokio::time::timeout(POLL, call).await {
        Ok(Ok(report)) => report,
        Ok(Err(error)) => return Err(format!("unreachable member {named}: {error}")),
        Err(_) => return Err(format!("unreachable member {named}: no answer in time")),
    };
    if !report.encryption_capable {
        return Err(format!("not-capable member {named}"));
    }
    if report.full_node_id != full_node_id {
        return Err(format!(
            "not-capable member {named}: it says it is {}",
            report.full_node_id
        ));
    }
    if release_of(&report.build_sha).is_some_and(|release| release < since) {
        return Err(format!(
            "not-capable member {named}: build {} is older than {since}",
            report.build_sha
        ));
    }
    Ok(CapabilityVerdict {
        full_node_id,
        encryption_capable: true,
        build_sha: report.build_sha,
        sidecar_present: report.sidecar_present,
    })
}

/// Asks every voter and learner at once.
///
/// # Errors
/// The first that is not capable or does not answer, by name.
pub(super) async fn poll(
    members: &Membership,
    since: Release,
) -> Result<Vec<CapabilityVerdict>, Status> {
    let mut asked = tokio::task::JoinSet::new();
    for (&id, peer) in &members.peers {
        if bugs::on(Bug::CapabilityForgetsLearners) && members.state.learners.contains(&id) {
            continue;
        }
        let peer = peer.clone();
        asked.spawn(async move { ask(id, &peer, since).await });
    }
    let mut summary = Vec::new();
    for answer in asked.join_all().await {
        match answer {
            Ok(capable) => summary.push(capable),
            Err(text)
                if text.starts_with("unreachable") && bugs::on(Bug::CapabilityTrustsSilence) => {}
            Err(text) => {
                return Err(Status::failed_precondition(format!(
                    "encryption: capability check refused cutover ({text})"
                )));
            }
        }
    }
    summary.sort_by_key(|capable| capable.full_node_id);
    Ok(summary)
}
