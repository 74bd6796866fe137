//! Counterexamples made small, by sound moves only: what is left of a linearizable history when
//! its end, or operations that only look, are left out is linearizable too. (Leaving out what
//! changes something is not sound: what it put would be seen out of thin air.)

use super::model::{Model, NEVER, Operation, Question};
use super::search::{Found, search};

/// Searches that making a counterexample smaller may take, and the steps of each.
const SEARCHES_MAX: usize = 64;
const STEPS: u64 = 100_000;

/// Operations that are in conflict, the one that cannot return first.
pub(super) fn conflict<M: Model>(model: &M, question: &Question<M::Op>, culprit: u32) -> Vec<u32> {
    let all = (0..question.operations.len() as u32).collect();
    let mut kept = until_return(model, question, all, culprit);
    let mut culprit = culprit;
    let mut chunk = kept.len();
    let mut searches = 0;
    while chunk > 0 && searches < SEARCHES_MAX {
        let mut start = 0;
        while start < kept.len() && searches < SEARCHES_MAX {
            let end = (start + chunk).min(kept.len());
            let stays = |id: u32| id == culprit || !looks(model, question, id);
            let without: Vec<u32> = (0..)
                .zip(&kept)
                .filter(|&(place, &id)| !(start..end).contains(&place) || stays(id))
                .map(|(_, &id)| id)
                .collect();
            start = end;
            if without.len() == kept.len() {
                continue;
            }
            searches += 1;
            if let Some(found) = impossible(model, question, &without, culprit) {
                start = start.saturating_sub(kept.len() - without.len());
                kept = until_return(model, question, without, found);
                culprit = found;
            }
        }
        chunk /= 2;
    }
    culprit_first(kept, culprit)
}

fn culprit_first(mut kept: Vec<u32>, culprit: u32) -> Vec<u32> {
    kept.retain(|&id| id != culprit);
    kept.insert(0, culprit);
    kept
}

/// All that may be in conflict with an operation that cannot return, that one first.
pub(super) fn until<M: Model>(model: &M, question: &Question<M::Op>, culprit: u32) -> Vec<u32> {
    let all = (0..question.operations.len() as u32).collect();
    culprit_first(until_return(model, question, all, culprit), culprit)
}

fn looks<M: Model>(model: &M, question: &Question<M::Op>, id: u32) -> bool {
    let class = question.operations[id as usize].class;
    model.only_looks(&question.classes[class as usize])
}

/// What was invoked before the culprit returned; of what only looks, what returned by then.
fn until_return<M: Model>(
    model: &M,
    question: &Question<M::Op>,
    ids: Vec<u32>,
    culprit: u32,
) -> Vec<u32> {
    let end = question.operations[culprit as usize].finish;
    ids.into_iter()
        .filter(|&id| {
            let operation = question.operations[id as usize];
            let returned = operation.finish <= end;
            operation.start < end && (returned || !looks(model, question, id))
        })
        .collect()
}

/// The operation that cannot return, if these alone have no order either.
fn impossible<M: Model>(
    model: &M,
    question: &Question<M::Op>,
    ids: &[u32],
    culprit: u32,
) -> Option<u32> {
    let end = question.operations[culprit as usize].finish;
    let part = Question {
        operations: ids
            .iter()
            .map(|&id| question.operations[id as usize])
            .map(|operation| Operation {
                finish: if operation.finish > end {
                    NEVER
                } else {
                    operation.finish
                },
                ..operation
            })
            .collect(),
        classes: question.classes.clone(),
    };
    match search(model, &part, STEPS) {
        Found::Impossible { culprit } => Some(ids[culprit as usize]),
        Found::Order(_) | Found::Exhausted { .. } => None,
    }
}
