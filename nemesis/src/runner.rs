//! Carrying a schedule out: arm, apply, show the effect, hold, heal, show that.
//!
//! Every entry of a schedule has a life of its own ([`Runner::entry`]), and they live side by side: what
//! makes them wait for one another is in [`Course`]. Nothing in [`Runner::perform`] relies on an order: it
//! knows its own fault only, and takes other cuts for granted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use keyquake_cluster::Cluster;
use tokio::sync::watch;

use crate::active::{ActiveFault, ActiveFaults};
use crate::catalogue::FaultName;
use crate::course::{Come, Course};
use crate::faults::{Fault, Stage, aim};
use crate::moment::watch::{Reached, Sought};
use crate::moment::{Watcher, When};
use crate::operator::Operator;
use crate::record::{FaultOutcome, FaultRecord, FaultSink, Report, Step};
use crate::rollout::Rollout;
use crate::schedule::PlannedFault;
use crate::target::Target;
use crate::until::{Away, Until};

/// How long somebody may take to lead before `leader` means nobody.
const LEADER_WITHIN: Duration = Duration::from_secs(3);
/// A step waits longer: it is there to be done, not to hit at a moment.
const STEP_LEADER_WITHIN: Duration = Duration::from_secs(15);
/// How often the leader is asked for meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How often a held fault is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// How long a node that was kept away may take to catch up, before it is told that it has not.
const BACK_WITHIN: Duration = Duration::from_secs(5);

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
    /// What moments are seen by.
    pub watcher: &'a dyn Watcher,
}

/// Carries a schedule out, from now on. Every step goes to `sink`, and `active`
/// shows what is in force. When `stop` turns true (or its sender is gone), what is
/// active is healed at once, and nothing else begins.
pub async fn run(
    schedule: &[PlannedFault],
    cluster: Arc<Cluster>,
    around: Surroundings<'_>,
    sink: &dyn FaultSink,
    active: &ActiveFaults,
    stop: watch::Receiver<bool>,
) -> Report {
    let course = Course::of(schedule);
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
        watcher: around.watcher,
        course: &course,
        begun: Instant::now(),
        sink,
        active,
    };
    let entries = (0..schedule.len()).map(|number| runner.entry(number, stop.clone()));
    let outcomes = join_all(entries).await;
    let reached: Vec<_> = outcomes.into_iter().flatten().collect();
    Report {
        not_reached: (schedule.len() - reached.len()) as u32,
        faults: reached,
    }
}

/// Waits for a moment; true if the run was stopped before it.
async fn stopped_before(moment: Instant, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased;
        _ = stop.wait_for(|&stop| stop) => true,
        () = tokio::time::sleep_until(moment.into()) => false,
    }
}

/// A fault with how it was aimed and at which node before all, or why it could not be.
type Aimed = Result<(Box<dyn Fault>, String, Option<u16>), String>;

/// An entry whose time or moment has come, or was missed.
struct Ready {
    /// `None` if its moment was missed before anybody was looked for.
    aimed: Option<Aimed>,
    /// The moment, if it waited for one; or why that was missed.
    moment: Result<Option<Reached>, String>,
}

struct Runner<'a> {
    stage: Stage<'a>,
    watcher: &'a dyn Watcher,
    course: &'a Course<'a>,
    begun: Instant,
    sink: &'a dyn FaultSink,
    active: &'a ActiveFaults,
}

impl Runner<'_> {
    /// The life of an entry; `None` when the run was stopped before it began.
    async fn entry(&self, number: usize, mut stop: watch::Receiver<bool>) -> Option<FaultOutcome> {
        let _turn = self.course.turn(number);
        let ready = tokio::select! {
            biased;
            _ = stop.wait_for(|&stop| stop) => return None,
            ready = self.ready(number) => ready,
        };
        Some(self.perform(number, ready, &mut stop).await)
    }

    /// The stage, as the fault of this number acts on it.
    fn stage_of(&self, fault: u32) -> Stage<'_> {
        Stage {
            fault,
            ..self.stage
        }
    }

    /// Waits until an entry is to be carried out.
    async fn ready(&self, number: usize) -> Ready {
        let planned = self.course.planned(number);
        match &planned.when {
            Some(when) => self.ready_when(number, when).await,
            None => {
                tokio::time::sleep_until((self.begun + planned.at).into()).await;
                self.course.way_is_free(number).await;
                self.course.comes_to(number, Come::Armed);
                self.course.moments_are_armed(number).await;
                self.course.comes_to(number, Come::Running);
                Ready {
                    aimed: Some(self.aim(number).await),
                    moment: Ok(None),
                }
            }
        }
    }

    async fn ready_when(&self, number: usize, when: &When) -> Ready {
        self.course.group_begins(number).await;
        // What hits a call is aimed before that is sent, so that no time is lost then. Others may
        // wait long, and somebody else may lead by then.
        let mut aimed = match when.moment.call() {
            Some(_) => Some(self.aim(number).await),
            None => None,
        };
        let flight = self.course.flight_to_hit(number);
        let sought = Sought::arm(when, self.stage.cluster, self.watcher, &flight).await;
        self.course.comes_to(number, Come::Armed);
        let moment = sought.reach(self.course.planned(number).at).await;
        self.course.comes_to(number, Come::Running);
        if moment.is_ok() && aimed.is_none() {
            aimed = Some(self.aim(number).await);
        }
        Ready {
            aimed,
            moment: moment.map(Some),
        }
    }

    /// Carries out what is ready.
    async fn perform(
        &self,
        number: usize,
        ready: Ready,
        stop: &mut watch::Receiver<bool>,
    ) -> FaultOutcome {
        let planned = self.course.planned(number);
        let mut story = Story {
            sink: self.sink,
            fault: number as u32,
            name: planned.fault,
            title: planned.title(),
            nodes: vec![],
            first: None,
        };
        let aimed = match ready.aimed {
            Some(Ok((fault, how, first))) => {
                story.first = first;
                story.nodes = fault.nodes();
                story.say(Step::Armed, how);
                Ok(fault)
            }
            other => {
                story.say(Step::Armed, format!("aimed at {}", planned.target));
                // Without an aim there is no moment either.
                Err(other.and_then(Result::err).unwrap_or_default())
            }
        };
        let missed = |reason| format!("the moment did not come: {reason}");
        let fault_and_moment = match (ready.moment.map_err(missed), aimed) {
            (Err(reason), _) | (_, Err(reason)) => Err(reason),
            (Ok(moment), Ok(fault)) => {
                let hold = self.course.hold(number, &story.nodes);
                hold.map(|()| (fault, moment))
            }
        };
        match fault_and_moment {
            Ok((fault, moment)) => self.live(fault, &story, planned, moment, stop).await,
            Err(reason) => {
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
        moment: Option<Reached>,
        stop: &mut watch::Receiver<bool>,
    ) -> FaultOutcome {
        let shown = self.active.show(story.as_active());
        let hold = planned.hold;
        let offset = |moment: Reached| {
            let ms = moment.since.elapsed().as_secs_f64() * 1e3;
            format!("{ms:.1} ms after {}: ", moment.what)
        };
        let offset = moment.map(offset).unwrap_or_default();
        let (mut step, evidence) = self.apply(story.fault, fault.as_mut()).await;
        story.say(step, offset + &evidence);
        let mut away = planned.until.map(|Until::Snapshot| {
            let node = story.first.unwrap_or_default();
            Away::new(self.watcher, self.stage.cluster, node)
        });
        let mut to_the_end = String::new();
        // A step stays, so there is nothing to hold.
        if step == Step::Effective && !hold.is_zero() {
            match self
                .hold(fault.as_mut(), story, hold, away.as_mut(), stop)
                .await
            {
                Ok(evidence) => to_the_end = format!("to the end {evidence}; healed: "),
                Err(reason) => {
                    step = Step::Ineffective;
                    story.say(step, reason);
                }
            }
        }
        let stage = self.stage_of(story.fault);
        let mut healed = fault.heal(&stage).await;
        if let (Some(away), Ok(evidence), Step::Effective) = (away, &mut healed, step) {
            evidence.push_str(&back(&away).await);
        }
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
        story: &Story<'_>,
        hold: Duration,
        mut away: Option<&mut Away<'_>>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<String, String> {
        let end = Instant::now() + hold;
        loop {
            let next = end.min(Instant::now() + LOOK_EVERY);
            let stopped = stopped_before(next, stop).await;
            let seen = fault.check(&self.stage_of(story.fault)).await;
            let seen = seen.map_err(|reason| format!("its effect was lost: {reason}"))?;
            if let Some(away) = away.as_mut()
                && let Some(said) = away.look().await
            {
                return Ok(format!("{seen}; {said}"));
            }
            if stopped || next == end {
                return match away {
                    None => Ok(seen),
                    Some(away) => Err(format!("it was held for too short: {}", away.not_yet())),
                };
            }
        }
    }

    /// Finds the nodes that are meant, and says how.
    async fn aim(&self, number: usize) -> Aimed {
        let planned = self.course.planned(number);
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
                // One that another fault has hold of is none to be had.
                let members = self.stage.insiders();
                let others = (1..size).map(|step| (leader + step) % size);
                let others: Vec<_> = others.filter(|node| members.contains(node)).collect();
                let is_free = |node: &&u16| !self.course.has_hold_of(**node);
                let follower = others.iter().find(is_free).or(others.first());
                let follower = *follower.ok_or("the leader is the only member")?;
                let how = format!(
                    "aimed at the follower after the leader {}, which is {}",
                    name(leader),
                    name(follower)
                );
                (vec![follower], how)
            }
            Target::Nodes(nodes) => (nodes.clone(), format!("aimed at {}", planned.target)),
            Target::All => (self.stage.insiders(), "aimed at all".to_owned()),
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
        let flight = self.course.own_flight(number);
        let first = nodes.first().copied();
        Ok((aim(planned, nodes, size, flight)?, how, first))
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

/// Waits a while until a node that was kept away is back; what there is to say of it.
async fn back(away: &Away<'_>) -> String {
    let deadline = Instant::now() + BACK_WITHIN;
    loop {
        match away.is_back().await {
            Some(said) => return format!("; {said}"),
            None if Instant::now() >= deadline => {
                return format!(
                    "; {} s later it had caught up by no snapshot yet",
                    BACK_WITHIN.as_secs()
                );
            }
            None => tokio::time::sleep(ASK_EVERY).await,
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
    /// The node it is aimed at before all.
    first: Option<u16>,
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
