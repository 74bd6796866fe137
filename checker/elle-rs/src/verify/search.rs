//! A plain search, to see again that operations in conflict have no order: every way to come to
//! each return, all at once. To decide that is co-NP-complete in general, so the work is bounded: what
//! is not refuted within the bound is not accepted.

use std::collections::HashSet;

use super::history::{Did, History, Operation};
use super::replay::{self, Object};
use super::{Certificate, Proof, at};

/// Ways looked at before giving up.
const WAYS_MAX: usize = 5_000_000;

/// Which of the open operations have taken effect, in order of their numbers, and what that leaves.
type Way = (Vec<usize>, Object);

/// The first operation is the one that cannot return; all others that change something and were
/// invoked before it returned must be named, but for whole values that nobody who is named knows. (To
/// leave out what only looks, what was invoked later, or a value with all that put, saw and took it,
/// leaves an order of the rest if there was one of all.)
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
    let left_out: Vec<&Operation> = (0..)
        .zip(operations)
        .filter(|(id, operation)| {
            let may_matter = operation.invoked < end && !operation.did.looks();
            may_matter && named.binary_search(id).is_err()
        })
        .map(|(_, operation)| operation)
        .collect();
    let named: Vec<&Operation> = named
        .into_iter()
        .map(|id| &operations[id])
        .filter(|operation| operation.invoked < end)
        .collect();
    if let Some(first) = left_out.first()
        && !is_apart(&certificate.model, &left_out, &named)
    {
        return Err(format!(
            "event {}, which may matter, is left out",
            first.invoked
        ));
    }
    let count = named.len();
    match is_possible(certificate, history, &named, end)? {
        true => Err("the operations have an order".to_owned()),
        false => Ok(format!(
            "searched {count} operations anew: they have no order"
        )),
    }
}

/// Whether what was left out is whole values: nobody named saw, put, replaced or took one of these.
fn is_apart(model: &str, left_out: &[&Operation], named: &[&Operation]) -> bool {
    let mut gone: HashSet<u32> = HashSet::new();
    let queue = match model {
        "register" | "cas-register" => false,
        "fifo-queue" | "unordered-queue" | "priority-queue" => true,
        _ => return false,
    };
    for operation in left_out {
        match (queue, &operation.did) {
            (false, Did::Write(value) | Did::Update(_, value)) => gone.insert(*value),
            (true, Did::Enqueue(value) | Did::Dequeue(Some(value))) => gone.insert(*value),
            _ => return false,
        };
    }
    let stays = |value: &u32| !gone.contains(value);
    let known = |operation: &&Operation| match (queue, &operation.did) {
        (false, Did::Read(value) | Did::Write(value)) => stays(value),
        (false, Did::Update(old, new)) => stays(old) && stays(new),
        (true, Did::Enqueue(value) | Did::Dequeue(Some(value))) => stays(value),
        (true, Did::Dequeue(None)) => true,
        // It may have taken what is gone: then it took nothing, if nobody knows that it took something.
        (true, Did::DequeueUnseen) => operation.completed.is_none(),
        _ => false,
    };
    named.iter().all(known)
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
    let nothing: Way = (Vec::new(), replay::object(certificate, history)?);
    let mut ways: HashSet<Way> = HashSet::from([nothing]);
    let texts = texts(operations, history);
    let mut open: Vec<usize> = Vec::new();
    let mut looked_at = 0;
    // What only looks takes effect as soon as it can: that changes nothing for the others, and it
    // cannot come too early, for it has been invoked.
    let look = |way: Way, open: &[usize]| -> Way {
        let (mut done, mut object) = way;
        for &id in open {
            let did = &operations[id].did;
            if did.looks()
                && !is_done(&done, id)
                && replay::step(&mut object, did, history, initial)
            {
                insert(&mut done, id);
            }
        }
        (done, object)
    };
    for (_, id, returns) in moments {
        if !returns {
            open.push(id);
            if operations[id].did.looks() {
                ways = ways.into_iter().map(|way| look(way, &[id])).collect();
            }
            continue;
        }
        let mut stack: Vec<Way> = ways.drain().collect();
        let mut met: HashSet<Way> = stack.iter().cloned().collect();
        while let Some((mut done, object)) = stack.pop() {
            if let Ok(at) = done.binary_search(&id) {
                done.remove(at);
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
                        && !is_done(&done, other)
                        && operations[other].did == operations[next].did
                        && operations[other].completed.is_none()
                };
                let is_pending = operations[next].completed.is_none();
                // What looks has looked, if it could.
                if is_done(&done, next)
                    || operations[next].did.looks()
                    || (is_pending && open.iter().any(is_twin))
                {
                    continue;
                }
                for mut object in outcomes(&object, &operations[next].did, history, initial) {
                    forget(&mut object, &texts);
                    let mut done = done.clone();
                    insert(&mut done, next);
                    let way = look((done, object), &open);
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

/// The texts that somebody found there, or did not find, in order.
fn texts(operations: &[&Operation], history: &History) -> Vec<Vec<u8>> {
    let found = operations
        .iter()
        .filter_map(|operation| match operation.did {
            Did::Read(value) | Did::Refused(value) | Did::Update(value, _) => Some(value),
            _ => None,
        });
    let mut texts: Vec<Vec<u8>> = found.map(|value| replay::text(history, value)).collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// No text begins so.
const ANOTHER: u8 = 0xfe;

/// A text with which none that was looked for begins is as good as any other such text: whatever is
/// appended to it, nobody finds it or could have.
fn forget(object: &mut Object, texts: &[Vec<u8>]) {
    let Object::Text(Some(text)) = object else {
        return;
    };
    let at = texts.partition_point(|other| other < text);
    if !texts.get(at).is_some_and(|other| other.starts_with(text)) {
        *text = vec![ANOTHER];
    }
}

fn is_done(done: &[usize], id: usize) -> bool {
    done.binary_search(&id).is_ok()
}

fn insert(done: &mut Vec<usize>, id: usize) {
    if let Err(at) = done.binary_search(&id) {
        done.insert(at, id);
    }
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
