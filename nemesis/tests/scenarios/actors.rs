//! Those around a fault: who leads, who knows whether a node serves, who listens.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use keyquake_cluster::{NetworkKind, NodeStatus};
use keyquake_nemesis::{
    ActiveFaults, FaultName, FaultRecord, FaultSink, Health, LeaderFinder, PlannedFault, Report,
    Step, Target, run,
};
use tokio::sync::watch;

use crate::stage::{Fixture, launch_part, until};

/// A node: threads that never rest, and a word once it serves.
pub fn part_node() {
    let tick = || {
        loop {
            thread::sleep(Duration::from_millis(1));
        }
    };
    thread::spawn(tick);
    println!("serving");
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
    fixture
        .log(node)
        .rsplit("--- started ")
        .next()
        .is_some_and(|last| last.contains("out serving"))
}

/// Keeps records, and tells when the last step changes.
pub struct Records {
    all: Mutex<Vec<FaultRecord>>,
    last: watch::Sender<Option<Step>>,
}

impl FaultSink for Records {
    fn record(&self, record: FaultRecord) {
        let step = record.step;
        self.all.lock().unwrap().push(record);
        self.last.send_replace(Some(step));
    }
}

impl Records {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            all: Mutex::new(Vec::new()),
            last: watch::Sender::new(None),
        })
    }

    pub async fn until_effective(&self) {
        let mut last = self.last.subscribe();
        last.wait_for(|&step| step == Some(Step::Effective))
            .await
            .unwrap();
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

    pub fn nodes(&self) -> Vec<u16> {
        self.all.lock().unwrap().last().unwrap().nodes.clone()
    }
}

/// A cluster whose nodes all serve.
pub async fn serving(kind: &NetworkKind, nodes: u16) -> Fixture {
    let fixture = Fixture::new(kind, nodes, launch_part("part_node")).await;
    fixture.cluster.start_all().await.unwrap();
    for node in 0..nodes {
        until("the node serves", || serves(&fixture, node)).await;
    }
    fixture
}

/// A fault that begins at once.
pub fn fault(fault: FaultName, target: Target, hold_ms: u64) -> PlannedFault {
    PlannedFault {
        at: Duration::ZERO,
        hold: Duration::from_millis(hold_ms),
        fault,
        target,
    }
}

/// Carries out one fault aimed at a cluster that n2 leads; meanwhile, once the
/// fault is in force, `sabotage` happens.
pub async fn perform(
    fixture: &Fixture,
    planned: PlannedFault,
    sabotage: impl Future<Output = ()>,
) -> (Arc<Records>, Report) {
    let records = Records::new();
    let (_go_on, stop) = watch::channel(false);
    let (active, health) = (ActiveFaults::default(), LogHealth(fixture));
    let schedule = [planned];
    let cluster = Arc::clone(&fixture.cluster);
    let running = run(
        &schedule,
        cluster,
        &Leads(Some(1)),
        &health,
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
