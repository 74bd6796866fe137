//! Faults that are held over steps: a node is away, and the operator goes on.

use keyquake_rollout::Step;

use super::super::entry;
use super::super::outlook::{after, returns, start, without};
use super::{CALL, CALM, HOLD, Night, TRANSFER};
use crate::catalogue::FaultName;
use crate::target::Target;

/// From the beginning of the fault to the first step, and to the last one's end.
const LEAD: u64 = 400;

/// Whether a kind keeps one node away, and leaves the others alone.
pub(super) fn keeps_one_away(fault: FaultName) -> bool {
    use FaultName::{Kill, PartitionOne, Pause, Restart};
    matches!(fault, Kill | Pause | PartitionOne | Restart)
}

/// Whether a kind ends processes, or may.
pub(super) fn ends_nodes(fault: FaultName) -> bool {
    use FaultName::{CrashLoop, FullDisk, Kill, MemoryLimit, Restart};
    matches!(fault, CrashLoop | FullDisk | Kill | MemoryLimit | Restart)
}

impl Night<'_> {
    /// Holds it over one node by name, and goes on with what can be done without that; false if
    /// nothing can.
    pub(super) fn fault_over_steps(&mut self, fault: FaultName) -> bool {
        let mut voters = self.model.voters();
        let enough = voters.len() > 2;
        let fits = self.at + TRANSFER + HOLD.1 <= self.end;
        let Some(node) = self.dice.one_of(&mut voters).filter(|_| enough && fits) else {
            return false;
        };
        let ends = ends_nodes(fault);
        if ends && !returns(&self.model, node) {
            return false;
        }
        if self.dice.once_in(3) && !self.lead(node) {
            return false;
        }
        let hold = self.dice.between(HOLD);
        let over = self.at + hold;
        let target = Target::Nodes(vec![node]);
        self.schedule
            .push(entry::held(self.at, hold, fault, target));
        if ends {
            self.model = without(&self.model, node);
        }
        self.at += LEAD;
        while self.at + CALL <= over && self.step(&[node]) {}
        self.at = self.at.max(over) + self.dice.between(CALM);
        if ends && let Some(setup) = self.model.setup(node) {
            let mut back: Step = start(&self.model, node, setup);
            if let Step::Start { was_serving, .. } = &mut back {
                *was_serving = true;
            }
            match after(&self.model, &back) {
                Some(next) => self.model = next,
                None => self.model.assume(&back),
            }
        }
        true
    }
}
