//! The command lines of nodes.

use std::path::{Path, PathBuf};

use keyquake_cluster::{Launch, NetworkKind, NodeAddresses, NodeSpec, node_name};
use keyquake_formats::node_id::twin_of;
use keyquake_rollout::{Release, Setup};

use super::addresses::{self, DYNAMO, GRPC, METRICS, RESP, S3, SQS};
use super::change;
use super::encryption::KeyFiles;
use super::encryption::files::NODES;
use crate::programs::Programs;
use crate::system::{SystemError, SystemName, SystemOptions};

/// The release of the reference store where none is chosen.
const NEWEST_REFERENCE: &str = "6f";

/// The release of elastickv where none is named: what the program is, it is.
const UNNAMED: &str = "head";

/// The address scheme of namespaces ends a little above this.
const NODES_MAX: u16 = 100;

pub(super) fn prepare(
    name: SystemName,
    programs: &Programs,
    nodes: u16,
    dir: &Path,
    network: &NetworkKind,
    options: &SystemOptions,
) -> Result<Vec<NodeSpec>, SystemError> {
    let all = nodes.saturating_add(options.spares);
    if nodes == 0 || all > NODES_MAX {
        return Err(SystemError::NodeCount(all));
    }
    let names: Vec<String> = (0..all).map(node_name).collect();
    if let Some(stranger) = options
        .node_releases
        .keys()
        .find(|node| !names.contains(node))
    {
        return Err(SystemError::NoSuchNode(stranger.clone(), all));
    }
    if name != SystemName::Reference && !options.bugs.is_empty() {
        return Err(SystemError::NoBugs(name));
    }
    let dir = std::path::absolute(dir).map_err(|source| SystemError::Io {
        what: format!("find the folder {}", dir.display()),
        source,
    })?;
    let addresses = addresses::assign(all, network, options.first_port)?;
    let ids = raft_ids(&names, nodes, options.collide);
    let group = Group {
        name,
        ids: &ids,
        members: usize::from(nodes),
        addresses: &addresses,
        data: dir.join(NODES),
    };
    let files = KeyFiles::of_run(&dir);
    let setup = match options.encryption {
        true => Setup::full(Release::R6F),
        false => Setup::bare(Release::R6F),
    };
    (0..all)
        .map(|index| {
            let place = usize::from(index);
            let id = names[place].clone();
            let release = release(name, &id, options);
            let mut args = group.arguments(place, &options.bugs);
            args.extend(change::flags(name, &id, &release, &setup, &files));
            Ok(NodeSpec {
                index,
                data_dir: group.data.join(&ids[place]),
                log_dir: dir.join("logs"),
                addresses: addresses[place].clone(),
                launch: Launch {
                    program: program(name, programs, &release)?,
                    args,
                    env: environment(name, options),
                },
                id,
                release,
            })
        })
        .collect()
}

/// Nodes' names in their Raft group: their own, but the first spare's if it is to collide.
fn raft_ids(names: &[String], members: u16, collide: bool) -> Vec<String> {
    let mut ids = names.to_vec();
    let first_spare = usize::from(members);
    if let (true, Some(spare)) = (collide, ids.get_mut(first_spare)) {
        *spare = twin_of(&names[0], spare);
    }
    ids
}

/// What the flags of all nodes are made from.
struct Group<'a> {
    name: SystemName,
    ids: &'a [String],
    /// The first so many are members from the beginning, the others spares.
    members: usize,
    addresses: &'a [NodeAddresses],
    /// A node adds its own name to this.
    data: PathBuf,
}

impl Group<'_> {
    /// What a node keeps for its whole life.
    fn arguments(&self, place: usize, bugs: &[String]) -> Vec<String> {
        let at = |service| self.address(place, service);
        let mut args = Vec::new();
        if self.name == SystemName::Reference {
            args.push("node".to_owned());
        }
        let mut flag = |name: &str, value: String| args.push(format!("--{name}={value}"));
        flag("raftId", self.ids[place].clone());
        flag("address", at(GRPC));
        flag("redisAddress", at(RESP));
        flag("dynamoAddress", at(DYNAMO));
        flag("s3Address", at(S3));
        flag("sqsAddress", at(SQS));
        // On its own loopback interface it needs no token.
        let metrics_port = self.addresses[place].ports[METRICS];
        flag("metricsAddress", format!("127.0.0.1:{metrics_port}"));
        flag("pprofAddress", String::new());
        flag("raftDataDir", self.data.display().to_string());
        flag("raftBootstrapMembers", self.members());
        flag("raftRedisMap", self.map_to(RESP));
        flag("raftDynamoMap", self.map_to(DYNAMO));
        flag("raftS3Map", self.map_to(S3));
        flag("raftSqsMap", self.map_to(SQS));
        for bug in bugs {
            flag("bug", bug.clone());
        }
        args
    }

    fn address(&self, place: usize, service: &str) -> String {
        let node = &self.addresses[place];
        format!("{}:{}", node.ip, node.ports[service])
    }

    /// `n1=host:port,n2=…`
    fn members(&self) -> String {
        let members = 0..self.members;
        list(members.map(|place| (self.ids[place].clone(), self.address(place, GRPC))))
    }

    /// Raft address to service address: without it a follower can't pass a request on.
    fn map_to(&self, service: &str) -> String {
        let all = 0..self.ids.len();
        list(all.map(|place| (self.address(place, GRPC), self.address(place, service))))
    }
}

fn list(pairs: impl Iterator<Item = (String, String)>) -> String {
    let pairs = pairs.map(|(left, right)| format!("{left}={right}"));
    pairs.collect::<Vec<_>>().join(",")
}

/// The environment of a node: the store's own needs, then what the user wants.
fn environment(name: SystemName, options: &SystemOptions) -> Vec<(String, String)> {
    let mut env = Vec::new();
    if name == SystemName::Elastickv {
        // Transactions and scripts beyond this many at once are turned away with `BUSY server
        // overloaded`; its own default is a few per core, which a small machine hits at once.
        env.push((
            "ELASTICKV_REDIS_HEAVY_COMMAND_SLOTS".to_owned(),
            "64".to_owned(),
        ));
    }
    if let Some(entries) = options.snapshot_every {
        env.push((
            "ELASTICKV_RAFT_SNAPSHOT_COUNT".to_owned(),
            entries.to_string(),
        ));
    }
    env.extend_from_slice(&options.env);
    env
}

fn release(name: SystemName, id: &str, options: &SystemOptions) -> String {
    let chosen = options.node_releases.get(id).or(options.release.as_ref());
    chosen.cloned().unwrap_or_else(|| {
        match name {
            SystemName::Reference => NEWEST_REFERENCE,
            SystemName::Elastickv => UNNAMED,
        }
        .to_owned()
    })
}

/// The program that is this release.
pub(super) fn program(
    name: SystemName,
    programs: &Programs,
    release: &str,
) -> Result<PathBuf, SystemError> {
    match (name, &programs.other) {
        (SystemName::Elastickv, _) | (_, Some(_)) => programs.of(name, release),
        (SystemName::Reference, None) => {
            std::env::current_exe().map_err(|source| SystemError::Io {
                what: "find the suite's own executable, which holds the reference store".to_owned(),
                source,
            })
        }
    }
}

#[cfg(test)]
mod tests;
