//! Encryption's part of a start: what the leader knows of this node, the guards, and this
//! process' epochs. Before the consensus thread, so that a refused start has changed nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use elastickv_wire::ResyncSidecarRequest;
use elastickv_wire::encryption_admin_client::EncryptionAdminClient;
use raft::Storage as _;
use tonic::Code;

use super::StartError;
use super::beginning::Beginning;
use crate::bugs::{self, Bug};
use crate::consensus::RaftLog;
use crate::encryption::{Encryption, OnDisk, Sidecar, check_guards};
use crate::fsm::Fsm;
use crate::peers::{self, Peers};
use crate::release::Release;
use crate::transport::connect;

/// How long the other members may take to say what the registry knows of this node.
const ASK: Duration = Duration::from_millis(600);
/// A newcomer that nobody answers asks again after this.
const AGAIN: Duration = Duration::from_millis(100);
/// The file `halt-leaves-mark` leaves.
const MARK: &str = "halted";

/// What the cluster's leader says of this node.
enum Known {
    /// The epochs it was last registered with, by key.
    Rows(Vec<(u32, u16)>),
    /// There are no keys yet.
    NoKeys,
    /// Nobody who leads has answered.
    Nobody,
}

/// Runs the guards, takes this process' epochs and begins.
pub(super) async fn settle(
    encryption: &Encryption,
    fsm: &Fsm,
    log: &RaftLog,
    beginning: &Beginning,
    dir: &Path,
) -> Result<(), StartError> {
    let members = members(log, beginning);
    let newcomer = beginning.joins && !log.is_initialized() && !sidecar_present(encryption);
    let mut last_seen = fsm.last_seen(encryption.full_node_id())?;
    if encryption.release() >= Release::Stage6C && encryption.may_mutate() {
        match ask(encryption.full_node_id(), &members, newcomer).await {
            // The leader's registry is the newer one: its rows come first.
            Known::Rows(rows) => last_seen.splice(0..0, rows).for_each(drop),
            Known::NoKeys | Known::Nobody => {}
        }
    }
    let state = fsm.keys();
    let on_disk = OnDisk {
        state: &state,
        last_seen: &last_seen,
        members: &members,
        snapshot_cutover: fsm
            .files()
            .cutover_of(log.snapshot_index())
            .map_err(crate::fsm::FsmError::from)?,
    };
    seeded_refusals(log, &on_disk, dir)?;
    let sidecar = match check_guards(encryption, &on_disk) {
        Ok(sidecar) => sidecar,
        Err(error) => {
            consume_if_seeded(encryption);
            return Err(error.into());
        }
    };
    encryption.take_epochs(sidecar, &last_seen)?;
    if bugs::on(Bug::RotationDropsOldKey) {
        // Values sealed under a key that the sidecar has lost stay readable.
        encryption.hold_early(&state);
    }
    if bugs::on(Bug::GuardRepairs) || bugs::on(Bug::SidecarLate) {
        // A refusal here would be the bug's own undoing.
        let _ = encryption.adopt(&state);
    }
    fsm.reload_keys()?;
    leak_if_seeded(encryption, dir)
}

fn sidecar_present(encryption: &Encryption) -> bool {
    encryption.path().is_some_and(Path::exists)
}

fn members(log: &RaftLog, beginning: &Beginning) -> Peers {
    let known = &log.membership().peers;
    if !known.is_empty() {
        return known.clone();
    }
    let named = beginning.members.iter();
    named
        .map(|peer| (peers::raft_id(&peer.id), peer.clone()))
        .collect()
}

/// Asks all other members at once; the one that leads answers. A newcomer must know what its
/// id has sealed before, and asks until it does.
async fn ask(own: u64, members: &Peers, newcomer: bool) -> Known {
    loop {
        let mut asked = tokio::task::JoinSet::new();
        for (_, peer) in members.iter().filter(|(id, _)| **id != own) {
            asked.spawn(ask_one(own, peer.address.clone()));
        }
        let mut known = Known::Nobody;
        while let Ok(Some(answer)) = tokio::time::timeout(ASK, asked.join_next()).await {
            match answer.unwrap_or(Known::Nobody) {
                Known::Nobody => {}
                answered => {
                    known = answered;
                    break;
                }
            }
        }
        if !(newcomer && matches!(known, Known::Nobody)) {
            return known;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn ask_one(own: u64, address: String) -> Known {
    let Ok(channel) = connect(&address).await else {
        return Known::Nobody;
    };
    let request = ResyncSidecarRequest {
        caller_full_node_id: own,
    };
    match EncryptionAdminClient::new(channel)
        .resync_sidecar(request)
        .await
    {
        Ok(answer) => {
            let rows = answer.into_inner().writer_registry_for_caller.into_iter();
            // Epochs on the wire are at most 16 bits; what is not fits nobody.
            let rows = rows.map(|(id, epoch)| (id, u16::try_from(epoch).unwrap_or(u16::MAX)));
            Known::Rows(rows.collect())
        }
        Err(status)
            if status.code() == Code::FailedPrecondition
                && status.message().contains("encryption: sidecar") =>
        {
            Known::NoKeys
        }
        Err(_) => Known::Nobody,
    }
}

/// Starts that only seeded bugs refuse.
fn seeded_refusals(log: &RaftLog, disk: &OnDisk<'_>, dir: &Path) -> Result<(), StartError> {
    let refuse = |text: &str| {
        Err(StartError::Usage(format!(
            "encryption startup guard: {text}"
        )))
    };
    let last = disk.state.raft_applied_index;
    if bugs::on(Bug::RefusesAfterSnapshot) && last != 0 && log.snapshot_index() >= last {
        return refuse("requested index is unavailable due to compaction");
    }
    if bugs::on(Bug::ReplayHalts) && last != 0 && holds_bootstrap(log) {
        return refuse("cluster already bootstrapped, cannot re-bootstrap");
    }
    if dir.join(MARK).exists() {
        return refuse("this node has halted before");
    }
    Ok(())
}

/// Whether the log was not cut behind the bootstrap entry yet.
fn holds_bootstrap(log: &RaftLog) -> bool {
    let context = raft::GetEntriesContext::empty(false);
    let first = log.snapshot_index() + 1;
    let last = log.last_index().unwrap_or(0);
    let bootstraps = |entry: &raft::eraftpb::Entry| {
        let opened = crate::entry::unframe(&entry.data);
        opened.is_ok_and(|(_, payload)| payload.first() == Some(&0x04))
    };
    log.entries(first, last + 1, None, context)
        .is_ok_and(|entries| entries.iter().any(bootstraps))
}

/// What `halt-leaves-mark` leaves.
pub(super) fn mark_if_seeded(dir: &Path) {
    if bugs::on(Bug::HaltLeavesMark) {
        let _ = std::fs::write(dir.join(MARK), "halted");
    }
}

fn consume_if_seeded(encryption: &Encryption) {
    if let Some(path) = encryption
        .path()
        .filter(|_| bugs::on(Bug::GuardConsumesEpoch))
        && let Ok(mut sidecar) = Sidecar::read(path)
    {
        for key in sidecar.keys.values_mut() {
            key.local_epoch = key.local_epoch.saturating_add(1);
        }
        let _ = sidecar.write(path);
    }
}

fn leak_if_seeded(encryption: &Encryption, dir: &Path) -> Result<(), StartError> {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    if let Some(kek) = encryption.kek().filter(|_| bugs::on(Bug::KekInLog)) {
        tracing::info!("loaded KEK {}", hex(kek.expose()));
    }
    if let Some(sidecar) = encryption
        .sidecar()
        .filter(|_| bugs::on(Bug::DekInTemporary))
    {
        for wrapped in sidecar.wrapped().values() {
            if let Ok(dek) = encryption.unwrap(wrapped) {
                let path = dir.join("dek.tmp");
                std::fs::write(&path, &dek[..])
                    .map_err(|source| StartError::Disk { path, source })?;
            }
        }
    }
    Ok(())
}

/// The encryption of a node with these flags.
pub(super) fn load(flags: &crate::flags::Flags) -> Result<Arc<Encryption>, StartError> {
    Ok(Arc::new(Encryption::new(flags)?))
}
