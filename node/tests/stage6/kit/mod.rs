//! A cluster whose nodes each have a release and encryption flags of their own, and the
//! hands an operator has on it: keys made, calls made, files read, entries put into logs.

pub mod call;
pub mod disk;
pub mod envelopes;
pub mod keys;
pub mod load;
pub mod members;
mod operate;
pub mod pushes;
mod refusals;
mod secrets;
pub mod sidecar;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub use self::call::{Admin, Call, Done};
use self::keys::Key;
pub use self::refusals::{HALT, Refused};
pub use self::sidecar::Sidecar;
use crate::cluster::{Cluster, PATIENCE};

/// Snapshots every so many entries, where a test wants them.
pub const SNAPSHOT_EVERY: &str = "50";

/// Which KEK file a node gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kek {
    None,
    Own,
    /// Another cluster's.
    Other,
}

/// A node's release and flags.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub release: &'static str,
    pub enabled: bool,
    pub kek: Kek,
    pub sidecar: bool,
    pub rotate_on_startup: bool,
}

impl Setup {
    /// Everything encryption needs.
    pub const fn all(release: &'static str) -> Self {
        Self {
            release,
            enabled: true,
            kek: Kek::Own,
            sidecar: true,
            rotate_on_startup: false,
        }
    }

    /// Whether it seals anything: earlier releases take no epoch and register nothing.
    pub fn seals(&self) -> bool {
        self.enabled && !["5d", "6a", "6b", "6c"].contains(&self.release)
    }

    /// No flag of encryption at all.
    pub const fn bare(release: &'static str) -> Self {
        Self {
            release,
            enabled: false,
            kek: Kek::None,
            sidecar: false,
            rotate_on_startup: false,
        }
    }
}

/// Where a key is used, as the wire numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Storage = 1,
    Raft = 2,
}

/// A cluster, its keys, and what was written to it.
pub struct Lab {
    pub cluster: Cluster,
    /// By node; [`Lab::start`] reads it.
    pub setups: BTreeMap<usize, Setup>,
    pub kek: Key,
    /// What was acknowledged and must be read back.
    pub written: BTreeMap<String, String>,
    /// What was sealed so far, as far as it was looked at.
    pub nonces: secrets::Nonces,
    /// Whether every node that is killed is looked at.
    pub watch: bool,
    /// Seeded bugs of every node started from now on.
    pub bugs: Vec<&'static str>,
    /// Flags of nodes that join instead of bootstrapping.
    joins: BTreeMap<usize, Vec<String>>,
    /// Bytes of log at each node's last start.
    lives: BTreeMap<usize, usize>,
    next_dek: u32,
}

impl Lab {
    /// Voters with one setup each, not started.
    pub fn new(setups: &[Setup]) -> Self {
        let mut lab = Self {
            cluster: Cluster::new(setups.len()),
            setups: setups.iter().copied().enumerate().collect(),
            kek: rand::random(),
            written: BTreeMap::new(),
            nonces: secrets::Nonces::default(),
            watch: false,
            bugs: Vec::new(),
            joins: BTreeMap::new(),
            lives: BTreeMap::new(),
            next_dek: 100,
        };
        lab.write_kek(Kek::Own, &{ lab.kek });
        lab.write_kek(Kek::Other, &rand::random::<Key>());
        lab
    }

    /// Voters with the same setup, started, with a leader.
    pub async fn started(nodes: usize, setup: Setup) -> Self {
        let mut lab = Self::new(&vec![setup; nodes]);
        lab.start_all();
        lab.cluster.leader().await;
        lab
    }

    /// As [`Lab::started`], with snapshots every fifty entries.
    pub async fn snapshotting(nodes: usize, setup: Setup) -> Self {
        let mut lab = Self::new(&vec![setup; nodes]);
        lab.snapshot_often();
        lab.start_all();
        lab.cluster.leader().await;
        lab
    }

    /// Nodes started from now on write a snapshot every fifty entries.
    pub fn snapshot_often(&mut self) {
        let variable = "ELASTICKV_RAFT_SNAPSHOT_COUNT".to_owned();
        self.cluster.env.push((variable, SNAPSHOT_EVERY.to_owned()));
    }

    /// The KEK file of a kind.
    pub fn kek_path(&self, kek: Kek) -> PathBuf {
        self.cluster.dir().join(format!("{kek:?}.kek"))
    }

    fn write_kek(&mut self, kek: Kek, key: &Key) {
        let path = self.kek_path(kek);
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        let written = file.and_then(|mut file| file.write_all(key));
        written.expect("a KEK file");
    }

    /// The folder that holds a node's sidecar and nothing else.
    pub fn sidecar_dir(&self, node: usize) -> PathBuf {
        self.cluster.dir().join(self.cluster.name(node) + "-keys")
    }

    pub fn sidecar_path(&self, node: usize) -> PathBuf {
        self.sidecar_dir(node).join("keys.json")
    }

    /// A node's sidecar, if it has one.
    pub fn sidecar(&self, node: usize) -> Option<Sidecar> {
        Sidecar::read(&self.sidecar_path(node))
    }

    /// A node's sidecar, which must be there.
    pub fn keys_of(&self, node: usize) -> Sidecar {
        let sidecar = self.sidecar(node);
        sidecar.unwrap_or_else(|| panic!("n{} has no sidecar", node + 1))
    }

    /// The keys of a node's sidecar, unwrapped.
    pub fn deks(&self, node: usize) -> BTreeMap<u32, Key> {
        let keys = self.keys_of(node).keys.into_iter();
        keys.map(|(id, key)| {
            let dek = keys::unwrap(&self.kek, &key.wrapped());
            (id, dek.unwrap_or_else(|| panic!("{id} does not unwrap")))
        })
        .collect()
    }

    /// Changes one text of a stopped node's sidecar.
    pub fn edit_sidecar(&self, node: usize, edit: impl FnOnce(&mut serde_json::Value)) {
        let path = self.sidecar_path(node);
        let text = fs::read_to_string(&path).expect("a sidecar");
        let mut value = serde_json::from_str(&text).expect("JSON");
        edit(&mut value);
        let text = serde_json::to_string_pretty(&value).expect("JSON");
        fs::write(&path, text).expect("a sidecar");
    }

    pub fn full_node_id(&self, node: usize) -> u64 {
        keys::full_node_id(&self.cluster.name(node))
    }

    pub fn data_dir(&self, node: usize) -> PathBuf {
        self.cluster.data_dir(node)
    }

    fn flags(&self, node: usize) -> Vec<String> {
        let setup = self.setups[&node];
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let mut flags = vec!["--release".to_owned(), setup.release.to_owned()];
        if setup.enabled {
            flags.push("--encryption-enabled".to_owned());
        }
        if setup.kek != Kek::None {
            flags.extend(["--kekFile".to_owned(), text(&self.kek_path(setup.kek))]);
        }
        if setup.sidecar {
            fs::create_dir_all(self.sidecar_dir(node)).expect("a folder");
            let path = text(&self.sidecar_path(node));
            flags.extend(["--encryptionSidecarPath".to_owned(), path]);
        }
        if setup.rotate_on_startup {
            flags.push("--encryption-rotate-on-startup".to_owned());
        }
        let bugs = self.bugs.iter();
        flags.extend(bugs.flat_map(|bug| ["--bug".to_owned(), (*bug).to_owned()]));
        flags
    }

    /// Starts a node as its setup says.
    pub fn start(&mut self, node: usize) {
        self.cluster.args = self.flags(node);
        self.lives.insert(node, self.cluster.log(node).len());
        match self.joins.get(&node) {
            Some(join) => {
                let words: Vec<&str> = join.iter().map(String::as_str).collect();
                self.cluster.start_with(node, &words);
            }
            None => self.cluster.start(node),
        }
    }

    /// Starts every node that does not run.
    pub fn start_all(&mut self) {
        for node in self.setups.keys().copied().collect::<Vec<_>>() {
            if !self.cluster.is_running(node) {
                self.start(node);
            }
        }
    }

    /// SIGKILL to all.
    pub fn kill_all(&mut self) {
        for node in self.setups.keys().copied().collect::<Vec<_>>() {
            self.kill(node);
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self, node: usize) {
        self.cluster.kill(node);
        if self.watch {
            self.note_nonces(node);
        }
    }

    /// SIGKILL and start again, with this setup.
    pub fn restart_as(&mut self, node: usize, setup: Setup) {
        self.kill(node);
        self.setups.insert(node, setup);
        self.start(node);
    }

    /// SIGKILL and start again.
    pub fn restart(&mut self, node: usize) {
        self.restart_as(node, self.setups[&node]);
    }

    /// Nodes that run.
    pub fn running(&self) -> Vec<usize> {
        let nodes = self.setups.keys().copied();
        nodes.filter(|&n| self.cluster.is_running(n)).collect()
    }

    /// What a node has logged since its last start.
    pub fn said(&self, node: usize) -> String {
        let from = self.lives.get(&node).copied().unwrap_or(0);
        self.cluster.log(node).split_off(from)
    }
}

/// Whether the long tests were asked for; says so where not.
pub fn slow(what: &str) -> bool {
    let asked = std::env::var_os("KEYQUAKE_SLOW").is_some();
    if !asked {
        println!("skipped: {what}; ./test --slow runs it");
    }
    asked
}

/// Runs clusters side by side: they mostly wait for elections.
pub async fn together<F: Future<Output = ()>>(all: impl IntoIterator<Item = F>) {
    futures_util::future::join_all(all).await;
}

/// Asks again until it holds; the last reason why not goes into the failure.
pub async fn wait(what: &str, mut holds: impl AsyncFnMut() -> Result<(), String>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match holds().await {
            Ok(()) => return,
            Err(why) => assert!(Instant::now() < deadline, "no {what}: {why}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}
