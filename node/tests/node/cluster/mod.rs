//! Real clusters for the tests: one process per node, on loopback addresses no other
//! test uses, gone when the test ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use elastickv_wire::raft_admin_client::RaftAdminClient;
use elastickv_wire::raw_kv_client::RawKvClient;
use elastickv_wire::{
    RaftAdminStatusRequest, RaftAdminStatusResponse, RawGetRequest, RawPutRequest,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tonic::Status;
use tonic::transport::Channel;

/// Bound on anything that must happen at all.
pub const PATIENCE: Duration = Duration::from_secs(30);
const GRPC: u16 = 20_051;
const REDIS: u16 = 20_379;
pub const HTTP: u16 = 20_080;

/// Nodes `n1`, `n2`, … (unless named otherwise) and their processes. Indices count from 0.
pub struct Cluster {
    dir: TempDir,
    subnet: (u8, u8),
    pub members: usize,
    processes: Vec<Option<Child>>,
    /// Other names than `n1`, `n2`, … by index.
    pub names: BTreeMap<usize, String>,
    /// More arguments for every node started from now on.
    pub args: Vec<String>,
    /// More environment for every node started from now on.
    pub env: Vec<(String, String)>,
}

impl Cluster {
    /// A cluster of `members` voters, not started.
    pub fn new(members: usize) -> Self {
        let random = rand::random::<u16>().to_be_bytes();
        Self {
            dir: tempfile::tempdir().expect("a temporary folder"),
            // 127.0.0.x is where other programs listen.
            subnet: (random[0] | 1, random[1]),
            members,
            processes: Vec::new(),
            names: BTreeMap::new(),
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    pub fn ip(&self, node: usize) -> String {
        format!("127.{}.{}.{}", self.subnet.0, self.subnet.1, node + 1)
    }

    pub fn grpc(&self, node: usize) -> String {
        format!("{}:{GRPC}", self.ip(node))
    }

    pub fn redis_url(&self, node: usize) -> String {
        format!("redis://{}:{REDIS}", self.ip(node))
    }

    /// The node's `--raftId`.
    pub fn name(&self, node: usize) -> String {
        let named = self.names.get(&node).cloned();
        named.unwrap_or_else(|| format!("n{}", node + 1))
    }

    /// Everything of this cluster lies below.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn data_dir(&self, node: usize) -> PathBuf {
        let id = self.name(node);
        self.dir().join(&id).join(&id)
    }

    pub fn member_list(&self, nodes: usize) -> String {
        let member = |node| format!("{}={}", self.name(node), self.grpc(node));
        (0..nodes).map(member).collect::<Vec<_>>().join(",")
    }

    pub fn log(&self, node: usize) -> String {
        let path = self.dir().join(self.name(node) + ".log");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// Starts a voter of the cluster (again).
    pub fn start(&mut self, node: usize) {
        let list = self.member_list(self.members);
        self.start_with(node, &["--raftBootstrapMembers", &list]);
    }

    /// Starts a node with its addresses, the common arguments, and these.
    pub fn start_with(&mut self, node: usize, more: &[&str]) {
        let id = self.name(node);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir().join(format!("{id}.log")))
            .expect("a log file");
        let child = Command::new(env!("CARGO_BIN_EXE_keyquake-node"))
            .args(["--raftId", &id, "--address", &self.grpc(node)])
            .args(["--redisAddress", &format!("{}:{REDIS}", self.ip(node))])
            .args(["--dynamoAddress", &format!("{}:{HTTP}", self.ip(node))])
            .arg("--raftDataDir")
            .arg(self.dir().join(&id))
            .args(more)
            .args(&self.args)
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the node's program");
        while self.processes.len() <= node {
            self.processes.push(None);
        }
        self.processes[node] = Some(child);
    }

    fn signal(&self, node: usize, signal: Signal) {
        kill(self.pid(node), signal).expect("a signal delivered");
    }

    /// The process of a running node.
    pub fn pid(&self, node: usize) -> Pid {
        let child = self.processes[node].as_ref().expect("a running node");
        Pid::from_raw(i32::try_from(child.id()).expect("a pid"))
    }

    pub fn pause(&self, node: usize) {
        self.signal(node, Signal::SIGSTOP);
    }

    pub fn resume(&self, node: usize) {
        self.signal(node, Signal::SIGCONT);
    }

    /// SIGKILL.
    pub fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.processes[node].take() {
            child.kill().expect("a kill");
            child.wait().expect("an end");
        }
    }

    /// Waits for a node to end by itself; its exit code.
    pub async fn exit_code(&mut self, node: usize) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let child = self.processes[node].as_mut().expect("a started node");
            if let Some(status) = child.try_wait().expect("a status") {
                self.processes[node] = None;
                return status.code();
            }
            assert!(Instant::now() < deadline, "n{} did not end", node + 1);
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn is_running(&self, node: usize) -> bool {
        self.processes.get(node).is_some_and(Option::is_some)
    }

    async fn channel(&self, node: usize) -> Result<Channel, Status> {
        Channel::from_shared(format!("http://{}", self.grpc(node)))
            .expect("an address")
            .connect_timeout(Duration::from_millis(500))
            .timeout(Duration::from_secs(8))
            .connect()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))
    }

    pub async fn kv(&self, node: usize) -> RawKvClient<Channel> {
        RawKvClient::new(self.patiently(node).await)
    }

    pub async fn admin(&self, node: usize) -> RaftAdminClient<Channel> {
        RaftAdminClient::new(self.patiently(node).await)
    }

    pub async fn patiently(&self, node: usize) -> Channel {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.channel(node).await {
                Ok(channel) => return channel,
                Err(error) => assert!(Instant::now() < deadline, "n{}: {error}", node + 1),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn redis(&self, node: usize) -> MultiplexedConnection {
        let client = redis::Client::open(self.redis_url(node)).expect("an address");
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let deadline = Instant::now() + PATIENCE;
        loop {
            match client
                .get_multiplexed_async_connection_with_config(&config)
                .await
            {
                Ok(connection) => return connection,
                Err(error) => assert!(Instant::now() < deadline, "n{}: {error}", node + 1),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn status(&self, node: usize) -> Result<RaftAdminStatusResponse, Status> {
        let mut admin = RaftAdminClient::new(self.channel(node).await?);
        let asked = admin.status(RaftAdminStatusRequest {});
        let answer = tokio::time::timeout(Duration::from_secs(1), asked).await;
        Ok(answer
            .map_err(|_| Status::deadline_exceeded("no status"))??
            .into_inner())
    }

    /// Waits until a node's status is as wanted.
    pub async fn until(
        &self,
        node: usize,
        what: &str,
        wanted: impl Fn(&RaftAdminStatusResponse) -> bool,
    ) -> RaftAdminStatusResponse {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status(node).await;
            if let Ok(status) = &status
                && wanted(status)
            {
                return status.clone();
            }
            assert!(
                Instant::now() < deadline,
                "n{}: no {what}; last: {status:?}",
                node + 1
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for a leader that a majority follows, and a write through it.
    pub async fn leader(&self) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for node in 0..self.processes.len() {
                if !self.is_running(node) {
                    continue;
                }
                let leads = self.status(node).await.is_ok_and(|s| s.state == 3);
                if leads && self.put(node, "leader-probe", "x").await.is_ok() {
                    return node;
                }
            }
            assert!(Instant::now() < deadline, "no leader");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn put(&self, node: usize, key: &str, value: &str) -> Result<u64, Status> {
        let mut kv = RawKvClient::new(self.channel(node).await?);
        let put = RawPutRequest {
            key: key.to_owned().into(),
            value: value.to_owned().into(),
        };
        let answer = kv.raw_put(put).await?.into_inner();
        assert!(answer.success && answer.commit_index > 0);
        Ok(answer.commit_index)
    }

    pub async fn get(&self, node: usize, key: &str) -> Result<Option<String>, Status> {
        let mut kv = RawKvClient::new(self.channel(node).await?);
        let get = RawGetRequest {
            key: key.to_owned().into(),
            ..RawGetRequest::default()
        };
        let answer = kv.raw_get(get).await?.into_inner();
        let value = String::from_utf8_lossy(&answer.value).into_owned();
        Ok(answer.exists.then_some(value))
    }

    /// As [`Cluster::get`], asked again until it is answered.
    pub async fn get_at_last(&self, node: usize, key: &str) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.get(node, key).await {
                Ok(value) => return value,
                Err(error) => assert!(Instant::now() < deadline, "n{}: {error}", node + 1),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for node in 0..self.processes.len() {
                let log = self.log(node);
                let tail: Vec<_> = log.lines().rev().take(25).collect();
                for line in tail.iter().rev() {
                    println!("n{}: {line}", node + 1);
                }
            }
        }
    }
}
