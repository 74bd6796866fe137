//! What must come of the operator's steps: the model is asked before each, and told after it.
//!
//! The model knows every process that starts, every call and every change of members; what ends
//! because of them is explained here to those who watch for ends that nothing explains.

mod expect;
mod halts;
mod meanwhile;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keyquake_rollout::{Call, Expectation, Model, Outcome, Seen, Setup, Step};

use crate::operator::KeyState;

pub use expect::Expect;
pub(crate) use halts::Again;

/// The rollout as it goes on. Shared by the nemesis and those who watch the cluster.
#[derive(Debug, Default)]
pub struct Rollout(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    model: Option<Model>,
    outage: bool,
    /// Nodes whose ends somebody is judging at this moment, and how many do.
    judging: BTreeMap<u16, u32>,
    /// Nodes that are down, and whose end was judged.
    ended: BTreeSet<u16>,
    /// Where nodes have halted.
    halts: halts::Halts,
    /// Nodes whose disks were saved, in that order.
    saved: Vec<u16>,
    /// Nodes that are no members: spares that were not added, and members that were removed.
    outside: BTreeSet<u16>,
}

/// What must come of a step, from the plan or from the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Must {
    pub(crate) invariant: String,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) because: String,
    /// What may become of members, whatever the step comes to.
    pub(crate) members: Members,
    /// What the model says, once the outcome is known; the plan says it beforehand.
    pub(crate) modelled: Option<Expectation>,
}

/// What may become of members, by position.
pub(crate) type Members = BTreeMap<u16, Vec<Outcome>>;

impl Must {
    /// Whether the step may come to something of this kind.
    pub(crate) fn allows(&self, outcome: &Outcome) -> bool {
        self.outcomes.iter().any(|may| may.allows(outcome))
    }

    /// What must become of members, and whether nothing may have changed on any disk, now that it
    /// is known what the step itself came to.
    pub(crate) fn given(&self, outcome: &Outcome) -> (Members, bool) {
        match &self.modelled {
            Some(expectation) => {
                let given = expectation.given(outcome);
                (given.members, given.unchanged)
            }
            None => {
                let done = !matches!(outcome, Outcome::Refused(_) | Outcome::Failed);
                let members = if done {
                    self.members.clone()
                } else {
                    Members::new()
                };
                (members, matches!(outcome, Outcome::Refused(_)))
            }
        }
    }
}

/// Whether what may become of a process leaves it no way to go on.
pub(crate) fn must_end(outcomes: &[Outcome]) -> bool {
    !outcomes.is_empty() && !outcomes.iter().any(|may| may.allows(&Outcome::Serves))
}

impl Rollout {
    /// With a model of the cluster as it is now. Without one nothing is expected but what plans
    /// say themselves.
    fn new(model: Option<Model>) -> Self {
        Self(Mutex::new(State {
            model,
            ..State::default()
        }))
    }

    /// Without a model: of so many members, and so many spares behind them.
    pub fn unmodelled(members: u16, spares: u16) -> Self {
        let rollout = Self::new(None);
        rollout.state().outside = (members..members + spares).collect();
        rollout
    }

    /// With the model of a cluster of these members, on which these calls were accepted, and so
    /// many spares behind them.
    pub fn begun(setups: &[Setup], spares: u16, calls: &[Call]) -> Self {
        let mut model = Model::new(setups, spares);
        for &call in calls {
            let step = Step::Call {
                call,
                at: 0,
                leads: true,
                send: Default::default(),
                epoch: None,
                disturbed: false,
                unreachable: vec![],
            };
            let seen = Seen {
                outcome: Outcome::Accepted,
                members: BTreeMap::new(),
            };
            model.observe(&step, &seen);
        }
        let members = setups.len() as u16;
        let rollout = Self::unmodelled(members, spares);
        rollout.state().model = Some(model);
        rollout
    }

    /// Whether a node is no member: a spare that was not added, or a member that was removed.
    pub fn is_outside(&self, node: u16) -> bool {
        self.state().outside.contains(&node)
    }

    /// A node has become a member.
    pub(crate) fn joined(&self, node: u16) {
        self.state().outside.remove(&node);
    }

    /// A node is a member no more.
    pub(crate) fn left(&self, node: u16) {
        self.state().outside.insert(node);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What must come of a step; `None` if neither plan nor model says.
    pub(crate) fn must(&self, step: &Step, plan: &Expect) -> Option<Must> {
        let modelled = self.state().model.as_ref().map(|model| model.expect(step));
        let mut must = modelled.map(Must::from);
        if !plan.is_empty() {
            let must = must.get_or_insert_with(|| Must {
                invariant: by_kind(step).to_owned(),
                outcomes: vec![],
                members: Members::new(),
                because: String::new(),
                modelled: None,
            });
            must.because = "the plan says so".to_owned();
            let starts = match step {
                Step::Start { node, .. } => plan.nodes.get(node),
                _ => None,
            };
            must.outcomes = starts.unwrap_or(&plan.outcomes).clone();
            // Whoever wants a start refused is about a guard, also where the model knows of none.
            let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_));
            let is_start = matches!(step, Step::Start { .. });
            if is_start && must.invariant == RESTART && must.outcomes.iter().all(refused) {
                must.invariant = "ROL-REFUSE".to_owned();
            }
            if starts.is_none() && !plan.nodes.is_empty() {
                must.members.clone_from(&plan.nodes);
                must.modelled = None;
            }
        }
        must.filter(|must| !must.outcomes.is_empty())
    }

    /// Tells the model what came of a step. Gives a reason if an outage by design begins here,
    /// and `Err` if one ends.
    pub(crate) fn observe(&self, step: &Step, seen: &Seen) -> Option<Turn> {
        let mut state = self.state();
        let model = state.model.as_mut()?;
        model.observe(step, seen);
        let outage = model.outage_by_design();
        let turned = outage != state.outage;
        state.outage = outage;
        turned.then_some(if outage { Turn::Begins } else { Turn::Ends })
    }

    /// Tells the model what a node shows of its own keys.
    pub(crate) fn saw_keys(&self, keys: &KeyState) {
        if let Some(model) = &mut self.state().model {
            let any = keys.storage_key != 0;
            model.saw_keys(any, keys.storage_cutover, keys.raft_cutover != 0);
        }
    }

    /// Whether the cluster can serve, as far as the model knows.
    pub(crate) fn majority_applies(&self) -> bool {
        !self.state().outage
    }

    /// Whether a node that is down would serve if it were started so.
    pub fn would_serve(&self, node: u16, setup: Setup) -> bool {
        let step = Step::Start {
            node,
            setup,
            tampers: vec![],
            cloned: None,
            was_serving: false,
        };
        self.must(&step, &Expect::default())
            .is_none_or(|must| !must_end(&must.outcomes))
    }

    /// Whether the end of a node is, or will be, judged as what came of a step; or may come by
    /// itself at any time, by design.
    pub fn explains(&self, node: u16) -> bool {
        let state = self.state();
        let may_halt = |model: &Model| model.may_halt(node);
        state.judging.contains_key(&node)
            || state.ended.contains(&node)
            || state.model.as_ref().is_some_and(may_halt)
    }

    /// From now on the ends of these nodes are judged by whoever holds the guard.
    pub(crate) fn judging(&self, nodes: impl IntoIterator<Item = u16>) -> Judging<'_> {
        let nodes: Vec<u16> = nodes.into_iter().collect();
        let mut state = self.state();
        for &node in &nodes {
            *state.judging.entry(node).or_default() += 1;
        }
        Judging {
            rollout: self,
            nodes,
        }
    }

    /// A node was seen to end, and that was judged.
    pub(crate) fn ended(&self, node: u16) {
        self.state().ended.insert(node);
    }

    /// Whether a node is down by an end that was judged: it halted, or was refused.
    pub(crate) fn has_ended(&self, node: u16) -> bool {
        self.state().ended.contains(&node)
    }

    /// A node is started anew.
    pub(crate) fn started(&self, node: u16) {
        self.state().ended.remove(&node);
    }

    /// A node's disk was saved.
    pub(crate) fn saved(&self, node: u16) {
        self.state().saved.push(node);
    }

    /// The node other than this one whose disk was saved last.
    pub(crate) fn last_saved_beside(&self, node: u16) -> Option<u16> {
        let state = self.state();
        state
            .saved
            .iter()
            .rev()
            .copied()
            .find(|&other| other != node)
    }
}

/// A change of what the cluster can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A majority can't serve any more, by design.
    Begins,
    /// It can again.
    Ends,
}

/// Ends the judging of its nodes when dropped.
pub(crate) struct Judging<'a> {
    rollout: &'a Rollout,
    nodes: Vec<u16>,
}

impl Drop for Judging<'_> {
    fn drop(&mut self) {
        let mut state = self.rollout.state();
        for node in &self.nodes {
            if let Some(count) = state.judging.get_mut(node) {
                *count -= 1;
                if *count == 0 {
                    state.judging.remove(node);
                }
            }
        }
    }
}

impl From<Expectation> for Must {
    fn from(expectation: Expectation) -> Self {
        Self {
            invariant: expectation.invariant.to_owned(),
            outcomes: expectation.outcomes.clone(),
            members: expectation.members.clone(),
            because: expectation.because.clone(),
            modelled: Some(expectation),
        }
    }
}

/// The invariant of a start that has to serve.
const RESTART: &str = "ROL-RESTART";

/// The invariant of a step that only the plan says something about.
fn by_kind(step: &Step) -> &'static str {
    match step {
        Step::Start { .. } | Step::Save { .. } | Step::Down { .. } => RESTART,
        Step::Call { .. } => "ROL-GATE",
        Step::Member { .. } | Step::Transfer { .. } => "ROL-MEMBER",
    }
}
