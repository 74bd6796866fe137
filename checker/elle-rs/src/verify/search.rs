//! A plain search, to see again that operations in conflict have no order: every way to come to
//! each return, all at once.

use std::collections::HashSet;

use super::history::{Did, History, Operation};
use super::replay::{self, Object};
use super::{Certificate, Proof, at};

/// Ways looked at before giving up.
const WAYS_MAX: usize = 5_000_000;

/// Which of the operations have taken effect, and what that leaves.
type Way = (Vec<bool>, Object);

/// The first operation is the one that cannot return; all others that change something and were
/// invoked before it returned must be named. (To leave out what only looks, and what was invoked
/// later, leaves an order of the rest if there was one of all.)
pub(super) fn refute(
    certificate: &Certificate,
    history: &History,
    operations: &[Operation],
    proof: &Proof,
) -> Result<String, String> {
    let places: Option<Vec<u64>> = proof.ops.iter().copied().collect();
    let places = places.ok_or("a place is missing")?;
    let mut named = places
        .iter()
        .map(|&place| at(operations, place))
        .collect::<Result<Vec<usize>, String>>()?;
    let culprit = *named.first().ok_or("no operation is named")?;
    let end = operations[culprit]
        .completed
        .ok_or("the first operation never returned")?;
    named.sort_unstable();
    named.dedup();
    if let Some((_, left_out)) = (0..).zip(operations).find(|&(id, operation)| {
        operation.invoked < end && !operation.did.looks() && named.binary_search(&id).is_err()
    }) {
        return Err(format!(
            "event {}, which may matter, is left out",
            left_out.invoked
        ));
    }
    let named: Vec<&Operation> = named
        .into_iter()
        .map(|id| &operations[id])
        .filter(|operation| operation.invoked < end)
        .collect();
    let count = named.len();
    match is_possible(certificate, history, &named, end)? {
        true => Err("the operations have an order".to_owned()),
        false => Ok(format!(
            "searched {count} operations anew: they have no order"
        )),
    }
}

/// Whether all that return by `end` can.
fn is_possible(
    certificate: &Certificate,
    history: &History,
    operations: &[&Operation],
    end: u64,
) -> Result<bool, String> {
    let initial = replay::initial(certificate, history);
    let mut moments: Vec<(u64, usize, bool)> = Vec::new();
    for (id, operation) in operations.iter().enumerate() {
        moments.push((operation.invoked, id, false));
        if let Some(completed) = operation.completed.filter(|&completed| completed <= end) {
            moments.push((completed, id, true));
        }
    }
    moments.sort_unstable();
    let nothing: Way = (
        vec![false; operations.len()],
        replay::object(certificate, history)?,
    );
    let mut ways: HashSet<Way> = HashSet::from([nothing]);
    let mut open: Vec<usize> = Vec::new();
    let mut looked_at = 0;
    for (_, id, returns) in moments {
        if !returns {
            open.push(id);
            continue;
        }
        let mut stack: Vec<Way> = ways.drain().collect();
        let mut met: HashSet<Way> = stack.iter().cloned().collect();
        while let Some((done, object)) = stack.pop() {
            if done[id] {
                ways.insert((done, object));
                continue;
            }
            looked_at += 1;
            if looked_at > WAYS_MAX {
                return Err(format!("not seen again within {WAYS_MAX} ways"));
            }
            for &next in &open {
                let is_twin = |&other: &usize| {
                    other < next
                        && !done[other]
                        && operations[other].did == operations[next].did
                        && operations[other].completed.is_none()
                };
                if done[next] || (operations[next].completed.is_none() && open.iter().any(is_twin))
                {
                    continue;
                }
                for object in outcomes(&object, &operations[next].did, history, initial) {
                    let mut done = done.clone();
                    done[next] = true;
                    let way = (done, object);
                    if met.insert(way.clone()) {
                        stack.push(way);
                    }
                }
            }
        }
        open.retain(|&other| other != id);
        if ways.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What an operation may leave behind.
fn outcomes(object: &Object, did: &Did, history: &History, initial: u32) -> Vec<Object> {
    if let (Object::Bag(now), Did::DequeueUnseen) = (object, did) {
        let without = |value: &u32| {
            let mut bag = object.clone();
            replay::step(&mut bag, &Did::Dequeue(Some(*value)), history, initial);
            bag
        };
        return now.keys().map(without).collect();
    }
    let mut after = object.clone();
    if replay::step(&mut after, did, history, initial) {
        return vec![after];
    }
    Vec::new()
}
