//! A cluster with or without a bug, the steps taken on it, and what was found wrong. Nothing
//! here takes it for granted that the store is right.

use std::collections::BTreeMap;
use std::time::Duration;

use elastickv_wire::raw_kv_client::RawKvClient;
use elastickv_wire::{RawGetRequest, RawPutRequest};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::cluster::PATIENCE;
use crate::kit::keys::{self, Key};
use crate::kit::{Call, Done, Lab, Purpose, Setup};
use crate::symptom::{Finding, Symptom};

/// Everything on, the newest release.
pub const ALL: Setup = Setup::all("6f");
/// What is not acknowledged by then will not be: well above anything a working store needs.
pub const TOO_LONG: Duration = Duration::from_secs(15);
/// One try of a write or read.
const TRY: Duration = Duration::from_secs(6);
const POLL: Duration = Duration::from_millis(20);

/// How a process that was started went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    Serves,
    /// Ended, with everything it said.
    Ended(String),
}

/// A value that was acknowledged.
#[derive(Clone, Debug)]
pub struct Value {
    pub key: String,
    pub text: String,
    /// Whether it was sealed on its way to the state.
    pub sealed: bool,
}

/// A cluster under observation.
pub struct Run {
    pub lab: Lab,
    pub found: Vec<Finding>,
    pub written: Vec<Value>,
    /// Every DEK that the test made.
    pub deks: BTreeMap<u32, Key>,
    /// Whether phase 1 is on.
    pub phase_1: bool,
}

impl Run {
    /// Voters with these setups, all of them with the bug; not started.
    pub fn new(bug: Option<&'static str>, setups: &[Setup]) -> Self {
        let mut lab = Lab::new(setups);
        lab.bugs.extend(bug);
        Self {
            lab,
            found: Vec::new(),
            written: Vec::new(),
            deks: BTreeMap::new(),
            phase_1: false,
        }
    }

    pub fn find(&mut self, symptom: Symptom, what: impl Into<String>) {
        let what = what.into();
        self.found.push(Finding { symptom, what });
    }

    /// The finding if something is so.
    pub fn find_if(&mut self, wrong: bool, symptom: Symptom, what: impl Into<String>) {
        if wrong {
            self.find(symptom, what);
        }
    }

    /// Whoever says that it leads.
    pub async fn leader(&self) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for node in self.lab.running() {
                if self
                    .lab
                    .cluster
                    .status(node)
                    .await
                    .is_ok_and(|s| s.state == 3)
                {
                    return node;
                }
            }
            assert!(Instant::now() < deadline, "nobody leads");
            sleep(POLL).await;
        }
    }

    /// A running node that does not lead.
    pub async fn follower(&self) -> usize {
        let leader = self.leader().await;
        let mut running = self.lab.running().into_iter();
        running.find(|node| *node != leader).expect("a follower")
    }

    /// A client of a node.
    pub async fn kv(&self, node: usize) -> RawKvClient<Channel> {
        self.lab.cluster.kv(node).await
    }

    /// Waits, as long as anyone should have to, until every running node has applied what
    /// the leader has committed.
    pub async fn catch_up(&self) -> Result<(), String> {
        let deadline = Instant::now() + TOO_LONG;
        loop {
            match self.behind().await {
                Ok(()) => return Ok(()),
                Err(why) if Instant::now() > deadline => return Err(why),
                Err(_) => sleep(POLL).await,
            }
        }
    }

    async fn behind(&self) -> Result<(), String> {
        let leader = self.leader().await;
        let status = self.lab.cluster.status(leader).await;
        let commit = status.map_err(|error| error.to_string())?.commit_index;
        for node in self.lab.running() {
            let status = self.lab.cluster.status(node).await;
            let applied = status.map_err(|e| format!("n{}: {e}", node + 1))?;
            if applied.applied_index < commit {
                let applied = applied.applied_index;
                return Err(format!("n{} applied {applied} of {commit}", node + 1));
            }
        }
        Ok(())
    }

    /// As [`Run::catch_up`]; a cluster that does not get there is a finding.
    pub async fn caught_up(&mut self) {
        if let Err(why) = self.catch_up().await {
            self.find(Symptom::Stuck, why);
        }
    }

    /// Writes new values, all at once, through the leader; each until it is acknowledged.
    pub async fn write(&mut self, prefix: &str, count: usize) {
        let deadline = Instant::now() + TOO_LONG;
        let values = (0..count).map(|number| Value {
            key: format!("{prefix}-{number}"),
            text: format!("canary-{prefix}-{number}-{:032x}", rand::random::<u128>()),
            sealed: self.phase_1,
        });
        let mut open: Vec<Value> = values.collect();
        while !open.is_empty() && Instant::now() < deadline {
            let kv = self.kv(self.leader().await).await;
            let puts = open.drain(..).map(|value| put(kv.clone(), value));
            for outcome in futures_util::future::join_all(puts).await {
                match outcome {
                    Ok(value) => self.written.push(value),
                    Err(value) => open.push(value),
                }
            }
        }
        if let Some(value) = open.first() {
            let what = format!("{} of {count} not taken, as {}", open.len(), value.key);
            self.find(Symptom::Stuck, what);
        }
    }

    /// Reads everything written back through the leader.
    pub async fn check(&mut self) {
        let kv = self.kv(self.leader().await).await;
        let reads = self.written.iter().map(|value| get(kv.clone(), value));
        let wrong = futures_util::future::join_all(reads).await;
        for what in wrong.into_iter().flatten() {
            self.find(Symptom::NotReadBack, what);
        }
    }

    /// Makes a call of the leader, again where the leader moved or did not know itself yet.
    pub async fn call(&self, call: &Call) -> Result<Done, Status> {
        let deadline = Instant::now() + TOO_LONG;
        loop {
            let leader = self.leader().await;
            match call.make(&mut self.lab.admin(leader).await).await {
                Err(status) if passing(&status) && Instant::now() < deadline => sleep(POLL).await,
                outcome => return outcome,
            }
        }
    }

    fn note_keys(&mut self, call: &Call) {
        let made = match call {
            Call::Bootstrap(call) => vec![
                (call.storage_dek_id, call.wrapped_storage_dek.clone()),
                (call.raft_dek_id, call.wrapped_raft_dek.clone()),
            ],
            Call::Rotate(call) => vec![(call.new_dek_id, call.wrapped_new_dek.clone())],
            _ => Vec::new(),
        };
        for (id, wrapped) in made {
            let dek = keys::unwrap(&self.lab.kek, &wrapped).expect("a key made here");
            self.deks.insert(id, dek);
        }
    }

    /// Bootstraps with new keys.
    pub async fn bootstrap(&mut self) -> Result<Done, Status> {
        let call = self.lab.bootstrap_call().await;
        self.note_keys(&call);
        self.call(&call).await
    }

    /// Rotates to a new key: its id. A leader that moved, or that has to find out its own
    /// epoch first, is asked anew.
    pub async fn rotate(&mut self, purpose: Purpose) -> u32 {
        let deadline = Instant::now() + TOO_LONG;
        loop {
            let call = self.lab.rotate_call(purpose).await;
            self.note_keys(&call);
            let leader = self.leader().await;
            let outcome = call.make(&mut self.lab.admin(leader).await).await;
            match (&call, outcome) {
                (Call::Rotate(request), Ok(_)) => return request.new_dek_id,
                (_, outcome) => assert!(Instant::now() < deadline, "{purpose:?}: {outcome:?}"),
            }
            sleep(POLL).await;
        }
    }

    /// Cuts over: what the leader answered.
    pub async fn enable(&mut self, purpose: Purpose) -> Result<Done, Status> {
        let _ = self.catch_up().await;
        let call = self.lab.enable_call(purpose).await;
        let outcome = self.call(&call).await;
        self.phase_1 |= outcome.is_ok();
        outcome
    }

    /// Bootstrap and phase 1.
    pub async fn enter_phase_1(&mut self) {
        self.bootstrap().await.expect("a bootstrap");
        self.enable(Purpose::Storage).await.expect("phase 1");
    }

    /// Bootstrap and both phases; the cutover index.
    pub async fn enter_phase_2(&mut self) -> u64 {
        self.enter_phase_1().await;
        self.enable(Purpose::Raft).await.expect("phase 2").index
    }

    /// Waits until a started node answers or ends.
    pub async fn started(&mut self, node: usize) -> Start {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.ended(node).await {
                return Start::Ended(self.lab.said(node));
            }
            if self.lab.cluster.status(node).await.is_ok() {
                return Start::Serves;
            }
            assert!(Instant::now() < deadline, "n{} does nothing", node + 1);
            sleep(POLL).await;
        }
    }

    /// Whether a node has ended by itself.
    pub async fn ended(&mut self, node: usize) -> bool {
        if !self.lab.cluster.is_running(node) {
            return true;
        }
        timeout(POLL, self.lab.cluster.exit_code(node))
            .await
            .is_ok()
    }
}

async fn put(mut kv: RawKvClient<Channel>, value: Value) -> Result<Value, Value> {
    let put = RawPutRequest {
        key: value.key.clone().into(),
        value: value.text.clone().into(),
    };
    match timeout(TRY, kv.raw_put(put)).await {
        Ok(Ok(_)) => Ok(value),
        _ => Err(value),
    }
}

async fn get(mut kv: RawKvClient<Channel>, value: &Value) -> Option<String> {
    let get = RawGetRequest {
        key: value.key.clone().into(),
        ..RawGetRequest::default()
    };
    let deadline = Instant::now() + TOO_LONG;
    loop {
        let why = match timeout(TRY, kv.raw_get(get.clone())).await {
            Ok(Ok(answer)) if answer.get_ref().value == value.text.as_bytes() => return None,
            Ok(Ok(answer)) => return Some(format!("{}: {:?}", value.key, answer.into_inner())),
            Ok(Err(error)) => format!("{}: {error}", value.key),
            Err(_) => format!("{}: no answer", value.key),
        };
        if Instant::now() > deadline {
            return Some(why);
        }
        sleep(POLL).await;
    }
}

/// Whether the same call may be made again.
fn passing(status: &Status) -> bool {
    const TEXTS: [&str; 5] = [
        "not leader",
        "VerifyLeader",
        "raced",
        "not registered yet",
        "rejected by raft engine",
    ];
    status.code() == Code::Unavailable || TEXTS.iter().any(|text| status.message().contains(text))
}
