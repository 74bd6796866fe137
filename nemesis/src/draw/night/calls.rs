//! Calls of the administration: who gets them, how long they may take, and what hits them.

use keyquake_rollout::{Call, Model, Release, Send, Setup, Step};

use super::super::choice::Kind;
use super::super::entry;
use super::super::outlook::{End, after, after_lost, all_return, all_up, foreseen, start};
use super::{CALL, CALM, Night, START, TRANSFER};
use crate::catalogue::FaultName;
use crate::schedule::PlannedFault;
use crate::target::Target;

/// What can hit a call in flight.
const HITS: [FaultName; 3] = [FaultName::Kill, FaultName::Pause, FaultName::PartitionOne];
/// How long it is held then.
const HIT_HOLD: (u64, u64) = (800, 2_000);
/// Deadlines that may be too short, in milliseconds.
const DEADLINES: [u64; 4] = [20, 50, 100, 300];
/// The patience with a call while a fault is in force: whoever led may never answer.
const PATIENCE: u64 = 2_000;
/// An epoch of more than 16 bits.
const WIDE_EPOCH: u32 = 70_000;
/// So many calls go to who leads, for each that does not.
const ASIDE: u64 = 12;

impl Night<'_> {
    /// The voters that can take a call.
    pub(super) fn callable(&self, away: &[u16]) -> Vec<u16> {
        let voters = self.model.voters().into_iter();
        let up = voters.filter(|node| self.model.is_up(*node) && !away.contains(node));
        up.collect()
    }

    /// As [`Night::take`], for a call.
    pub(super) fn take_call(&mut self, kind: Kind, step: &Step, away: &[u16]) -> bool {
        let calm = away.is_empty();
        let Step::Call { call, send, .. } = *step else {
            return false;
        };
        let everybody = self.callable(away);
        let to = |at: &u16| super::asked(call, send, *at, away);
        let ends: Vec<_> = everybody
            .iter()
            .map(|at| foreseen(&self.model, &to(at)))
            .collect();
        let may = |at: &u16| self.model.may_be_drawn(&to(at));
        if everybody.is_empty() || !everybody.iter().all(may) {
            return false;
        }
        // Where it matters who leads, somebody is made to.
        let one = ends.iter().any(|end| *end != ends[0]);
        if one && !(calm && all_up(&self.model)) {
            return false;
        }
        let leader = match one {
            true => self.dice.one_of(&mut everybody.clone()),
            false => everybody.first().copied(),
        };
        let Some(leader) = leader else { return false };
        let step = self.varied(to(&leader));
        let Some(end) = foreseen(&self.model, &step) else {
            return false;
        };
        if one && !self.lead(leader) {
            return false;
        }
        let target = match one {
            true => Target::Nodes(vec![leader]),
            false => Target::Leader,
        };
        if let [away, ..] = away {
            return self.call_while_away(&step, target, end, *away);
        }
        if all_up(&self.model) && self.callable(&[]).len() > 1 && self.dice.once_in(ASIDE) {
            return self.call_aside(&step);
        }
        let plain = !one && send == Send::Once && end == End::Done;
        let changes = matches!(kind, Kind::Progress | Kind::Rotation);
        if plain && changes && self.dice.once_in(2) && self.hit(&step) {
            return true;
        }
        let short = plain && self.dice.once_in(6);
        self.call(&step, target, short)
    }

    /// A number that is wide now and then.
    fn varied(&mut self, mut step: Step) -> Step {
        if let Step::Call {
            call: Call::RegisterWriter,
            send: Send::Once,
            epoch,
            ..
        } = &mut step
            && self.dice.once_in(2)
        {
            *epoch = Some(WIDE_EPOCH);
        }
        step
    }

    /// Hands the leadership to a node.
    pub(super) fn lead(&mut self, to: u16) -> bool {
        let step = Step::Transfer { to };
        let entry = entry::step(self.at, &self.model, &step);
        let Some(entry) = entry.filter(|_| self.at + TRANSFER + CALL <= self.end) else {
            return false;
        };
        if self.model.voters().len() > 1 {
            self.put(entry, TRANSFER);
        }
        true
    }

    /// A call on its own, with a deadline that may be too short, or without.
    fn call(&mut self, step: &Step, target: Target, short: bool) -> bool {
        if self.at + CALL > self.end {
            return false;
        }
        let deadline = match short {
            true => self.dice.one_of(&mut DEADLINES.to_vec()),
            false => None,
        };
        let next = match deadline {
            Some(_) => self.lost(step),
            None => after(&self.model, step),
        };
        let Some((next, entry)) = next.zip(entry::call(self.at, step, target, deadline)) else {
            return false;
        };
        self.put(entry, CALL);
        self.model = next;
        true
    }

    /// A call to somebody who does not lead.
    fn call_aside(&mut self, step: &Step) -> bool {
        let mut aside = step.clone();
        if let Step::Call { leads, .. } = &mut aside {
            *leads = false;
        }
        let refused = foreseen(&self.model, &aside) == Some(End::Barred);
        refused && self.call(&aside, Target::Follower, false)
    }

    /// A call while a node is away. What it comes to then must be clear all the same.
    fn call_while_away(&mut self, step: &Step, target: Target, end: End, away: u16) -> bool {
        let next = match end {
            End::Done => self.lost(step),
            End::Barred => after(&self.model, step),
        };
        let comes_back = |model: &Model| {
            let setup = model.setup(away).unwrap_or(Setup::bare(Release::R5D));
            model.is_up(away) || foreseen(model, &start(model, away, setup)).is_some()
        };
        let next = next.filter(comes_back);
        let entry = entry::call(self.at, step, target, Some(PATIENCE));
        let Some((next, entry)) = next.zip(entry) else {
            return false;
        };
        self.put(entry, CALL);
        self.model = next;
        true
    }

    /// A call that is hit in flight: whoever leads is killed, paused or cut off before it can have
    /// answered.
    fn hit(&mut self, step: &Step) -> bool {
        let Step::Call { call, .. } = *step else {
            return false;
        };
        let kinds = HITS.into_iter().filter(|kind| self.kinds.contains(kind));
        let mut kinds: Vec<_> = kinds.collect();
        let enough = self.model.voters().len() > 2 && all_up(&self.model);
        let hold = self.dice.between(HIT_HOLD);
        let fits = self.at + hold + START <= self.end;
        let ready = enough && fits && all_return(&self.model);
        let Some(fault) = self.dice.one_of(&mut kinds).filter(|_| ready) else {
            return false;
        };
        let mut disturbed = step.clone();
        if let Step::Call { disturbed, .. } = &mut disturbed {
            *disturbed = true;
        }
        let next = self.lost(&disturbed);
        let entry = entry::call(self.at, step, Target::Leader, None);
        let Some((next, entry)) = next.zip(entry) else {
            return false;
        };
        let hits: PlannedFault = entry::hitting(call, hold, fault);
        self.schedule.extend([entry, hits]);
        self.at += hold + self.dice.between(CALM);
        self.model = next;
        true
    }

    /// The model once an answer may be lost. Of a rotation it does not matter whether it came to be:
    /// keys differ then, and nothing that may be done.
    fn lost(&self, step: &Step) -> Option<Model> {
        let lost = after_lost(&self.model, step)?;
        match step {
            Step::Call {
                call: Call::RotateStorage | Call::RotateRaft,
                ..
            } => after(&self.model, step),
            _ => Some(lost),
        }
    }
}
