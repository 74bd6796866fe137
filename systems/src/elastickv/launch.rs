//! The command lines of nodes.

use std::path::{Path, PathBuf};

use keyquake_cluster::{Launch, NetworkKind, NodeAddresses, NodeSpec, node_name};

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
    if !(1..=NODES_MAX).contains(&nodes) {
        return Err(SystemError::NodeCount(nodes));
    }
    let names: Vec<String> = (0..nodes).map(node_name).collect();
    if let Some(stranger) = options
        .node_releases
        .keys()
        .find(|node| !names.contains(node))
    {
        return Err(SystemError::NoSuchNode(stranger.clone(), nodes));
    }
    if name != SystemName::Reference && !options.bugs.is_empty() {
        return Err(SystemError::NoBugs(name));
    }
    let dir = std::path::absolute(dir).map_err(|source| SystemError::Io {
        what: format!("find the folder {}", dir.display()),
        source,
    })?;
    let addresses = addresses::assign(nodes, network, options.first_port)?;
    let group = Group {
        name,
        ids: &names,
        addresses: &addresses,
        data: dir.join(NODES),
    };
    let keys = options.encryption.then(|| KeyFiles::of_run(&dir));
    (0..nodes)
        .map(|index| {
            let place = usize::from(index);
            let id = names[place].clone();
            let release = release(name, &id, options);
            let mut args = group.arguments(place, &options.bugs);
            args.extend(change::flags(name, &id, &release, keys.as_ref()));
            Ok(NodeSpec {
                index,
                data_dir: group.data.join(&id),
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

/// What the flags of all nodes are made from.
struct Group<'a> {
    name: SystemName,
    ids: &'a [String],
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
        self.list(|place| (self.ids[place].clone(), self.address(place, GRPC)))
    }

    /// Raft address to service address: without it a follower can't pass a request on.
    fn map_to(&self, service: &str) -> String {
        self.list(|place| (self.address(place, GRPC), self.address(place, service)))
    }

    fn list(&self, pair: impl Fn(usize) -> (String, String)) -> String {
        (0..self.ids.len())
            .map(|place| {
                let (left, right) = pair(place);
                format!("{left}={right}")
            })
            .collect::<Vec<_>>()
            .join(",")
    }
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
