//! What changes by itself: sidecars, and the processes of the nodes. Looked at every few
//! milliseconds; a look costs a `stat` per file.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyquake_cluster::NodeStatus;
use keyquake_results::{Load, SidecarState};
use keyquake_rollout::Setup;
use keyquake_systems::elastickv::encryption::{KeyFiles, Sidecar};

use super::Shared;
use super::requests::{Requests, Why};

const LOOK_EVERY: Duration = Duration::from_millis(25);
/// States of sidecars that a run may keep, and processes that it may tell of.
const STATES_MAX: usize = 4000;
const LOADS_MAX: usize = 2000;

/// A node, as it was at the last look.
struct Watched {
    id: String,
    sidecar: PathBuf,
    /// What tells one version of the file from another; `None` for no file.
    version: Option<Option<(u64, i64, i64, u64)>>,
    looked_ns: u64,
    pid: Option<u32>,
    count: usize,
}

/// Watches until it is aborted.
pub async fn watch(shared: Shared, requests: Requests) {
    let files = KeyFiles::of_run(&shared.run);
    let mut nodes: Vec<Watched> = shared
        .specs
        .iter()
        .map(|spec| Watched {
            id: spec.id.clone(),
            sidecar: files.sidecar(&spec.id),
            version: None,
            looked_ns: 0,
            pid: None,
            count: 0,
        })
        .collect();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        for (position, node) in nodes.iter_mut().enumerate() {
            process(&shared, &requests, position as u16, node).await;
            sidecar(&shared, node);
        }
    }
}

async fn process(shared: &Shared, requests: &Requests, position: u16, node: &mut Watched) {
    let status = shared.cluster.status(position);
    let pid = status.pid();
    if pid == node.pid {
        return;
    }
    let now = shared.now_ns();
    if node.pid.is_some() {
        let mut index = shared.index();
        let last = index.loads.iter_mut().rfind(|load| load.node == node.id);
        if let Some(load) = last {
            load.ended_ns = Some(now);
            load.ending = match status {
                NodeStatus::Exited(ending) => Some(ending.to_string()),
                _ => None,
            };
        }
        drop(index);
        requests.ask(Why::Down(position));
    }
    node.pid = pid;
    if let Some(pid) = pid {
        let Ok(spec) = shared.cluster.spec(position).await else {
            return;
        };
        let setup = shared.system.setup(&spec).ok();
        let mut index = shared.index();
        if index.loads.len() >= LOADS_MAX {
            drop(index);
            return shared.lost(format!("processes after the first {LOADS_MAX}"));
        }
        index.loads.push(Load {
            node: node.id.clone(),
            pid,
            release: spec.release.clone(),
            flags: setup.as_ref().map(flags).unwrap_or_default(),
            capable: setup.as_ref().is_some_and(is_capable),
            rotates_on_startup: setup.is_some_and(|setup| setup.rotate_on_startup),
            begun_ns: now,
            ended_ns: None,
            ending: None,
        });
    }
}

fn is_capable(setup: &Setup) -> bool {
    let full = Setup::full(setup.release);
    (setup.enabled, setup.kek, setup.sidecar) == (full.enabled, full.kek, full.sidecar)
}

fn flags(setup: &Setup) -> String {
    let mut words = Vec::new();
    match is_capable(setup) {
        true => words.push("encryption on".to_owned()),
        false if *setup == Setup::bare(setup.release) => {}
        false => {
            let flag = if setup.enabled { "on" } else { "off" };
            words.push(format!(
                "flag {flag}, kek {}, sidecar {}",
                setup.kek, setup.sidecar
            ));
        }
    }
    if setup.rotate_on_startup {
        words.push("rotate-on-startup".to_owned());
    }
    words.join(", ")
}

fn sidecar(shared: &Shared, node: &mut Watched) {
    // Read before the file is looked at: what is seen then was there at this time or later.
    let now = shared.now_ns();
    let about = std::fs::metadata(&node.sidecar).ok();
    let version = about.map(|about| (about.ino(), about.mtime(), about.mtime_nsec(), about.len()));
    if node.version == Some(version) || (node.version.is_none() && version.is_none()) {
        node.looked_ns = now;
        return;
    }
    let not_yet_ns = node.looked_ns;
    node.version = Some(version);
    node.looked_ns = now;
    if shared.index().sidecars.len() >= STATES_MAX {
        return shared.lost(format!("states of sidecars after the first {STATES_MAX}"));
    }
    let copy = shared
        .run
        .join("evidence/sidecars")
        .join(&node.id)
        .join(format!("{:04}.json", node.count));
    node.count += 1;
    let kept = version.and_then(|_| keep(&node.sidecar, &copy));
    let read = kept.as_ref().and_then(|copy| Sidecar::read(copy).ok());
    let epochs: BTreeMap<u32, u16> = read
        .iter()
        .flat_map(|sidecar| &sidecar.keys)
        .map(|(id, key)| (*id, key.local_epoch))
        .collect();
    let active = read.as_ref().map_or((0, 0), |sidecar| {
        (sidecar.active.storage, sidecar.active.raft)
    });
    shared.index().sidecars.push(SidecarState {
        node: node.id.clone(),
        time_ns: shared.now_ns(),
        not_yet_ns,
        file: kept.map(|copy| shared.relative(&copy)),
        pid: node.pid,
        active,
        storage_on: read
            .as_ref()
            .is_some_and(|sidecar| sidecar.storage_envelope_active),
        raft_cutover: read
            .as_ref()
            .map_or(0, |sidecar| sidecar.raft_envelope_cutover_index),
        epoch: epochs.get(&active.0).copied().unwrap_or(0),
    });
}

/// A copy of a sidecar as it is now; `None` if it has gone again.
fn keep(sidecar: &Path, copy: &Path) -> Option<PathBuf> {
    let bytes = std::fs::read(sidecar).ok()?;
    std::fs::create_dir_all(copy.parent()?).ok()?;
    std::fs::write(copy, bytes).ok()?;
    Some(copy.to_owned())
}
