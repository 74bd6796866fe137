//! What a step may come to in one world.

use crate::apply::Members;
use crate::outcome::Outcome;
use crate::world::World;

/// One thing that a step may come to, and the world after it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub outcome: Outcome,
    /// What becomes of members then; those not named go on.
    pub members: Members,
    /// Whether nothing has changed on any disk then.
    pub unchanged: bool,
    pub next: World,
}

/// All that a step may come to in one world; the first is what it is for.
#[derive(Clone, Debug)]
pub(crate) struct Forecast {
    pub invariant: &'static str,
    pub because: String,
    pub cases: Vec<Case>,
}

impl Forecast {
    pub fn new(invariant: &'static str, because: impl Into<String>) -> Self {
        Self {
            invariant,
            because: because.into(),
            cases: Vec::new(),
        }
    }

    /// It may come to this, which changes nothing.
    pub fn nothing(&mut self, outcome: Outcome, world: &World) {
        self.case(outcome, world.clone(), Members::new(), true);
    }

    /// It may come to this.
    pub fn may(&mut self, outcome: Outcome, next: World) {
        self.case(outcome, next, Members::new(), false);
    }

    pub fn case(&mut self, outcome: Outcome, next: World, members: Members, unchanged: bool) {
        self.cases.push(Case {
            outcome,
            members,
            unchanged,
            next,
        });
    }

    /// Members that may end at any moment may end now.
    pub fn restless(mut self, members: &Members) -> Self {
        for case in &mut self.cases {
            for (node, outcomes) in members {
                let named = case
                    .members
                    .entry(*node)
                    .or_insert_with(|| outcomes.clone());
                // What is certain of it stays so.
                if named.contains(&Outcome::Serves) {
                    let more: Vec<_> = outcomes
                        .iter()
                        .filter(|o| !named.contains(o))
                        .cloned()
                        .collect();
                    named.extend(more);
                }
            }
        }
        self
    }
}

/// A refusal of this name.
pub(crate) fn refused(name: &str) -> Outcome {
    Outcome::Refused(Some(name.to_owned()))
}
