//! Carrying a schedule out: arm, apply, show the effect, hold, heal, show that.
//!
//! Faults come one after another, but for a call and the fault that hits it `during` its flight:
//! those two live side by side. Nothing in [`Runner::perform`] relies on the order: it knows its
//! own fault only, and takes other cuts for granted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use keyquake_cluster::Cluster;
use keyquake_rollout::Call;
use tokio::sync::watch;

use crate::active::{ActiveFault, ActiveFaults};
use crate::catalogue::FaultName;
use crate::faults::{Fault, Stage, aim};
use crate::in_flight::InFlight;
use crate::operator::Operator;
use crate::record::{FaultOutcome, FaultRecord, FaultSink, Report, Step};
use crate::rollout::Rollout;
use crate::schedule::PlannedFault;
use crate::target::Target;

/// How long somebody may take to lead before `leader` means nobody.
const LEADER_WITHIN: Duration = Duration::from_secs(3);
/// A step waits longer: it is there to be done, not to hit at a moment.
const STEP_LEADER_WITHIN: Duration = Duration::from_secs(15);
/// How often the leader is asked for meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How often a held fault is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Knows who leads.
#[async_trait]
pub trait LeaderFinder: Send + Sync {
    /// The node that leads now, by position, if one does.
    async fn leader(&self) -> Option<u16>;
}

/// Knows whether a node serves.
#[async_trait]
pub trait Health: Send + Sync {
    /// Waits until the node serves; the error says how it doesn't, at `deadline`.
    async fn wait_ready(&self, node: u16, deadline: Instant) -> Result<(), String>;
}

/// Who knows what a schedule needs to know of the store.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Who leads.
    pub leader: &'a dyn LeaderFinder,
    /// Who serves.
    pub health: &'a dyn Health,
    /// What an operator can do.
    pub operator: &'a dyn Operator,
    /// What must come of what an operator does.
    pub rollout: &'a Rollout,
}

/// Carries a schedule out, from now on. Every step goes to `sink`, and `active`
/// shows what is in force. When `stop` turns true (or its sender is gone), the fault that is
/// active is healed at once, and no other begins.
pub async fn run(
    schedule: &[PlannedFault],
    cluster: Arc<Cluster>,
    around: Surroundings<'_>,
    sink: &dyn FaultSink,
    active: &ActiveFaults,
    mut stop: watch::Receiver<bool>,
) -> Report {
    let begun = Instant::now();
    let runner = Runner {
        stage: Stage {
            cluster: &cluster,
            health: around.health,
            leader: around.leader,
            operator: around.operator,
            rollout: around.rollout,
            sink,
            active,
            fault: 0,
        },
        sink,
        active,
    };
    let mut report = Report::default();
    let mut number = 0;
    while let Some(planned) = schedule.get(number) {
        let hits = schedule
            .get(number + 1)
            .filter(|next| next.during.is_some());
        let together = 1 + usize::from(hits.is_some());
        let performed = match stopped_before(begun + planned.at, &mut stop).await {
            true => None,
            false => {
                runner
                    .perform_all(number as u32, planned, hits, &stop)
                    .await
            }
        };
        let Some(outcomes) = performed else {
            report.not_reached = (schedule.len() - number) as u32;
            break;
        };
        report.faults.extend(outcomes);
        number += together;
    }
    report
}

/// Waits for a moment; true if the run was stopped before it.
async fn stopped_before(moment: Instant, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased;
        _ = stop.wait_for(|&stop| stop) => true,
        () = tokio::time::sleep_until(moment.into()) => false,
    }
}

/// A fault with how it was aimed, or why it could not be.
type Aimed = Result<(Box<dyn Fault>, String), String>;

struct Runner<'a> {
    stage: Stage<'a>,
    sink: &'a dyn FaultSink,
    active: &'a ActiveFaults,
}

impl Runner<'_> {
    /// Carries a fault out, and the one that hits it in flight; `None` when the run was stopped
    /// before they began.
    async fn perform_all(
        &self,
        number: u32,
        planned: &PlannedFault,
        hits: Option<&PlannedFault>,
        stop: &watch::Receiver<bool>,
    ) -> Option<Vec<FaultOutcome>> {
        let (mut stop, mut stop_too) = (stop.clone(), stop.clone());
        let Some(hits) = hits else {
            let aimed = self.aimed(planned, None, &mut stop).await?;
            let outcome = self.perform(number, planned, aimed, None, &mut stop).await;
            return Some(vec![outcome]);
        };
        let flight = InFlight::default();
        // Both are aimed before the call is sent, so that no time is lost then.
        let hit = self.aimed(hits, None, &mut stop).await?;
        let call = self.aimed(planned, Some(&flight), &mut stop).await?;
        let call = async {
            let outcome = self.perform(number, planned, call, None, &mut stop).await;
            // Also where it could not be aimed.
            flight.over();
            outcome
        };
        let hit = self.perform(number + 1, hits, hit, Some(&flight), &mut stop_too);
        let (call, hit) = tokio::join!(call, hit);
        Some(vec![call, hit])
    }

    /// The stage, as the fault of this number acts on it.
    fn stage_of(&self, fault: u32) -> Stage<'_> {
        Stage {
            fault,
            ..self.stage
        }
    }

    /// Aims, unless the run is stopped before.
    async fn aimed(
        &self,
        planned: &PlannedFault,
        flight: Option<&InFlight>,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Aimed> {
        tokio::select! {
            biased;
            _ = stop.wait_for(|&stop| stop) => None,
            aimed = self.aim(planned, flight) => Some(aimed),
        }
    }

    /// Carries one fault out; `flight` is the call it has to hit.
    async fn perform(
        &self,
        number: u32,
        planned: &PlannedFault,
        aimed: Aimed,
        flight: Option<&InFlight>,
        stop: &mut watch::Receiver<bool>,
    ) -> FaultOutcome {
        let (fault, nodes) = (number, vec![]);
        let mut story = Story {
            sink: self.sink,
            fault,
            name: planned.fault,
            title: planned.title(),
            nodes,
        };
        match aimed {
            Ok((fault, aimed)) => {
                story.nodes = fault.nodes();
                story.say(Step::Armed, aimed);
                let moment = match flight {
                    Some(flight) => flight.reach(planned.at).await.map(Some),
                    None => Ok(None),
                };
                match moment {
                    Ok(sent) => self.live(fault, &story, planned, sent, stop).await,
                    Err(reason) => {
                        let call = planned.during.map_or("", Call::as_str);
                        story.say(
                            Step::Ineffective,
                            format!("the moment did not come: {call}: {reason}"),
                        );
                        story.say(Step::Healed, "nothing was applied".into());
                        story.outcome(false, true)
                    }
                }
            }
            Err(reason) => {
                story.say(Step::Armed, format!("aimed at {}", planned.target));
                story.say(Step::Ineffective, reason);
                story.say(Step::Healed, "nothing was applied".into());
                story.outcome(false, true)
            }
        }
    }

    /// The life of an armed fault.
    async fn live(
        &self,
        mut fault: Box<dyn Fault>,
        story: &Story<'_>,
        planned: &PlannedFault,
        sent: Option<Instant>,
        stop: &mut watch::Receiver<bool>,
    ) -> FaultOutcome {
        let shown = self.active.show(story.as_active());
        let hold = planned.hold;
        let offset = sent.map(|sent| sent.elapsed().as_secs_f64() * 1e3);
        let (mut step, mut evidence) = self.apply(story.fault, fault.as_mut()).await;
        if let (Some(ms), Some(call)) = (offset, planned.during) {
            evidence = format!("{ms:.1} ms after {call} was sent, before its answer: {evidence}");
        }
        story.say(step, evidence);
        let mut to_the_end = String::new();
        // A step stays, so there is nothing to hold.
        if step == Step::Effective && !hold.is_zero() {
            match self.hold(fault.as_mut(), hold, stop).await {
                Ok(evidence) => to_the_end = format!("to the end {evidence}; healed: "),
                Err(reason) => {
                    step = Step::Ineffective;
                    story.say(step, format!("its effect was lost: {reason}"));
                }
            }
        }
        let stage = self.stage_of(story.fault);
        let healed = fault.heal(&stage).await;
        drop(shown);
        let outcome = story.outcome(step == Step::Effective, healed.is_ok());
        match healed {
            Ok(evidence) => story.say(Step::Healed, to_the_end + &evidence),
            Err(reason) => story.say(Step::HealFailed, to_the_end + &reason),
        }
        outcome
    }

    async fn apply(&self, number: u32, fault: &mut dyn Fault) -> (Step, String) {
        let stage = self.stage_of(number);
        let applied = match fault.apply(&stage).await {
            Ok(applied) => applied,
            Err(reason) => return (Step::Ineffective, reason),
        };
        match fault.check(&stage).await {
            Ok(seen) => (Step::Effective, format!("{applied}; {seen}")),
            Err(reason) => (Step::Ineffective, format!("{applied}; {reason}")),
        }
    }

    /// Holds a fault and looks at it now and then, and at the end once more.
    async fn hold(
        &self,
        fault: &mut dyn Fault,
        hold: Duration,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<String, String> {
        let end = Instant::now() + hold;
        loop {
            let next = end.min(Instant::now() + LOOK_EVERY);
            let stopped = stopped_before(next, stop).await;
            let seen = fault.check(&self.stage).await?;
            if stopped || next == end {
                return Ok(seen);
            }
        }
    }

    /// Finds the nodes that are meant, and says how.
    async fn aim(&self, planned: &PlannedFault, flight: Option<&InFlight>) -> Aimed {
        let size = self.stage.cluster.node_count();
        let within = if planned.fault.info().step {
            STEP_LEADER_WITHIN
        } else {
            LEADER_WITHIN
        };
        let name = |node: u16| self.stage.cluster.id(node).to_owned();
        let (nodes, how) = match &planned.target {
            Target::Leader => {
                let leader = self.find_leader(size, within).await?;
                (
                    vec![leader],
                    format!("aimed at the leader, which is {}", name(leader)),
                )
            }
            Target::Follower => {
                let leader = self.find_leader(size, within).await?;
                let follower = (leader + 1) % size;
                let how = format!(
                    "aimed at the follower after the leader {}, which is {}",
                    name(leader),
                    name(follower)
                );
                (vec![follower], how)
            }
            Target::Nodes(nodes) => (nodes.clone(), format!("aimed at {}", planned.target)),
            Target::All => ((0..size).collect(), "aimed at all".to_owned()),
            Target::Groups(_) | Target::Cuts(_) => (vec![], format!("aimed at {}", planned.target)),
        };
        if let Some(stranger) = planned
            .target
            .named()
            .into_iter()
            .find(|&node| node >= size)
        {
            return Err(format!(
                "there is no n{}: the cluster has {size} nodes",
                u32::from(stranger) + 1
            ));
        }
        Ok((aim(planned, nodes, size, flight)?, how))
    }

    async fn find_leader(&self, size: u16, within: Duration) -> Result<u16, String> {
        let deadline = Instant::now() + within;
        let mut ask = tokio::time::interval(ASK_EVERY);
        loop {
            ask.tick().await;
            let asked = tokio::time::timeout_at(deadline.into(), self.stage.leader.leader()).await;
            match asked.ok().flatten() {
                Some(leader) if leader < size => return Ok(leader),
                _ if Instant::now() >= deadline => {
                    return Err(format!(
                        "nobody led for {} s, so nobody could be hit",
                        within.as_secs()
                    ));
                }
                _ => {}
            }
        }
    }
}

/// What is told about one fault.
struct Story<'a> {
    sink: &'a dyn FaultSink,
    fault: u32,
    name: FaultName,
    title: String,
    nodes: Vec<u16>,
}

impl Story<'_> {
    fn say(&self, step: Step, evidence: String) {
        let (fault, name, nodes) = (self.fault, self.title.clone(), self.nodes.clone());
        self.sink.record(FaultRecord {
            fault,
            name,
            nodes,
            step,
            evidence,
        });
    }

    fn as_active(&self) -> ActiveFault {
        ActiveFault {
            fault: self.fault,
            name: self.name,
            title: self.title.clone(),
            nodes: self.nodes.clone(),
            since: Instant::now(),
        }
    }

    fn outcome(&self, effective: bool, healed: bool) -> FaultOutcome {
        FaultOutcome {
            fault: self.fault,
            name: self.name,
            effective,
            healed,
        }
    }
}
