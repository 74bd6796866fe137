//! What the model promises of a step: drawn are only those whose end is known beforehand, so that a
//! plan knows at every moment who is up.

use std::collections::BTreeMap;

use keyquake_rollout::{Model, Outcome, Seen, Setup, Step};

/// How a step ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A start serves; a call, or a change of members, is accepted.
    Done,
    /// A start is refused or halts; a call, or a change of members, is refused.
    Barred,
}

/// How a step ends; `None` if nobody can say. Whether it may be drawn at all is another question.
pub(super) fn foreseen(model: &Model, step: &Step) -> Option<End> {
    let expected = model.expect(step);
    let outcomes = expected.outcomes.as_slice();
    let barred = |o: &Outcome| matches!(o, Outcome::Refused(_) | Outcome::Halts(_));
    match step {
        Step::Start { .. } | Step::Save { .. } if outcomes == [Outcome::Serves] => Some(End::Done),
        Step::Start { .. } => outcomes.iter().all(barred).then_some(End::Barred),
        // That leadership moves is always possible, and so are refusals that pass.
        Step::Call { .. } => end_of(outcomes.first()?),
        Step::Member { .. } => {
            let open = |o: &Outcome| matches!(o, Outcome::Refused(None) | Outcome::Halts(_));
            let end = end_of(outcomes.first()?)?;
            let clear = expected.members.is_empty() && !outcomes.iter().any(open);
            (clear || end == End::Barred).then_some(end)
        }
        Step::Transfer { .. } => Some(End::Done),
        Step::Save { .. } | Step::Down { .. } => None,
    }
}

fn end_of(outcome: &Outcome) -> Option<End> {
    match outcome {
        Outcome::Accepted => Some(End::Done),
        Outcome::Refused(_) => Some(End::Barred),
        _ => None,
    }
}

/// The model once the step has come to what it is for; `None` if somebody who is up might end at
/// any moment then: whoever is hit must be there.
pub(super) fn after(model: &Model, step: &Step) -> Option<Model> {
    let mut next = model.clone();
    next.assume(step);
    is_calm(&next).then_some(next)
}

/// The model once the answer to a call was lost; it may have been carried out or not.
pub(super) fn after_lost(model: &Model, step: &Step) -> Option<Model> {
    let expected = model.expect(step);
    if !expected.members.is_empty() || !expected.allows(&Outcome::Indeterminate) {
        return None;
    }
    let mut next = model.clone();
    let seen = Seen {
        outcome: Outcome::Indeterminate,
        members: BTreeMap::new(),
    };
    next.observe(step, &seen);
    is_calm(&next).then_some(next)
}

/// The model once a fault has ended a node.
pub(super) fn without(model: &Model, node: u16) -> Model {
    let mut next = model.clone();
    let seen = Seen {
        outcome: Outcome::Accepted,
        members: BTreeMap::new(),
    };
    next.observe(&Step::Down { node }, &seen);
    next
}

/// The start of a node as a setup.
pub(super) fn start(model: &Model, node: u16, setup: Setup) -> Step {
    Step::Start {
        node,
        setup,
        tampers: Vec::new(),
        cloned: None,
        was_serving: model.is_up(node),
    }
}

/// Whether nobody who is up may end at any moment.
fn is_calm(model: &Model) -> bool {
    let members = model.members();
    let mut up = members.into_iter().filter(|node| model.is_up(*node));
    up.all(|node| !model.may_halt(node))
}

/// Whether every member is up.
pub(super) fn all_up(model: &Model) -> bool {
    model.members().into_iter().all(|node| model.is_up(node))
}

/// Whether every member would serve again, were it ended now and started as it was.
pub(super) fn all_return(model: &Model) -> bool {
    model.members().into_iter().all(|node| returns(model, node))
}

/// Whether one would.
pub(super) fn returns(model: &Model, node: u16) -> bool {
    let Some(setup) = model.setup(node) else {
        return false;
    };
    let down = without(model, node);
    let again = start(model, node, setup);
    down.expect(&again).outcomes == [Outcome::Serves]
}
