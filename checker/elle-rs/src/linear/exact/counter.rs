//! Counters. If every addition adds the same, they are interchangeable: each read then says how many
//! stood in front of it, and to let no more take effect than must, those that return first first, is
//! always best; O(n log n). With different amounts it is a question of which amounts sum up, which
//! is NP-hard; then only what no sum can be is seen here.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use super::{Decision, broken};
use crate::linear::acts::Verb;
use crate::linear::model::Time;
use crate::linear::operations::{Entry, Part};
use crate::linear::values::Values;
use crate::linear::words::Story;

/// Decides a counter.
pub(super) fn decide(part: &Part, values: &Values, story: &Story<'_>) -> Decision {
    let number = |entry: &Entry| values.int(entry.act.a).map_or(0, i128::from);
    if let Some(broken) = out_of_bounds(part, number, story) {
        return broken;
    }
    let is_add = |entry: &&Entry| entry.act.verb == Verb::Add;
    let mut amounts = part.entries.iter().filter(is_add).map(number);
    let amount = amounts.next().unwrap_or(1);
    if amount == 0 || amounts.any(|other| other != amount) {
        return Decision::Nothing("not every addition adds the same".to_owned());
    }
    // What each read says, in additions.
    let count = |entry: &Entry| number(entry) / amount;
    let odd = |entry: &&Entry| !is_add(entry) && number(entry) % amount != 0;
    if let Some((id, _)) = (0..).zip(&part.entries).find(|(_, entry)| odd(entry)) {
        let explanation = format!("{}, but every addition adds {amount}", story.what(id));
        return broken("no-multiple", "nonlinearizable", [id], explanation);
    }
    Walk::new(part).all(count, story)
}

/// A read that saw less or more than any choice of additions gives.
fn out_of_bounds(
    part: &Part,
    number: impl Fn(&Entry) -> i128,
    story: &Story<'_>,
) -> Option<Decision> {
    let adds = || {
        let adds = part.entries.iter();
        adds.filter(|entry| entry.act.verb == Verb::Add)
    };
    let sums = |key: fn(&Entry) -> Time, counts: fn(i128) -> i128| {
        let mut sums: Vec<(Time, i128)> =
            adds().map(|add| (key(add), counts(number(add)))).collect();
        sums.sort_unstable_by_key(|&(time, _)| time);
        let mut sum = 0;
        for (_, here) in &mut sums {
            sum += *here;
            *here = sum;
        }
        sums
    };
    let until = |sums: &[(Time, i128)], moment: Time| {
        let before = sums.partition_point(|&(time, _)| time < moment);
        before.checked_sub(1).map_or(0, |at| sums[at].1)
    };
    let (less, more) = (|by: i128| by.min(0), |by: i128| by.max(0));
    let (less_done, more_done) = (sums(|add| add.finish, less), sums(|add| add.finish, more));
    let (less_begun, more_begun) = (sums(|add| add.start, less), sums(|add| add.start, more));
    let mut reads = (0..).zip(&part.entries);
    reads.find_map(|(id, entry)| {
        let seen = number(entry);
        let least = until(&more_done, entry.start) + until(&less_begun, entry.finish);
        let most = until(&less_done, entry.start) + until(&more_begun, entry.finish);
        if entry.act.verb != Verb::Read || (least..=most).contains(&seen) {
            return None;
        }
        let explanation = format!(
            "{}, but with all that had completed before it began and whatever began before it \
             completed, the counter was between {least} and {most}",
            story.what(id)
        );
        Some(broken(
            "out-of-bounds",
            "nonlinearizable",
            [id],
            explanation,
        ))
    })
}

/// Lets operations take effect as late as they can.
struct Walk<'a> {
    part: &'a Part,
    /// How many additions took effect.
    now: i128,
    order: Vec<u32>,
    taken: Vec<bool>,
    /// Additions that are open, the first to return first.
    open: BinaryHeap<Reverse<(Time, u32)>>,
    /// Reads that are open, by how many additions they saw.
    waiting: FxHashMap<i128, Vec<u32>>,
}

impl<'a> Walk<'a> {
    fn new(part: &'a Part) -> Self {
        Walk {
            part,
            now: 0,
            order: Vec::with_capacity(part.entries.len()),
            taken: vec![false; part.entries.len()],
            open: BinaryHeap::new(),
            waiting: FxHashMap::default(),
        }
    }

    fn all(mut self, count: impl Fn(&Entry) -> i128, story: &Story<'_>) -> Decision {
        let part = self.part;
        let entry = |id: u32| -> &Entry { &part.entries[id as usize] };
        for (id, returns) in part.events() {
            let is_add = entry(id).act.verb == Verb::Add;
            match (returns, is_add) {
                (false, true) => self.open.push(Reverse((entry(id).finish, id))),
                (false, false) => match count(entry(id)).cmp(&self.now) {
                    Ordering::Equal => take(&mut self.taken, &mut self.order, id),
                    Ordering::Greater => {
                        self.waiting.entry(count(entry(id))).or_default().push(id);
                    }
                    Ordering::Less => {}
                },
                (true, true) => while !self.taken[id as usize] && self.add() {},
                (true, false) => {
                    while !self.taken[id as usize] && count(entry(id)) > self.now && self.add() {}
                    if !self.taken[id as usize] {
                        return self.less_than_before(id, count, story);
                    }
                }
            }
        }
        Decision::Order(self.order)
    }

    /// One more addition takes effect, and all reads that waited for it.
    fn add(&mut self) -> bool {
        while let Some(Reverse((_, id))) = self.open.pop() {
            if self.taken[id as usize] {
                continue;
            }
            take(&mut self.taken, &mut self.order, id);
            self.now += 1;
            for id in self.waiting.remove(&self.now).unwrap_or_default() {
                take(&mut self.taken, &mut self.order, id);
            }
            return true;
        }
        false
    }

    /// The bounds being kept, a read that comes too late for what it saw began after another had
    /// returned: what that one saw, and what was added surely between the two, is more.
    fn less_than_before(
        &self,
        id: u32,
        count: impl Fn(&Entry) -> i128,
        story: &Story<'_>,
    ) -> Decision {
        let entries = &self.part.entries;
        let then = &entries[id as usize];
        let mut reads: Vec<u32> = Vec::new();
        let mut adds: Vec<Time> = Vec::new();
        for (id, entry) in (0..).zip(entries) {
            if entry.finish < then.start {
                match entry.act.verb {
                    Verb::Add => adds.push(entry.start),
                    _ => reads.push(id),
                }
            }
        }
        reads.sort_unstable_by_key(|&id| entries[id as usize].finish);
        adds.sort_unstable();
        for &first in reads.iter().rev() {
            let entry = &entries[first as usize];
            let between = adds.len() - adds.partition_point(|&start| start < entry.finish);
            if count(entry) + between as i128 > count(then) {
                let explanation = format!(
                    "{} had completed before {} began, and {between} additions were made between them: \
                     the latter saw too little of them",
                    story.what(first),
                    story.what(id)
                );
                let ids = [first, id];
                return broken("out-of-bounds", "stale-read", ids, explanation);
            }
        }
        // Does not happen if what is said above is right.
        Decision::Nothing("a read fits nowhere, and none shows why".to_owned())
    }
}

fn take(taken: &mut [bool], order: &mut Vec<u32>, id: u32) {
    taken[id as usize] = true;
    order.push(id);
}
