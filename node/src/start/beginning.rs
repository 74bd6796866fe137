//! What a node begins with: its members as the flags name them, its folder, its log
//! and state, made to agree.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raft::Storage as _;
use raft::eraftpb::ConfState;

use super::StartError;
use crate::consensus::RaftLog;
use crate::encryption::Encryption;
use crate::flags::Flags;
use crate::fsm::{self, Fsm};
use crate::peers::{self, Peer, Peers};

const ENGINE: &str = "etcd";

/// Who the members are to begin with, and how this node comes among them.
pub(super) struct Beginning {
    pub(super) members: Vec<Peer>,
    pub(super) joins: bool,
}

pub(super) fn check(flags: &Flags) -> Result<Beginning, StartError> {
    let usage = |text: String| Err(StartError::Usage(text));
    if flags.raft_id.is_empty() {
        return usage("flag --raftId is required".to_owned());
    }
    if flags.raft_id.contains(['/', '\0']) || flags.raft_id.starts_with('.') {
        return usage(format!("--raftId '{}' cannot name a folder", flags.raft_id));
    }
    if flags.raft_engine != ENGINE {
        return usage(format!(
            "--raftEngine '{}': only etcd is known",
            flags.raft_engine
        ));
    }
    let own = Peer {
        id: flags.raft_id.clone(),
        address: flags.address.clone(),
    };
    let bootstraps = !flags.raft_bootstrap_members.is_empty() || flags.raft_bootstrap;
    let joins = !flags.raft_join_members.is_empty();
    if flags.raft_join_as_learner && (!joins || bootstraps) {
        return usage("--raftJoinAsLearner needs --raftJoinMembers and no bootstrap flag".into());
    }
    let (flag, list) = if joins {
        ("raftJoinMembers", &flags.raft_join_members)
    } else {
        ("raftBootstrapMembers", &flags.raft_bootstrap_members)
    };
    let members = if flags.raft_bootstrap && list.is_empty() {
        vec![own.clone()]
    } else {
        peers::parse_list(list).map_err(|text| StartError::Usage(format!("--{flag}: {text}")))?
    };
    if !members.is_empty() && !members.contains(&own) {
        return usage(format!(
            "--{flag} must contain this node as {}={} (its --raftId and --address)",
            own.id, own.address
        ));
    }
    Ok(Beginning { members, joins })
}

pub(super) fn own_dir(flags: &Flags) -> Result<PathBuf, StartError> {
    let dir = fsm::node_dir(Path::new(&flags.raft_data_dir), &flags.raft_id);
    let disk = |path: &Path, source| StartError::Disk {
        path: path.to_owned(),
        source,
    };
    fs::create_dir_all(&dir).map_err(|source| disk(&dir, source))?;
    let marker = dir.join("raft-engine");
    match fs::read_to_string(&marker) {
        Ok(engine) if engine.trim() == ENGINE => {}
        Ok(engine) => {
            let text = format!(
                "{} is of another engine: '{}'",
                dir.display(),
                engine.trim()
            );
            return Err(StartError::Usage(text));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::write(&marker, ENGINE).map_err(|source| disk(&marker, source))?;
        }
        Err(source) => return Err(disk(&marker, source)),
    }
    Ok(dir)
}

/// Whether an entry behind the snapshot may turn keys, be it sealed: how far those were applied, which
/// the guards compare the sidecar with, only the state says.
fn guards_need_state(log: &RaftLog) -> bool {
    /// A sealed payload, a bootstrap, and what rotates or cuts over.
    const TURNS: [u8; 3] = [0x01, 0x04, 0x05];
    let context = raft::GetEntriesContext::empty(false);
    let (first, last) = (log.snapshot_index() + 1, log.last_index().unwrap_or(0));
    let turns = |entry: &raft::eraftpb::Entry| {
        let payload = crate::entry::unframe(&entry.data);
        payload.is_ok_and(|(_, payload)| payload.first().is_some_and(|code| TURNS.contains(code)))
    };
    // A log that can't be read says so later; nothing is set aside for it.
    log.entries(first, last + 1, None, context)
        .map_or(last >= first, |entries| entries.iter().any(turns))
}

/// Opens log and state and makes them agree. `true` = a new cluster begins here.
pub(super) fn open(
    dir: &Path,
    beginning: &Beginning,
    encryption: Arc<Encryption>,
) -> Result<(RaftLog, Fsm, bool), StartError> {
    let mut log = RaftLog::open(dir)?;
    if log.is_initialized() {
        Fsm::set_aside_if_slow(dir, log.snapshot_index(), || guards_need_state(&log))?;
    }
    let fsm = Fsm::open(dir, encryption)?;
    if log.is_initialized() {
        let snapshot = log.snapshot_index();
        if fsm.applied()? < snapshot {
            tracing::info!(snapshot, "loading the state from its snapshot");
            fsm.install(snapshot)?;
        }
        return Ok((log, fsm, false));
    }
    if beginning.members.is_empty() {
        let text = "etcd raft refuses to self-bootstrap: the data folder is empty; give \
                    --raftBootstrapMembers, --raftBootstrap or --raftJoinMembers";
        return Err(StartError::Usage(text.to_owned()));
    }
    let members: Peers = beginning
        .members
        .iter()
        .map(|peer| (peers::raft_id(&peer.id), peer.clone()))
        .collect();
    if members.len() != beginning.members.len() {
        let text = "two members' raftIds have one hash; choose a different raftID";
        return Err(StartError::Usage(text.to_owned()));
    }
    if beginning.joins {
        log.set_peers(members)?;
        return Ok((log, fsm, false));
    }
    let state = ConfState {
        voters: members.keys().copied().collect(),
        ..ConfState::default()
    };
    fsm.skip(1)?;
    fsm.write_snapshot(&fsm.moment(), 1)?;
    fsm.sync()?;
    log.bootstrap(state, members)?;
    Ok((log, fsm, true))
}
