//! Those around a fault: who leads, who knows whether a node serves, who listens.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use keyquake_cluster::{NetworkKind, NodeSpec, NodeStatus};
use keyquake_nemesis::{
    ActiveFaults, Answer, CallRequest, Details, Expect, FaultName, FaultRecord, FaultSink, Health,
    InFlight, KeyState, LastWords, LeaderFinder, MemberChange, Operator, Outcome, OutcomeRecord,
    PlannedFault, Progress, Question, Release, Remembered, Report, Roll, Rollout, Setup, Step,
    Surroundings, Tamper, Target, Watcher, run,
};
use tokio::sync::watch;

use crate::stage::{Fixture, launch_part, until};

/// What a node says it is.
const RELEASE: &str = "KEYQUAKE_TEST_RELEASE";
/// A release that ends by itself at its start.
pub const BROKEN: &str = "broken";
/// A release that says it is another.
pub const LIAR: &str = "liar";

/// A node: threads that never rest, and a word once it serves.
pub fn part_node() {
    let tick = || {
        loop {
            thread::sleep(Duration::from_millis(1));
        }
    };
    thread::spawn(tick);
    match std::env::var(RELEASE).unwrap_or_default().as_str() {
        BROKEN => std::process::exit(1),
        LIAR => println!("serving as something else"),
        release => println!("serving as {release}"),
    }
    std::io::stdout().flush().unwrap();
    tick()
}

/// Leads for ever, or nobody does.
pub struct Leads(pub Option<u16>);

#[async_trait]
impl LeaderFinder for Leads {
    async fn leader(&self) -> Option<u16> {
        self.0
    }
}

/// Believes a node to serve when its log says so since its last start.
pub struct LogHealth<'a>(pub &'a Fixture);

#[async_trait]
impl Health for LogHealth<'_> {
    async fn wait_ready(&self, node: u16, deadline: Instant) -> Result<(), String> {
        while !serves(self.0, node) {
            if Instant::now() > deadline {
                return Err("it never said so".into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

/// Believes nobody.
pub struct NeverHealthy;

#[async_trait]
impl Health for NeverHealthy {
    async fn wait_ready(&self, _: u16, _: Instant) -> Result<(), String> {
        Err("connection refused".into())
    }
}

fn serves(fixture: &Fixture, node: u16) -> bool {
    said(fixture, node).contains("out serving")
}

/// A node's log since its last start.
fn said(fixture: &Fixture, node: u16) -> String {
    let log = fixture.log(node);
    log.rsplit("--- started ").next().unwrap_or("").to_owned()
}

/// An operator who can roll the nodes of this file, and whose calls go as told.
pub struct Hands<'a> {
    pub fixture: Option<&'a Fixture>,
    pub call: Result<u64, &'static str>,
    pub applied: Result<&'static str, &'static str>,
    /// How long its calls are in flight.
    pub takes: Duration,
    /// Whether their answers are lost.
    pub loses: bool,
    /// Where a node says that it halts, by how often it was started; it says nothing else.
    pub halts_at: Option<fn(u64) -> u64>,
    /// What a start has done to a disk, if anything; unread if it can't be told.
    pub disk: Result<Option<&'static str>, &'static str>,
}

/// A disk that was looked at before a start.
struct Disk(Option<&'static str>);

impl Remembered for Disk {
    fn changed(&self) -> Result<Option<String>, String> {
        Ok(self.0.map(str::to_owned))
    }

    fn told(&self) -> String {
        "a disk".to_owned()
    }
}

/// One who has nothing to do.
pub const IDLE: Hands<'static> = Hands {
    fixture: None,
    call: Err("nobody called"),
    applied: Err("nothing was called"),
    takes: Duration::ZERO,
    loses: false,
    halts_at: None,
    disk: Err("nothing is remembered here"),
};

const NOBODY_JOINS: Answer = Answer {
    outcome: Outcome::Failed,
    index: None,
    said: String::new(),
};

/// Nothing is expected but what plans say themselves.
pub static NO_MODEL: LazyLock<Rollout> = LazyLock::new(Rollout::default);

/// Surroundings of faults that need no operator.
pub fn around<'a>(leader: &'a dyn LeaderFinder, health: &'a dyn Health) -> Surroundings<'a> {
    Surroundings {
        leader,
        health,
        operator: &IDLE,
        rollout: &NO_MODEL,
        watcher: &*BLIND,
    }
}

#[async_trait]
impl Operator for Hands<'_> {
    async fn call(&self, request: &CallRequest, _: Option<u16>, flight: &InFlight) -> Answer {
        let answer = |outcome, index, said: &str| Answer {
            outcome,
            index,
            said: said.to_owned(),
        };
        let index = match self.call {
            Ok(index) => index,
            Err(why) => return answer(Outcome::Refused(None), None, why),
        };
        flight.sent();
        tokio::time::sleep(self.takes).await;
        flight.answered();
        if self.loses {
            return answer(Outcome::Indeterminate, None, "no answer");
        }
        let said = format!("{} at index {index}", request.call);
        answer(Outcome::Accepted, Some(index), &said)
    }

    async fn applied(&self, index: u64, _: &[u16]) -> Result<String, String> {
        Ok(format!("{} at index {index}", self.applied?))
    }

    async fn applied_index(&self, _: u16) -> Option<u64> {
        None
    }

    async fn keys(&self, _: u16) -> Option<KeyState> {
        None
    }

    fn setup(&self, node: &NodeSpec) -> Result<Setup, String> {
        Ok(Setup::bare(node.release.parse().unwrap_or(Release::R6F)))
    }

    fn joining(&self, _: &NodeSpec, _: MemberChange) -> Result<NodeSpec, String> {
        Err("nobody joins here".to_owned())
    }

    async fn member(&self, _: MemberChange, _: &NodeSpec) -> Answer {
        NOBODY_JOINS
    }

    fn collides(&self, _: &NodeSpec) -> bool {
        false
    }

    async fn transfer(&self, _: u16) -> Answer {
        NOBODY_JOINS
    }

    fn save(&self, _: &NodeSpec) -> Result<String, String> {
        Err("nothing is kept here".to_owned())
    }

    fn tamper(&self, _: &NodeSpec, _: &[Tamper], _: Option<u16>) -> Result<Vec<String>, String> {
        Err("nothing is changed here".to_owned())
    }

    fn remember(&self, _: &NodeSpec) -> Result<Box<dyn Remembered>, String> {
        let disk = self.disk.map_err(str::to_owned)?;
        Ok(Box::new(Disk(disk)))
    }

    fn last_words(&self, node: &NodeSpec, _: u64) -> Option<LastWords> {
        let starts = self
            .fixture?
            .log(node.index)
            .matches("--- started ")
            .count();
        Some(LastWords {
            name: Some("ErrKEKNotConfigured".to_owned()),
            halted: true,
            index: Some(self.halts_at?(starts as u64)),
            snapshot: false,
            line: "the node halts".to_owned(),
        })
    }

    fn rolled(&self, node: &NodeSpec, roll: &Roll) -> Result<NodeSpec, String> {
        let mut node = node.clone();
        let release = roll.release.clone().ok_or("there are only releases here")?;
        node.release.clone_from(&release);
        node.launch.env.retain(|(name, _)| name != RELEASE);
        node.launch.env.push((RELEASE.to_owned(), release));
        Ok(node)
    }

    async fn check_rolled(&self, node: &NodeSpec, roll: &Roll) -> Result<String, String> {
        let fixture = self.fixture.ok_or("there are no nodes")?;
        let wanted = format!("serving as {}", roll.release.as_deref().unwrap_or(""));
        if said(fixture, node.index).contains(&wanted) {
            Ok(wanted)
        } else {
            Err("it says it is something else".to_owned())
        }
    }
}

/// Sees a run in which clients do so many operations a second, and in which nodes answer as they
/// are told to.
pub struct Watch {
    /// When it was first asked.
    begun: OnceLock<Instant>,
    rate: f64,
    answers: Mutex<Vec<Result<String, String>>>,
    progress: Mutex<BTreeMap<u16, Progress>>,
}

/// Sees nothing happen.
pub static BLIND: LazyLock<Watch> = LazyLock::new(|| Watch::new(0.0, &[]));

impl Watch {
    pub fn new(rate: f64, answers: &[&str]) -> Self {
        let given = answers.iter().map(|answer| Ok((*answer).to_owned()));
        Self {
            begun: OnceLock::new(),
            rate,
            answers: Mutex::new(given.collect()),
            progress: Mutex::default(),
        }
    }

    /// From now on a node is so far.
    pub fn is_at(&self, node: u16, progress: Progress) {
        self.progress.lock().unwrap().insert(node, progress);
    }

    /// From now on a node answers so.
    pub fn answers(&self, node: u16, answer: Result<&str, &str>) {
        let answer = answer.map(str::to_owned).map_err(str::to_owned);
        self.answers.lock().unwrap()[usize::from(node)] = answer;
    }
}

#[async_trait]
impl Watcher for Watch {
    fn operations_done(&self) -> u64 {
        let begun = self.begun.get_or_init(Instant::now);
        (begun.elapsed().as_secs_f64() * self.rate) as u64
    }

    async fn answer(&self, node: u16, _: Question) -> Result<String, String> {
        let answers = self.answers.lock().unwrap();
        let answer = answers.get(usize::from(node));
        answer
            .cloned()
            .unwrap_or_else(|| Err("nobody asks here".to_owned()))
    }

    async fn progress(&self, node: u16) -> Result<Progress, String> {
        let progress = self.progress.lock().unwrap();
        let progress = progress.get(&node).copied();
        progress.ok_or_else(|| "it says nothing".to_owned())
    }
}

/// Keeps records, and tells once something has taken effect.
#[derive(Debug)]
pub struct Records {
    all: Mutex<Vec<FaultRecord>>,
    pub outcomes: Mutex<Vec<OutcomeRecord>>,
    effective: watch::Sender<bool>,
}

impl FaultSink for Records {
    fn record(&self, record: FaultRecord) {
        let effective = record.step == Step::Effective;
        self.all.lock().unwrap().push(record);
        // Steps are over as soon as they are effective, so this must not be forgotten.
        self.effective.send_modify(|so_far| *so_far |= effective);
    }

    fn outcome(&self, record: OutcomeRecord) {
        self.outcomes.lock().unwrap().push(record);
    }

    fn outage(&self, _: bool, _: String) {}
}

impl Records {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            all: Mutex::new(Vec::new()),
            outcomes: Mutex::default(),
            effective: watch::Sender::new(false),
        })
    }

    pub async fn until_effective(&self) {
        let mut effective = self.effective.subscribe();
        effective.wait_for(|&effective| effective).await.unwrap();
    }

    pub fn steps(&self) -> Vec<Step> {
        self.all
            .lock()
            .unwrap()
            .iter()
            .map(|record| record.step)
            .collect()
    }

    /// The evidence of the only record of a step.
    pub fn evidence(&self, step: Step) -> String {
        let all = self.all.lock().unwrap();
        let found = all
            .iter()
            .filter(|record| record.step == step)
            .collect::<Vec<_>>();
        assert_eq!(found.len(), 1, "{all:#?}");
        found[0].evidence.clone()
    }

    /// Every step of every fault, in order.
    pub fn all(&self) -> Vec<(u32, Step)> {
        let all = self.all.lock().unwrap();
        all.iter()
            .map(|record| (record.fault, record.step))
            .collect()
    }

    /// What was said of one fault of several.
    pub fn of(&self, fault: u32) -> Vec<(Step, String)> {
        let all = self.all.lock().unwrap();
        let own = all.iter().filter(|record| record.fault == fault);
        own.map(|record| (record.step, record.evidence.clone()))
            .collect()
    }

    pub fn nodes(&self) -> Vec<u16> {
        self.all.lock().unwrap().last().unwrap().nodes.clone()
    }
}

/// A cluster whose nodes all serve.
pub async fn serving(kind: &NetworkKind, nodes: u16) -> Fixture {
    up(Fixture::new(kind, nodes, launch_part("part_node")).await).await
}

/// The same cluster, once all of its nodes serve.
pub async fn up(fixture: Fixture) -> Fixture {
    fixture.cluster.start_all().await.unwrap();
    for node in 0..fixture.cluster.node_count() {
        until("the node serves", || serves(&fixture, node)).await;
    }
    fixture
}

/// A fault that begins at once.
pub fn fault(fault: FaultName, target: Target, hold_ms: u64) -> PlannedFault {
    PlannedFault {
        at: Duration::ZERO,
        when: None,
        until: None,
        hold: Duration::from_millis(hold_ms),
        fault,
        target,
        details: Details::None,
        expect: Expect::default(),
    }
}

/// A step that is taken at once.
pub fn step(fault: FaultName, target: Target, details: Details) -> PlannedFault {
    PlannedFault {
        at: Duration::ZERO,
        when: None,
        until: None,
        hold: Duration::ZERO,
        fault,
        target,
        details,
        expect: Expect::default(),
    }
}

/// Carries out one fault aimed at a cluster that n2 leads; meanwhile, once the
/// fault is in force, `sabotage` happens.
pub async fn perform(
    fixture: &Fixture,
    planned: PlannedFault,
    sabotage: impl Future<Output = ()>,
) -> (Arc<Records>, Report) {
    let hands = Hands {
        fixture: Some(fixture),
        ..IDLE
    };
    perform_with(fixture, &hands, &[planned], sabotage).await
}

/// The same with an operator, and with several faults.
pub async fn perform_with(
    fixture: &Fixture,
    operator: &Hands<'_>,
    schedule: &[PlannedFault],
    sabotage: impl Future<Output = ()>,
) -> (Arc<Records>, Report) {
    perform_watched(fixture, operator, &*BLIND, schedule, sabotage).await
}

/// The same with somebody who sees moments.
pub async fn perform_watched(
    fixture: &Fixture,
    operator: &Hands<'_>,
    watcher: &dyn Watcher,
    schedule: &[PlannedFault],
    sabotage: impl Future<Output = ()>,
) -> (Arc<Records>, Report) {
    let records = Records::new();
    let (_go_on, stop) = watch::channel(false);
    let (active, health) = (ActiveFaults::default(), LogHealth(fixture));
    let cluster = Arc::clone(&fixture.cluster);
    let running = run(
        schedule,
        cluster,
        Surroundings {
            leader: &Leads(Some(1)),
            health: &health,
            operator,
            rollout: &NO_MODEL,
            watcher,
        },
        records.as_ref(),
        &active,
        stop,
    );
    let meanwhile = async {
        records.until_effective().await;
        sabotage.await;
        std::future::pending::<()>().await;
    };
    let report = tokio::select! { report = running => report, () = meanwhile => unreachable!("it never ends") };
    assert!(active.now().is_empty());
    (records, report)
}

pub fn pid(fixture: &Fixture, node: u16) -> u32 {
    match fixture.cluster.status(node) {
        NodeStatus::Running { pid } | NodeStatus::Paused { pid } => pid,
        status => panic!("n{} is {status}", node + 1),
    }
}
