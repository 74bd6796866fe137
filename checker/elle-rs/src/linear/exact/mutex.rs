//! Locks. All acquires are alike, and so are all releases: to let no more of them take effect than
//! must, those that return first first, is always best; O(n log n).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Broken, Decision, told};
use crate::linear::acts::Verb;
use crate::linear::model::Time;
use crate::linear::operations::{Entry, Part};
use crate::linear::words::Story;

/// Decides a lock that is free before everything.
pub(super) fn decide(part: &Part, story: &Story<'_>) -> Decision {
    let mut open: [BinaryHeap<Reverse<(Time, u32)>>; 2] = Default::default();
    let mut taken = vec![false; part.entries.len()];
    let mut order = Vec::with_capacity(part.entries.len());
    let mut held = false;
    for (id, returns) in part.events() {
        let entry = &part.entries[id as usize];
        let releases = entry.act.verb == Verb::Release;
        if !returns {
            open[usize::from(releases)].push(Reverse((entry.finish, id)));
            continue;
        }
        if taken[id as usize] {
            continue;
        }
        if releases != held {
            let helper = loop {
                match open[usize::from(!releases)].pop() {
                    Some(Reverse((_, id))) if taken[id as usize] => {}
                    other => break other,
                }
            };
            let Some(Reverse((_, helper))) = helper else {
                return crowded(part, id, story);
            };
            taken[helper as usize] = true;
            order.push(helper);
        }
        taken[id as usize] = true;
        order.push(id);
        held = !releases;
    }
    Decision::Order(order)
}

/// Between any two acquires there is a release, and the other way round: looks for a window that
/// ends with the culprit's return, with too few of the other kind touching it.
fn crowded(part: &Part, culprit: u32, story: &Story<'_>) -> Decision {
    let entry = |id: u32| -> &Entry { &part.entries[id as usize] };
    let end = entry(culprit).finish;
    let verb = entry(culprit).act.verb;
    let mut within: Vec<u32> = Vec::new();
    let mut others: Vec<Time> = Vec::new();
    for (id, entry) in (0..).zip(&part.entries) {
        if entry.act.verb == verb && entry.finish <= end {
            within.push(id);
        } else if entry.act.verb != verb && entry.start < end {
            others.push(entry.finish);
        }
    }
    within.sort_unstable_by_key(|&id| Reverse(entry(id).start));
    others.sort_unstable_by_key(|&finish| Reverse(finish));
    let mut touching = 0;
    for (at, &id) in within.iter().enumerate() {
        let start = entry(id).start;
        while others.get(touching).is_some_and(|&finish| finish > start) {
            touching += 1;
        }
        if touching < at {
            let within = &within[..=at];
            return shown(
                within.iter().copied().map(Some).collect(),
                within,
                touching,
                story,
            );
        }
    }
    // From the beginning on, a release needs an acquire in front of it.
    if verb == Verb::Release && others.len() < within.len() {
        let ids = std::iter::once(None).chain(within.iter().copied().map(Some));
        return shown(ids.collect(), &within, others.len(), story);
    }
    Decision::Nothing("the lock can't be taken or given back there".to_owned())
}

fn shown(ids: Vec<Option<u32>>, within: &[u32], others: usize, story: &Story<'_>) -> Decision {
    let since = if ids[0].is_none() {
        " from the beginning on"
    } else {
        ""
    };
    Decision::Broken(Broken {
        pattern: "crowded",
        anomaly: "nonlinearizable",
        explanation: format!(
            "{} of these{since}, and in that time only {others} that undo them: {}",
            within.len(),
            told(story, within)
        ),
        ids,
    })
}
