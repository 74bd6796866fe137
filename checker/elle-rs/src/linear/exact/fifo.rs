//! First in, first out, each value put in once: Henzinger, Sezgin and Vafeiadis' four patterns
//! (CONCUR 2013), in O(n log n), with a witness.
//!
//! A value must come before another if it was put in before the other began to be, or taken before
//! the other began to be, or taken before the other began to be put in. These are interval orders,
//! and a shortest circle of them has two values; so pairs are enough. For *found empty* there must be
//! a moment at which no value is surely there. At such a moment every value is either gone or to
//! come; those that can be gone by then are put in front.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cover::{Cover, covering};
use super::items::{Item, Items, items, never_free};
use super::{Decision, NONE, broken, told};
use crate::linear::model::{NEVER, Time};
use crate::linear::operations::Part;
use crate::linear::words::Story;

/// Decides a queue.
pub(super) fn decide(part: &Part, story: &Story<'_>) -> Decision {
    let mut items = match items(part, story) {
        Ok(items) => items,
        Err(decision) => return decision,
    };
    let left = items.left();
    items.give_unseen(part);
    if let Some(broken) = overtaken(part, &items, &left, story) {
        return broken;
    }
    let moments = match moments(part, &items, story) {
        Ok(moments) => moments,
        Err(broken) => return broken,
    };
    match in_order(&items.items) {
        Some(order) => Decision::Order(witness(part, &items, &order, &moments)),
        // Does not happen if what is said on top is right.
        None => Decision::Nothing("no value can come next".to_owned()),
    }
}

/// Some value put in before another began to be, and not taken when that was.
fn overtaken(part: &Part, items: &Items, left: &[usize], story: &Story<'_>) -> Option<Decision> {
    let mut by_finish: Vec<&Item> = items.items.iter().collect();
    by_finish.sort_unstable_by_key(|item| item.put_finish);
    let mut by_start: Vec<&Item> = items.items.iter().collect();
    by_start.sort_unstable_by_key(|item| item.put_start);
    let mut before = by_finish.into_iter().peekable();
    let mut last: Option<&Item> = None;
    for item in by_start {
        while let Some(other) = before.next_if(|other| other.put_finish < item.put_start) {
            if last.is_none_or(|last| last.take_start < other.take_start) {
                last = Some(other);
            }
        }
        let Some(last) = last.filter(|last| last.take_start > item.take_finish) else {
            continue;
        };
        let answered = last.take != NONE && !part.entries[last.take as usize].is_pending();
        let stayed: Vec<u32> = if answered {
            vec![last.put]
        } else {
            // One more than all that may have been taken unseen by then.
            let start = |&&id: &&u32| part.entries[id as usize].start < item.take_finish;
            let unseen = items.unseen.iter().take_while(start).count();
            let left = left.iter().take(unseen + 1);
            left.map(|&at| items.items[at].put).collect()
        };
        let explanation = format!(
            "{} took what was put in by {}, after {} had completed; but that stood in front, and was \
             not taken before",
            story.what(item.take),
            story.what(item.put),
            told(story, &stayed),
        );
        let ids = [item.put, item.take].into_iter().chain(stayed);
        return Some(broken("overtaken", "nonlinearizable", ids, explanation));
    }
    None
}

/// A moment for each dequeue that found nothing: nothing is surely there then.
fn moments(part: &Part, items: &Items, story: &Story<'_>) -> Result<Vec<(Time, u32)>, Decision> {
    let mut cover = Cover::default();
    for item in &items.items {
        cover.add(item.put_finish, item.take_start);
    }
    let mut moments = Vec::with_capacity(items.empties.len());
    for &id in &items.empties {
        let entry = &part.entries[id as usize];
        let moment = cover.free_from(entry.start);
        if moment > entry.finish {
            let chain = covering(items.items.iter(), entry.start, entry.finish);
            return Err(never_free(story, id, &chain));
        }
        moments.push((moment, id));
    }
    moments.sort_unstable();
    Ok(moments)
}

/// The values in an order that respects all that must come before another; of those that can come
/// next, the one that can be gone first.
fn in_order(items: &[Item]) -> Option<Vec<u32>> {
    let sorted = |key: fn(&Item) -> Time| {
        let mut sorted: Vec<u32> = (0..items.len() as u32).collect();
        sorted.sort_unstable_by_key(|&at| key(&items[at as usize]));
        sorted
    };
    let by_start = sorted(|item| item.put_start);
    let by_put = sorted(|item| item.put_finish);
    let by_take = sorted(|item| item.take_finish);
    let (mut started, mut put, mut taken) = (0, 0, 0);
    let mut done = vec![false; items.len()];
    let mut waiting: BinaryHeap<Reverse<(Time, u32)>> = BinaryHeap::new();
    let mut ready: BinaryHeap<Reverse<(Time, u32)>> = BinaryHeap::new();
    let mut order = Vec::with_capacity(items.len());
    while order.len() < items.len() {
        while done[by_put[put] as usize] {
            put += 1;
        }
        while done[by_take[taken] as usize] {
            taken += 1;
        }
        let least_put = items[by_put[put] as usize].put_finish;
        let least_take = items[by_take[taken] as usize].take_finish;
        while let Some(&at) = by_start.get(started)
            && items[at as usize].put_start <= least_put.min(least_take)
        {
            waiting.push(Reverse((items[at as usize].take_start, at)));
            started += 1;
        }
        while let Some(&Reverse((start, at))) = waiting.peek()
            && start <= least_take
        {
            waiting.pop();
            ready.push(Reverse((items[at as usize].gone(), at)));
        }
        let Reverse((_, at)) = ready.pop()?;
        done[at as usize] = true;
        order.push(at);
    }
    Some(order)
}

/// Operations at the earliest moments that the order of values allows; what comes behind a dequeue
/// that found nothing, not before it.
fn witness(part: &Part, items: &Items, order: &[u32], moments: &[(Time, u32)]) -> Vec<u32> {
    const PUT: u8 = 0;
    const TAKE: u8 = 1;
    const EMPTY: u8 = 2;
    // (moment, how many found nothing before, what, place), operation.
    type Placed = ((Time, u32, u8, u32), u32);
    let mut placed: Vec<Placed> = Vec::with_capacity(part.entries.len());
    let (mut put, mut take) = (0, 0);
    for (place, &at) in (0..).zip(order) {
        let item = &items.items[at as usize];
        let behind = moments.partition_point(|&(moment, _)| moment < item.gone());
        let floor = behind.checked_sub(1).map_or(0, |at| moments[at].0);
        put = item.put_start.max(put).max(floor);
        placed.push(((put, behind as u32, PUT, place), item.put));
        if item.take_start != NEVER {
            take = item.take_start.max(take).max(put);
            placed.push(((take, behind as u32, TAKE, place), item.take));
        }
    }
    for (place, &(moment, id)) in (0..).zip(moments) {
        // All values that can be gone by this moment have as many in front as the first at it.
        let behind = moments.partition_point(|&(other, _)| other < moment);
        placed.push(((moment, behind as u32, EMPTY, place), id));
    }
    placed.sort_unstable_by_key(|&(key, _)| key);
    placed.into_iter().map(|(_, id)| id).collect()
}
