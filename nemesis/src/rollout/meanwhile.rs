//! A call takes a while, and the cluster goes on meanwhile: who led may not lead any more when the
//! call is taken, and who could not be asked may be back when it is.

use keyquake_rollout::{Outcome, Step};

use super::{Expect, Must, Rollout};

impl Rollout {
    /// What must come of a call on the cluster as it is after it, if that has changed and explains the
    /// outcome. `leader` leads now, if the call was for whoever leads; `away` gives whom a node could
    /// ask neither before nor now.
    pub(crate) fn meanwhile(
        &self,
        step: &Step,
        plan: &Expect,
        outcome: &Outcome,
        leader: Option<u16>,
        away: impl Fn(u16) -> Vec<u16>,
    ) -> Option<(Must, Step)> {
        let mut now = step.clone();
        let Step::Call {
            at, unreachable, ..
        } = &mut now
        else {
            return None;
        };
        *at = leader.unwrap_or(*at);
        *unreachable = away(*at);
        if now == *step {
            return None;
        }
        let must = self.must(&now, plan)?;
        must.allows(outcome).then_some((must, now))
    }
}

#[cfg(test)]
mod tests {
    use keyquake_rollout::{Call, Release, Setup};

    use super::*;

    const OLD: Setup = Setup::bare(Release::R6A);
    const NEW: Setup = Setup::full(Release::R6F);

    fn call(call: Call, at: u16, unreachable: Vec<u16>) -> Step {
        Step::Call {
            call,
            at,
            leads: true,
            send: Default::default(),
            epoch: None,
            disturbed: false,
            unreachable,
        }
    }

    /// Whether the outcome is explained by what has changed.
    fn explained(
        rollout: &Rollout,
        step: &Step,
        outcome: &Outcome,
        leader: Option<u16>,
        away: &[u16],
    ) -> bool {
        let plan = Expect::default();
        let before = rollout.must(step, &plan).unwrap();
        assert!(!before.allows(outcome), "{before:?}");
        let after = rollout.meanwhile(step, &plan, outcome, leader, |_| away.to_vec());
        after.is_some()
    }

    #[test]
    fn a_call_is_judged_by_who_leads_when_it_is_taken() {
        let rollout = Rollout::begun(&[NEW, OLD, NEW], 0, &[]);
        let refused = Outcome::Refused(Some("proposer-not-configured".to_owned()));
        let step = call(Call::Bootstrap, 0, vec![]);
        assert!(explained(&rollout, &step, &refused, Some(1), &[]));
        assert!(!explained(&rollout, &step, &refused, Some(0), &[]));
        assert!(!explained(&rollout, &step, &refused, Some(2), &[]));
        assert!(!explained(&rollout, &step, &refused, None, &[]));
    }

    #[test]
    fn a_member_that_came_back_could_be_asked() {
        let rollout = Rollout::begun(&[NEW; 3], 0, &[Call::Bootstrap]);
        let step = call(Call::EnableStorageEnvelope, 0, vec![2]);
        assert!(explained(&rollout, &step, &Outcome::Accepted, None, &[]));
        assert!(!explained(&rollout, &step, &Outcome::Accepted, None, &[2]));
    }
}
