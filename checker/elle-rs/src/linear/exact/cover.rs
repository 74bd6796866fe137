//! When something is surely there: a union of open intervals, and its gaps.

use std::collections::BTreeMap;

use super::items::Item;
use crate::linear::model::Time;

/// A union of open intervals. Those that only touch leave the moment between free.
#[derive(Default)]
pub(super) struct Cover {
    /// Ends by starts; apart from each other.
    intervals: BTreeMap<Time, Time>,
}

impl Cover {
    /// Adds the moments between two.
    pub fn add(&mut self, start: Time, end: Time) {
        // Between neighbours there is no moment at which anything must happen.
        if end.saturating_sub(start) < 2 {
            return;
        }
        let (mut from, mut to) = (start, end);
        while let Some((&other, &other_end)) = self.intervals.range(..end).next_back() {
            if other_end <= start {
                break;
            }
            from = from.min(other);
            to = to.max(other_end);
            self.intervals.remove(&other);
        }
        self.intervals.insert(from, to);
    }

    /// The first free moment from this one on.
    pub fn free_from(&self, moment: Time) -> Time {
        match self.intervals.range(..moment).next_back() {
            Some((_, &end)) if moment < end => end,
            _ => moment,
        }
    }
}

/// Some of these items that are surely there, one or the other, from one moment to another.
pub(super) fn covering<'a>(
    items: impl Iterator<Item = &'a Item>,
    from: Time,
    to: Time,
) -> Vec<&'a Item> {
    let mut items: Vec<&Item> = items
        .filter(|item| item.put_finish < item.take_start && item.put_finish < to)
        .collect();
    items.sort_unstable_by_key(|item| item.put_finish);
    let mut items = items.into_iter().peekable();
    let mut chain = Vec::new();
    let mut now = from;
    while now <= to {
        let mut longest: Option<&Item> = None;
        while let Some(item) = items.next_if(|item| item.put_finish < now) {
            if longest.is_none_or(|before| before.take_start < item.take_start) {
                longest = Some(item);
            }
        }
        match longest {
            Some(item) if item.take_start > now => {
                now = item.take_start;
                chain.push(item);
            }
            _ => break,
        }
    }
    chain
}
