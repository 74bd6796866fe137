//! A set that only grows and is read whole, each element added once: every read must hold all that
//! the one before it held, so the reads force an order; O(n log n) and the size of all reads.

use rustc_hash::FxHashMap;

use super::{Decision, broken, told};
use crate::linear::acts::Verb;
use crate::linear::model::Time;
use crate::linear::models::SetModel;
use crate::linear::operations::{Entry, Part};
use crate::linear::values::Atom;
use crate::linear::words::Story;

/// Operations that stand together: additions first seen by the same read, or reads of the same.
type Group = Vec<u32>;

/// Decides a set.
pub(super) fn decide(part: &Part, set: &SetModel, story: &Story<'_>) -> Decision {
    let mut adds: FxHashMap<Atom, u32> = FxHashMap::default();
    let mut reads: Vec<u32> = Vec::new();
    for (id, entry) in (0..).zip(&part.entries) {
        match entry.act.verb {
            Verb::Add => {
                if adds.insert(entry.act.a, id).is_some() {
                    let element = story.value(entry.act.a);
                    return Decision::Nothing(format!("{element} was added more than once"));
                }
            }
            Verb::Read => reads.push(id),
            _ => {
                return Decision::Nothing(
                    "elements were removed, or looked for one by one".to_owned(),
                );
            }
        }
    }
    let seen = |id: u32| set.elements(part.entries[id as usize].act.a);
    reads.sort_by(|&a, &b| {
        let (a, b) = (seen(a), seen(b));
        a.len().cmp(&b.len()).then_with(|| a.cmp(b))
    });
    let mut groups: Vec<Group> = Vec::new();
    let mut before: Option<u32> = None;
    for &read in &reads {
        let now = seen(read);
        if let Some(before) = before
            && seen(before) == now
        {
            if let Some(group) = groups.last_mut() {
                group.push(read);
            }
            continue;
        }
        let new = match new_elements(before.map_or(&[], seen), now) {
            Ok(new) => new,
            Err(decision) => return decision.of(story, before, read),
        };
        let mut added = Vec::with_capacity(new.len());
        for element in new {
            match adds.remove(&element) {
                Some(add) => added.push(add),
                None => {
                    let element = story.value(element);
                    let explanation =
                        format!("{} saw {element}, which nobody had added", story.what(read));
                    return broken("thin-air", "thin-air", [read], explanation);
                }
            }
        }
        groups.push(added);
        groups.push(vec![read]);
        before = Some(read);
    }
    // What no read saw stands behind them all, if it happened at all.
    let unseen = adds.into_values();
    groups.push(
        unseen
            .filter(|&id| !part.entries[id as usize].is_pending())
            .collect(),
    );
    in_order(part, groups, story)
}

/// Why one read does not follow another.
enum Wrong {
    Twice,
    NotWithin,
}

impl Wrong {
    fn of(self, story: &Story<'_>, before: Option<u32>, read: u32) -> Decision {
        match (self, before) {
            (Wrong::NotWithin, Some(before)) => {
                let explanation = format!(
                    "{} and {} each saw something that the other did not",
                    story.what(before),
                    story.what(read)
                );
                broken("apart", "incompatible-order", [before, read], explanation)
            }
            _ => {
                let explanation = format!("{} saw an element twice", story.what(read));
                broken("twice", "duplicate-elements", [read], explanation)
            }
        }
    }
}

/// What `now` holds and `before` does not; both are sorted.
fn new_elements(before: &[Atom], now: &[Atom]) -> Result<Vec<Atom>, Wrong> {
    if now.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Wrong::Twice);
    }
    let mut new = Vec::with_capacity(now.len() - before.len());
    let mut left = before.iter().peekable();
    for element in now {
        if left.next_if_eq(&element).is_none() {
            new.push(*element);
        }
    }
    match left.next() {
        None => Ok(new),
        Some(_) => Err(Wrong::NotWithin),
    }
}

/// Whether time allows the order of the groups.
fn in_order(part: &Part, mut groups: Vec<Group>, story: &Story<'_>) -> Decision {
    let entry = |id: u32| -> &Entry { &part.entries[id as usize] };
    let mut latest: Option<(Time, usize, u32)> = None;
    for at in 0..groups.len() {
        let first = groups[at].iter().min_by_key(|&&id| entry(id).finish);
        if let (Some(&then), Some((start, before, first))) = (first, latest)
            && entry(then).finish < start
        {
            let between = groups.get(before + 1).and_then(|group| group.first());
            let is_add = |id: u32| entry(id).act.verb == Verb::Add;
            // Of two additions, a read that saw one of them tells which came first.
            let between = between.filter(|_| is_add(first) && is_add(then));
            let chain = [Some(first), between.copied(), Some(then)];
            let chain: Vec<u32> = chain.into_iter().flatten().collect();
            let explanation = format!(
                "{} had completed before {} began, but what was seen says that it came later: {}",
                story.what(then),
                story.what(first),
                told(story, &chain)
            );
            return broken("backwards", "stale-read", chain, explanation);
        }
        let last = groups[at].iter().max_by_key(|&&id| entry(id).start);
        if let Some(&last) = last
            && latest.is_none_or(|(start, ..)| start < entry(last).start)
        {
            latest = Some((entry(last).start, at, last));
        }
    }
    for group in &mut groups {
        group.sort_unstable();
    }
    Decision::Order(groups.concat())
}
