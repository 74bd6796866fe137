//! What was put into a queue and taken out of it, value by value.

use rustc_hash::FxHashMap;

use super::{Decision, NONE, broken};
use crate::linear::acts::Verb;
use crate::linear::model::{NEVER, Time};
use crate::linear::operations::Part;
use crate::linear::values::Atom;
use crate::linear::words::Story;

/// When a dequeue that was never answered completes: after all others, but before never.
const LATE: Time = NEVER - 1;

/// One value: who put it in, and who took it out.
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub value: Atom,
    pub put: u32,
    pub put_start: Time,
    pub put_finish: Time,
    /// [`NONE`] if nobody did.
    pub take: u32,
    /// [`NEVER`] if nobody did.
    pub take_start: Time,
    pub take_finish: Time,
}

impl Item {
    /// Before this moment it can't have come and gone.
    pub fn gone(&self) -> Time {
        self.put_start.max(self.take_start)
    }
}

/// All that happened to a queue.
pub(super) struct Items {
    pub items: Vec<Item>,
    /// Dequeues that found nothing.
    pub empties: Vec<u32>,
    /// Dequeues that were never answered, by invocation.
    pub unseen: Vec<u32>,
}

/// Puts values together, or says what is wrong with one of them alone. A value that was put in by
/// nobody knows whether, and not seen again, is left out: without it there is an order if there is
/// one with it.
pub(super) fn items(part: &Part, story: &Story<'_>) -> Result<Items, Decision> {
    let mut all = Items {
        items: Vec::new(),
        empties: Vec::new(),
        unseen: Vec::new(),
    };
    let mut places: FxHashMap<Atom, usize> = FxHashMap::default();
    for (id, entry) in (0..).zip(&part.entries) {
        match entry.act.verb {
            Verb::Enqueue => {
                if places.insert(entry.act.a, all.items.len()).is_some() {
                    let value = story.value(entry.act.a);
                    return Err(Decision::Nothing(format!(
                        "value {value} was put in more than once"
                    )));
                }
                all.items.push(Item {
                    value: entry.act.a,
                    put: id,
                    put_start: entry.start,
                    put_finish: entry.finish,
                    take: NONE,
                    take_start: NEVER,
                    take_finish: NEVER,
                });
            }
            Verb::DequeueNothing => all.empties.push(id),
            Verb::DequeueUnseen => all.unseen.push(id),
            _ => {}
        }
    }
    for (id, entry) in (0..).zip(&part.entries) {
        if entry.act.verb != Verb::Dequeue {
            continue;
        }
        let Some(&place) = places.get(&entry.act.a) else {
            let explanation = format!("{} took what nobody had put in", story.what(id));
            return Err(broken("thin-air", "thin-air", [id], explanation));
        };
        let item = &mut all.items[place];
        if item.take != NONE {
            let explanation = format!(
                "{} and {} both took what was put in once",
                story.what(item.take),
                story.what(id)
            );
            let ids = [item.take, id];
            return Err(broken(
                "taken-twice",
                "duplicate-elements",
                ids,
                explanation,
            ));
        }
        if entry.finish < item.put_start {
            let explanation = format!(
                "{} had completed before {} began",
                story.what(id),
                story.what(item.put)
            );
            return Err(broken(
                "backwards",
                "future-read",
                [item.put, id],
                explanation,
            ));
        }
        (item.take, item.take_start, item.take_finish) = (id, entry.start, entry.finish);
    }
    all.items
        .retain(|item| item.take != NONE || item.put_finish != NEVER);
    Ok(all)
}

impl Items {
    /// Values that were surely put in and that nobody is known to have taken, by the end of that.
    pub fn left(&self) -> Vec<usize> {
        let mut left: Vec<usize> = (0..self.items.len())
            .filter(|&at| self.items[at].take == NONE)
            .collect();
        left.sort_unstable_by_key(|&at| self.items[at].put_finish);
        left
    }

    /// Says who of the dequeues that were never answered took which of the values left: the
    /// earliest the earliest. Of two values, the one put in first is surely there for longer, and
    /// (in a queue) whatever must not overtake it must not overtake it earlier. So to exchange two
    /// that are matched otherwise makes nothing impossible that was possible.
    pub fn give_unseen(&mut self, part: &Part) {
        for (at, &unseen) in self.left().into_iter().zip(&self.unseen) {
            let item = &mut self.items[at];
            item.take = unseen;
            item.take_start = part.entries[unseen as usize].start;
            item.take_finish = LATE;
        }
    }
}

/// The pattern of what was there all the time.
pub(super) fn never_free(story: &Story<'_>, id: u32, chain: &[&Item]) -> Decision {
    let puts: Vec<u32> = chain.iter().map(|item| item.put).collect();
    let explanation = format!(
        "{} is impossible: at every moment of it, one of these {} surely in the queue: {}",
        story.what(id),
        if puts.len() == 1 {
            "was"
        } else {
            "was, by turns,"
        },
        super::told(story, &puts)
    );
    let ids = std::iter::once(id).chain(puts);
    broken("never-free", "nonlinearizable", ids, explanation)
}
