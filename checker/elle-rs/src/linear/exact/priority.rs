//! Queues that give the greatest first, or whatever they like, each value put in once; O(n log n).
//!
//! A dequeue must have a moment at which no greater value is surely there, and its own value may be
//! (after both its enqueue and its dequeue began). That is enough: take the earliest such moment for
//! each. Of two values the greater one then either can be gone by the moment of the smaller, and its
//! own moment is not later; or it can't, and then its enqueue can wait until that moment, since at
//! it the value is not surely there. So every enqueue waits as long as it can, up to the moment at
//! which its value can be gone. A dequeue that found nothing is one of a value smaller than all.

use super::cover::{Cover, covering};
use super::items::{Item, Items, items, never_free};
use super::{Decision, NONE};
use crate::linear::model::{NEVER, Time};
use crate::linear::operations::Part;
use crate::linear::values::Values;
use crate::linear::words::Story;

/// Decides a queue that gives the greatest first.
pub(super) fn decide(part: &Part, values: &Values, story: &Story<'_>) -> Decision {
    let mut items = match items(part, story) {
        Ok(items) => items,
        Err(decision) => return decision,
    };
    items
        .items
        .sort_unstable_by_key(|item| std::cmp::Reverse(values.int(item.value)));
    let left = items.left();
    let plain = Queue::new(part, true).decide(&items, story);
    let (Decision::Broken(_), [first, ..], [_, ..]) = (&plain, &items.unseen[..], &left[..]) else {
        return plain;
    };
    // What was never answered may have taken what was left: any of them each of these, at best.
    let first = part.entries[*first as usize].start;
    let mut at_best = Queue::new(part, true);
    at_best.left_until = first;
    if let broken @ Decision::Broken(_) = at_best.decide(&items, story) {
        return broken;
    }
    items.give_unseen(part);
    match Queue::new(part, true).decide(&items, story) {
        Decision::Broken(_) => Decision::Nothing(
            "dequeues that were never answered may have taken one value or the other".to_owned(),
        ),
        decision => decision,
    }
}

/// Decides a queue that gives whatever it likes.
pub(super) fn decide_unordered(part: &Part, story: &Story<'_>) -> Decision {
    match items(part, story) {
        Ok(mut items) => {
            items.give_unseen(part);
            Queue::new(part, false).decide(&items, story)
        }
        Err(decision) => decision,
    }
}

struct Queue<'a> {
    part: &'a Part,
    /// Whether no smaller one comes before a greater one.
    greatest_first: bool,
    /// Until when those are there that nobody is known to have taken.
    left_until: Time,
}

/// What stands at one moment: enqueues of values that can be gone by then, dequeues (the greatest
/// first), dequeues of nothing, enqueues of values that can't.
const PUT: u8 = 0;
const TAKE: u8 = 1;
const EMPTY: u8 = 2;
const PUT_LATER: u8 = 3;

impl<'a> Queue<'a> {
    fn new(part: &'a Part, greatest_first: bool) -> Self {
        Queue {
            part,
            greatest_first,
            left_until: NEVER,
        }
    }

    fn until(&self, item: &Item) -> Time {
        match item.take {
            NONE => self.left_until,
            _ => item.take_start,
        }
    }

    /// Decides by the items, the greatest first.
    fn decide(&self, items: &Items, story: &Story<'_>) -> Decision {
        let mut cover = Cover::default();
        // (moment, what, place), operation.
        let mut placed: Vec<((Time, u8, u32), u32)> = Vec::with_capacity(self.part.entries.len());
        for (place, item) in (0..).zip(&items.items) {
            let gone = item.gone();
            let put = item.put_finish.min(gone);
            let what = if put == gone { PUT } else { PUT_LATER };
            placed.push(((put, what, place), item.put));
            if item.take != NONE {
                let moment = match self.greatest_first {
                    true => cover.free_from(gone),
                    false => gone,
                };
                if moment > item.take_finish {
                    let greater = &items.items[..place as usize];
                    return self.never_free(story, item.take, gone, greater);
                }
                placed.push(((moment, TAKE, place), item.take));
            }
            cover.add(item.put_finish, self.until(item));
        }
        for (place, &id) in (0..).zip(&items.empties) {
            let entry = &self.part.entries[id as usize];
            let moment = cover.free_from(entry.start);
            if moment > entry.finish {
                return self.never_free(story, id, entry.start, &items.items);
            }
            placed.push(((moment, EMPTY, place), id));
        }
        placed.sort_unstable_by_key(|&(key, _)| key);
        Decision::Order(placed.into_iter().map(|(_, id)| id).collect())
    }

    fn never_free(&self, story: &Story<'_>, id: u32, from: Time, items: &[Item]) -> Decision {
        let until: Vec<Item> = items
            .iter()
            .map(|item| Item {
                take_start: self.until(item),
                ..*item
            })
            .collect();
        let to = self.part.entries[id as usize].finish;
        never_free(story, id, &covering(until.iter(), from, to))
    }
}
