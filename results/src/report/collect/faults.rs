//! The life of each fault: armed, effective, healed, with evidence.

use std::collections::BTreeMap;

use elle_rs::history::{FaultEvent, FaultStep, OutcomeEvent};

/// The faults of a run, by their position in the plan.
#[derive(Debug, Default)]
pub struct Faults {
    lives: BTreeMap<u32, FaultLife>,
}

/// One fault from arming to healing.
#[derive(Debug)]
pub struct FaultLife {
    /// Its position in the plan, from 0.
    pub fault: u32,
    /// Its name.
    pub name: String,
    /// The nodes it was last said to be aimed at.
    pub nodes: Vec<u16>,
    /// What happened, in order.
    pub steps: Vec<FaultEvent>,
    /// What came of it beside what must, for an operator's step.
    pub outcomes: Vec<OutcomeEvent>,
}

impl Faults {
    pub(super) fn add(&mut self, event: FaultEvent) {
        let life = self.lives.entry(event.fault).or_insert_with(|| FaultLife {
            fault: event.fault,
            name: event.name.clone(),
            nodes: Vec::new(),
            steps: Vec::new(),
            outcomes: Vec::new(),
        });
        if !event.nodes.is_empty() {
            life.nodes.clone_from(&event.nodes);
        }
        life.steps.push(event);
    }

    /// A step is armed before anything comes of it; an outcome of a fault never heard of is
    /// the judge's to see.
    pub(super) fn add_outcome(&mut self, outcome: OutcomeEvent) {
        if let Some(life) = self.lives.get_mut(&outcome.fault) {
            life.outcomes.push(outcome);
        }
    }

    /// The faults in the plan's order.
    pub fn iter(&self) -> impl Iterator<Item = &FaultLife> {
        self.lives.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lives.len()
    }

    /// How many were seen to take effect, and to be undone.
    pub fn proven(&self) -> usize {
        self.iter()
            .filter(|life| life.outcome() == "effective, healed")
            .count()
    }
}

impl FaultLife {
    /// When it first came to a step.
    pub fn time_of(&self, step: FaultStep) -> Option<u64> {
        self.steps
            .iter()
            .find(|event| event.step == step)
            .map(|event| event.time_ns)
    }

    /// When it was first heard of.
    pub fn began_ns(&self) -> u64 {
        self.steps.first().map_or(0, |event| event.time_ns)
    }

    /// When it was over; `None` when nothing says so.
    pub fn ended_ns(&self) -> Option<u64> {
        self.time_of(FaultStep::Healed)
            .or_else(|| self.time_of(FaultStep::HealFailed))
    }

    /// Whether something was seen that shows it in force, and nothing that shows it was not.
    pub fn was_effective(&self) -> bool {
        self.time_of(FaultStep::Effective).is_some()
            && self.time_of(FaultStep::Ineffective).is_none()
    }

    /// How it went, in a few words.
    pub fn outcome(&self) -> &'static str {
        let healed = self.time_of(FaultStep::Healed).is_some();
        let failed = self.time_of(FaultStep::HealFailed).is_some();
        match (
            self.was_effective(),
            self.time_of(FaultStep::Ineffective).is_some(),
        ) {
            _ if failed => "healing failed",
            (true, _) if healed => "effective, healed",
            (true, _) => "effective, not healed",
            (_, true) => "no effect",
            _ => "armed only",
        }
    }
}
