//! What must come of a step, over all worlds that are possible.

use crate::apply::Members;
use crate::case::{Case, Forecast};
use crate::outcome::{Outcome, Seen};

/// What must come of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The invariant that another outcome breaks: `ROL-GATE`, ….
    pub invariant: &'static str,
    /// What the step itself may come to; one of these. The first is what it is for.
    pub outcomes: Vec<Outcome>,
    /// What may become of members because of it, by position, whatever the step comes to; see
    /// [`Expectation::given`] for what must, once that is known. Members not named go on as they are.
    pub members: Members,
    /// Whether nothing may have changed on any disk, whatever the step comes to: neither sidecars nor
    /// what is replicated.
    pub unchanged: bool,
    /// The rule it comes from, for a person.
    pub because: String,
    cases: Vec<Given>,
}

/// What must be, once it is known what the step itself came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    outcome: Outcome,
    /// What must become of members, by position: one of these. `serves` says that it may go on.
    pub members: Members,
    /// Whether nothing may have changed on any disk.
    pub unchanged: bool,
}

/// A difference between what was seen and what must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The invariant it breaks.
    pub invariant: &'static str,
    /// The member it was seen of; `None`: the step itself.
    pub member: Option<u16>,
    /// What was expected.
    pub expected: Vec<Outcome>,
    /// What was seen.
    pub seen: Outcome,
}

impl Expectation {
    pub(crate) fn merge(forecasts: impl Iterator<Item = Forecast>) -> Self {
        let mut merged = Self {
            invariant: "ROL-RESTART",
            outcomes: Vec::new(),
            members: Members::new(),
            unchanged: true,
            because: String::new(),
            cases: Vec::new(),
        };
        let mut rules: Vec<String> = Vec::new();
        for (at, forecast) in forecasts.enumerate() {
            if at == 0 {
                merged.invariant = forecast.invariant;
            }
            if !rules.contains(&forecast.because) {
                rules.push(forecast.because.clone());
            }
            for case in forecast.cases {
                merged.add(case);
            }
        }
        merged.because = rules.join("; or ");
        let given: Vec<_> = merged.cases.iter().collect();
        merged.members = union(&given);
        merged
    }

    fn add(&mut self, case: Case) {
        let given = Given {
            outcome: case.outcome,
            members: case.members,
            unchanged: case.unchanged,
        };
        self.unchanged &= given.unchanged;
        if !self.outcomes.contains(&given.outcome) {
            self.outcomes.push(given.outcome.clone());
        }
        if !self.cases.contains(&given) {
            self.cases.push(given);
        }
    }

    /// Whether the step itself may come to this.
    pub fn allows(&self, outcome: &Outcome) -> bool {
        self.outcomes.iter().any(|allowed| allowed.allows(outcome))
    }

    /// What must be if the step itself came to this. A step that was refused, or failed, has
    /// changed nothing, whatever was expected of it.
    pub fn given(&self, outcome: &Outcome) -> Given {
        let cases: Vec<_> = self
            .cases
            .iter()
            .filter(|case| case.outcome.allows(outcome))
            .collect();
        let nothing_done = matches!(outcome, Outcome::Refused(_) | Outcome::Failed);
        Given {
            outcome: outcome.clone(),
            members: union(&cases),
            unchanged: match cases.is_empty() {
                true => nothing_done,
                false => cases.iter().all(|case| case.unchanged),
            },
        }
    }

    /// What of it was not as it must be.
    pub fn disagreements(&self, seen: &Seen) -> Vec<Disagreement> {
        let mut found = Vec::new();
        if !self.allows(&seen.outcome) {
            found.push(Disagreement {
                invariant: self.invariant,
                member: None,
                expected: self.outcomes.clone(),
                seen: seen.outcome.clone(),
            });
        }
        let given = self.given(&seen.outcome);
        let mut nodes: Vec<_> = given.members.keys().chain(seen.members.keys()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        for node in nodes {
            let came = seen.members.get(node).unwrap_or(&Outcome::Serves);
            let goes_on = vec![Outcome::Serves];
            let expected = given.members.get(node).unwrap_or(&goes_on);
            if !expected.iter().any(|outcome| outcome.allows(came)) {
                found.push(Disagreement {
                    invariant: "ROL-HALT",
                    member: Some(*node),
                    expected: expected.clone(),
                    seen: came.clone(),
                });
            }
        }
        found
    }
}

/// What may become of members over several cases: a member that one does not name may go on.
fn union(cases: &[&Given]) -> Members {
    let mut all = Members::new();
    for case in cases {
        for (node, outcomes) in &case.members {
            let named = all.entry(*node).or_default();
            for outcome in outcomes {
                if !named.contains(outcome) {
                    named.push(outcome.clone());
                }
            }
        }
    }
    for (node, outcomes) in &mut all {
        let everywhere = cases.iter().all(|case| case.members.contains_key(node));
        if !everywhere && !outcomes.contains(&Outcome::Serves) {
            outcomes.push(Outcome::Serves);
        }
    }
    all
}
