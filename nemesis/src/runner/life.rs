//! The life of a fault whose moment has come: applied, shown in force, held, healed, shown undone.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::story::Story;
use super::{Runner, stopped_before};
use crate::faults::Fault;
use crate::moment::watch::Reached;
use crate::record::{FaultOutcome, Step};
use crate::schedule::PlannedFault;
use crate::until::{Away, Until};

/// How often a held fault is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long a node that was kept away may take to catch up, before it is told that it has not.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// How often it is asked meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(50);

impl Runner<'_> {
    /// The life of an armed fault.
    pub(super) async fn live(
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
            let steps_are_over = self.course.steps_within_are_over(story.fault as usize);
            if let Some(away) = away.as_mut()
                && steps_are_over
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
