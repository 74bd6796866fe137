//! A night: an operator's steps, drawn by walking the model of the rollout, and faults that are held
//! between them, over them, and hit them in flight.
//!
//! After each step the model takes in what it is for, so that the next one fits; what really comes of
//! it is judged when it comes. Times leave room for what steps take on a machine of two cores; one that
//! takes longer delays what follows.

mod calls;
mod over;
mod rolls;

use std::collections::BTreeSet;
use std::time::Duration;

use keyquake_rollout::{Call, MemberChange, Model, Release, Send, Setup, Step};

use super::choice::{Kind, MEANWHILE, WEIGHTS, kind};
use super::dice::Dice;
use super::outlook::{after, all_return, all_up, foreseen, without};
use super::{CALM, CALM_AT_END, HOLD, entry, possible};
use crate::catalogue::FaultName;
use crate::schedule::PlannedFault;

/// When the first thing happens.
const FIRST_AT: (u64, u64) = (1_200, 1_800);
/// Between two steps, beside the room that the first one has.
const GAP: (u64, u64) = (100, 600);
/// Steps between two faults.
const STEPS: (u64, u64) = (1, 3);
/// What steps take, a little more than they usually do.
const CALL: u64 = 900;
const START: u64 = 1_300;
const TRANSFER: u64 = 900;
const SAVE: u64 = 1_500;
const MEMBER: u64 = 1_800;
const REPLACE: u64 = 3_000;
/// When nothing can be done, the next look.
const LOOK_AGAIN: u64 = 500;

/// The cluster that a night begins with.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Its members, all voters, by position.
    pub setups: Vec<Setup>,
    /// Nodes behind them that can be added.
    pub spares: u16,
    /// The calls that it has taken before.
    pub calls: Vec<Call>,
    /// The releases that nodes can be rolled to.
    pub releases: Vec<Release>,
}

/// Draws the schedule of a night that lasts `duration`: an operator's steps, and faults of the
/// enabled kinds. Nothing in it is known to destroy a cluster, and a majority goes on at every moment,
/// as far as the rules of the rollout say so.
pub fn draw_night(
    seed: u64,
    duration: Duration,
    enabled: &[FaultName],
    beginning: &Beginning,
) -> Vec<PlannedFault> {
    let born = beginning.setups.len() as u16;
    let mut model = Model::new(&beginning.setups, beginning.spares);
    for call in &beginning.calls {
        model.assume(&asked(*call, Send::Once, 0, &[]));
    }
    let mut dice = Dice::of_nights(seed);
    let end = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let night = Night {
        at: dice.between(FIRST_AT),
        dice,
        model,
        born,
        releases: &beginning.releases,
        joined: BTreeSet::new(),
        kinds: possible(born, enabled),
        round: Vec::new(),
        end: end.saturating_sub(CALM_AT_END),
        schedule: Vec::new(),
    };
    night.drawn()
}

/// A call to whoever leads, as the model has it.
fn asked(call: Call, send: Send, at: u16, unreachable: &[u16]) -> Step {
    Step::Call {
        call,
        at,
        leads: true,
        send,
        epoch: None,
        disturbed: !unreachable.is_empty(),
        unreachable: unreachable.to_vec(),
    }
}

/// A night that is being drawn.
struct Night<'a> {
    dice: Dice,
    model: Model,
    /// How many nodes were members from the beginning.
    born: u16,
    releases: &'a [Release],
    /// Spares that were added.
    joined: BTreeSet<u16>,
    /// The faults there are, and those of them that are still to come before all come again.
    kinds: Vec<FaultName>,
    round: Vec<FaultName>,
    /// Now, and when all has to be over; in milliseconds.
    at: u64,
    end: u64,
    schedule: Vec<PlannedFault>,
}

impl Night<'_> {
    fn drawn(mut self) -> Vec<PlannedFault> {
        let mut steps = self.steps();
        // At the end there has to be room to start what is down.
        while self.at + START + mending(&self.model) <= self.end {
            let faulted = steps == 0 && self.fault();
            if steps == 0 && (faulted || all_up(&self.model)) {
                steps = self.steps();
            }
            if faulted {
                continue;
            }
            steps = steps.saturating_sub(1);
            if !self.step(&[]) {
                self.at += LOOK_AGAIN;
            }
        }
        while self.at + START <= self.end && !all_up(&self.model) && self.mend() {}
        self.schedule
    }

    fn steps(&mut self) -> u64 {
        STEPS.0 + self.dice.below(STEPS.1 - STEPS.0 + 1)
    }

    /// A fault that is held; false if none can be now.
    fn fault(&mut self) -> bool {
        // Who is down can't be hit, and who is hit then may be one too many.
        if self.kinds.is_empty() || !all_up(&self.model) || self.at + HOLD.0 > self.end {
            return false;
        }
        if self.round.is_empty() {
            self.round = self.dice.shuffled(&self.kinds);
        }
        let Some(fault) = self.round.pop() else {
            return false;
        };
        if over::keeps_one_away(fault) && self.dice.once_in(2) && self.fault_over_steps(fault) {
            return true;
        }
        if over::ends_nodes(fault) && !all_return(&self.model) {
            return false;
        }
        let hold = self.dice.between(HOLD).min(self.end - self.at);
        let target = self.dice.target(fault, self.born);
        self.schedule
            .push(entry::held(self.at, hold, fault, target));
        self.at += hold + self.dice.between(CALM);
        true
    }

    /// One more step; false if none can be. While nodes are `away`, only what can be done then.
    fn step(&mut self, away: &[u16]) -> bool {
        let (mut steps, mut kinds) = (Vec::new(), BTreeSet::new());
        for step in self.candidates(away) {
            let Some(end) = foreseen(&self.model, &step) else {
                continue;
            };
            let kind = kind(&self.model, &step, end, self.born, &self.joined);
            if let Some(kind) = kind.filter(|kind| away.is_empty() || MEANWHILE.contains(kind)) {
                kinds.insert(kind);
                steps.push((kind, step));
            }
        }
        if away.is_empty() && all_up(&self.model) {
            kinds.insert(Kind::Onward);
        }
        // A kind is taken first, and one of its steps then: there are many more ways to start a
        // node than to make keys.
        while !kinds.is_empty() {
            let weights = WEIGHTS.map(|(kind, weight)| match kinds.contains(&kind) {
                true => weight * self.urgency(kind),
                false => 0,
            });
            let Some((kind, _)) = self.dice.weighted(&weights).map(|at| WEIGHTS[at]) else {
                return false;
            };
            kinds.remove(&kind);
            if kind == Kind::Onward {
                if self.roll_all() {
                    return true;
                }
                continue;
            }
            let of_kind = steps.iter().filter(|(of, _)| *of == kind);
            let mut of_kind: Vec<Step> = of_kind.map(|(_, step)| step.clone()).collect();
            if self.dice.once_in(2) && of_kind.iter().any(is_plain) {
                of_kind.retain(is_plain);
            }
            while let Some(step) = self.dice.one_of(&mut of_kind) {
                if self.take(kind, &step, away) {
                    return true;
                }
            }
        }
        false
    }

    /// How much more often a kind is taken now: without keys there is little to see, so a cluster is led
    /// to where it can have some.
    fn urgency(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Onward if !self.model.is_bootstrapped() => 4,
            _ => 1,
        }
    }

    fn candidates(&self, away: &[u16]) -> Vec<Step> {
        let mut steps = self.model.candidates();
        let known = |setup: &Setup| self.releases.contains(&setup.release);
        let voters = self.model.voters().len();
        steps.retain_mut(|step| match step {
            Step::Start { node, setup, .. } => known(setup) && !away.contains(node),
            Step::Member { setup, .. } => known(setup),
            Step::Transfer { .. } => voters > 1 && all_up(&self.model),
            Step::Call { call, send, at, .. } => {
                let others = self.callable(away);
                *at = others.first().copied().unwrap_or(*at);
                *step = asked(*call, *send, *at, away);
                true
            }
            _ => true,
        });
        steps
    }

    /// Puts a step into the plan; false if it can't be, for a reason that takes a closer look.
    fn take(&mut self, kind: Kind, step: &Step, away: &[u16]) -> bool {
        if matches!(step, Step::Call { .. }) {
            return self.take_call(kind, step, away);
        }
        let room = room_of(step);
        // Who is cut off or stopped is up for the model, and is not there for the others.
        let mut there = self.model.clone();
        for node in away {
            there = without(&there, *node);
        }
        if self.at + room > self.end || !there.may_be_drawn(step) {
            return false;
        }
        let entry = entry::step(self.at, &self.model, step);
        let (Some(entry), Some(next)) = (entry, after(&self.model, step)) else {
            return false;
        };
        if self.at + room + mending(&next) > self.end {
            return false;
        }
        if let Step::Member { node, .. } = step
            && next.members().contains(node)
        {
            self.joined.insert(*node);
        }
        self.put(entry, room);
        self.model = next;
        true
    }

    /// One that is down is started so that it serves.
    fn mend(&mut self) -> bool {
        let steps = self.candidates(&[]).into_iter();
        let of_kind = steps.filter(|step| {
            let end = foreseen(&self.model, step);
            let kind = end.and_then(|end| kind(&self.model, step, end, self.born, &self.joined));
            kind == Some(Kind::Repair)
        });
        let mut of_kind: Vec<_> = of_kind.collect();
        while let Some(step) = self.dice.one_of(&mut of_kind) {
            if self.take(Kind::Repair, &step, &[]) {
                return true;
            }
        }
        false
    }

    fn put(&mut self, entry: PlannedFault, room: u64) {
        self.schedule.push(entry);
        self.at += room + self.dice.between(GAP);
    }
}

/// The room that it takes to start all that is down.
fn mending(model: &Model) -> u64 {
    let members = model.members().into_iter();
    let down = members.filter(|node| !model.is_up(*node)).count();
    down as u64 * (START + GAP.1)
}

/// A call that nothing is odd about: what a fault can hit in flight, and so what must not come too
/// seldom among its likes.
fn is_plain(step: &Step) -> bool {
    matches!(
        step,
        Step::Call {
            send: Send::Once,
            ..
        }
    )
}

fn room_of(step: &Step) -> u64 {
    match step {
        Step::Start { .. } => START,
        Step::Save { .. } => SAVE,
        Step::Call { .. } | Step::Down { .. } => CALL,
        Step::Transfer { .. } => TRANSFER,
        Step::Member {
            change: MemberChange::Replace,
            ..
        } => REPLACE,
        Step::Member { .. } => MEMBER,
    }
}

#[cfg(test)]
mod tests;
