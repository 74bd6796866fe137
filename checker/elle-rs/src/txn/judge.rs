//! From a graph to a verdict: an order that respects it, or cycles.

use super::explain::Explain;
use super::report::{Decision, Proof};
use super::store::Store;
use super::words::Findings;
use crate::graph::{Graph, Kinds, View, forbidden, sort, view_of};
use crate::levels::Level;

/// What the graph says.
pub(crate) struct Judged {
    pub decision: Decision,
    pub proof: Proof,
}

/// Everything that a level's transactions are ordered by beside data.
pub(crate) fn orders(level: Level) -> Kinds {
    let orders = level.orders().iter();
    orders.fold(Kinds::NONE, |all, &order| all.with(order))
}

/// Judges the graph of transactions that took effect. `findings` are those that the level forbids,
/// found without it. `order` looks for an order of a view's states that explains everything;
/// where it may miss one, `undecided` says what that means.
pub(crate) fn judge(
    story: &impl Explain,
    graph: &Graph<'_>,
    took_effect: &[bool],
    level: Level,
    mut findings: Findings,
    undecided: Option<String>,
    order: impl FnOnce(View<'_>) -> Option<Vec<u32>>,
) -> Judged {
    let store = story.store();
    let most = level.orders().last().map_or(Kinds::NONE, |&order| order);
    let Some(&worst) = level.cycles().last() else {
        return Judged {
            decision: Decision::Valid,
            proof: Proof::None,
        };
    };
    let view = view_of(graph, worst, most);
    let is_broken = !findings.all.is_empty();
    let order = if is_broken { sort(view) } else { order(view) };
    if order.is_none() && (is_broken || undecided.is_none() || sort(view).is_none()) {
        let cycles = forbidden(graph, level.cycles(), level.orders());
        let shortest = cycles.iter().min_by_key(|cycle| cycle.hops.len());
        let proof = shortest.map_or(Proof::None, |cycle| story.proof(cycle));
        findings
            .all
            .extend(cycles.iter().map(|cycle| story.cycle(cycle)));
        return Judged {
            decision: Decision::Violated {
                findings: findings.all,
            },
            proof,
        };
    }
    if !findings.all.is_empty() {
        return Judged {
            decision: Decision::Violated {
                findings: findings.all,
            },
            proof: Proof::None,
        };
    }
    match (order, undecided) {
        (Some(order), _) => Judged {
            decision: Decision::Valid,
            proof: proof(store, view, &order, took_effect),
        },
        (None, reason) => Judged {
            decision: Decision::Undecided {
                reason: reason.unwrap_or_default(),
            },
            proof: Proof::None,
        },
    }
}

/// The transactions of an order of states. Below the levels that have one order of transactions
/// or of starts and commits, such an order does not explain what was read, but it orders versions.
pub(crate) fn proof(store: &Store, view: View<'_>, order: &[u32], took_effect: &[bool]) -> Proof {
    let index = |node: u32| u64::from(store.invoke[node as usize]);
    let counts = |&state: &u32| {
        let node = view.node(state);
        view.is_transaction(state) && took_effect[node as usize]
    };
    let states = order.iter().copied().filter(counts);
    if view.apart {
        let moment = |state: u32| (index(state / 2), state % 2 == 1);
        return Proof::StartsAndCommits(states.map(moment).collect());
    }
    Proof::Order(states.map(index).collect())
}
