//! Carrying a schedule out: waiting, aiming, and then each fault's life.
//!
//! Every entry of a schedule has a life of its own ([`Runner::entry`]), and they live side by side: what
//! makes them wait for one another is in [`Course`]. Nothing in [`Runner::perform`] relies on an order: it
//! knows its own fault only, and takes other cuts for granted.

mod aiming;
mod life;
mod story;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures_util::future::join_all;
use keyquake_cluster::Cluster;
use tokio::sync::watch;

use self::story::Story;
use crate::active::ActiveFaults;
use crate::course::{Come, Course};
use crate::faults::{Fault, Stage};
use crate::moment::watch::{Reached, Sought};
use crate::moment::{Watcher, When};
use crate::operator::Operator;
use crate::record::{FaultOutcome, FaultSink, Report, Step};
use crate::rollout::Rollout;
use crate::schedule::PlannedFault;

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
}
