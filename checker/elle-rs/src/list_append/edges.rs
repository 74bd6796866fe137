//! What the lists say about which transaction comes before which.
//!
//! Appends that nobody read come after everything that was read; where many transactions read a
//! whole list, a *tail* stands between them and those appends.

use super::lists::{Length, Lists};
use crate::graph::{Edges, Kinds, tail};
use crate::txn::rows::Rows;
use crate::txn::schedule::{INITIAL, Use};
use crate::txn::store::{Id, NONE, Store};

/// The end of a list that somebody appended to without being read.
struct End {
    key: u32,
    unread: Vec<Id>,
    /// Who read all that was read.
    whole: Vec<Id>,
    /// The helper, where there is one.
    tail: u32,
}

pub(super) struct ListEdges<'a> {
    store: &'a Store,
    lists: &'a Lists,
    ends: Vec<End>,
    tails: u32,
    /// How many keys have several unread appends.
    pub rivals: u32,
}

impl<'a> ListEdges<'a> {
    pub fn new(store: &'a Store, lists: &'a Lists) -> Self {
        let mut edges = ListEdges {
            store,
            lists,
            ends: Vec::new(),
            tails: 0,
            rivals: 0,
        };
        edges.find_ends();
        edges
    }

    fn find_ends(&mut self) {
        let (store, lists) = (self.store, self.lists);
        let mut end_of: Vec<u32> = vec![NONE; lists.keys().len()];
        for key in lists.keys() {
            let appends = lists.appends(key).iter();
            let mut unread: Vec<Id> = appends
                .filter(|append| append.position == NONE)
                .map(|append| append.transaction)
                .filter(|&id| lists.took_effect[id as usize])
                .collect();
            unread.dedup();
            if unread.is_empty() {
                continue;
            }
            self.rivals += u32::from(unread.len() > 1);
            end_of[key as usize] = self.ends.len() as u32;
            self.ends.push(End {
                key,
                unread,
                whole: Vec::new(),
                tail: NONE,
            });
        }
        for id in store.ids() {
            for &step in store.steps_of(id) {
                let end = end_of[step.key() as usize];
                if end != NONE
                    && let Some(Length::Fits(length)) = lists.first_read(store, step)
                    && lists.writer_from(step.key(), length).is_none()
                {
                    self.ends[end as usize].whole.push(id);
                }
            }
        }
        for end in &mut self.ends {
            if end.whole.len() > 1 && end.unread.len() > 1 {
                end.tail = store.len() as u32 + self.tails;
                self.tails += 1;
            }
        }
    }

    /// Of which of the unread appends of a key it has to be found out which came first.
    pub fn rival_appends(&self) -> Rows<Use> {
        let rivals = self.ends.iter().filter(|end| end.unread.len() > 1);
        let all = rivals.flat_map(|end| {
            let used = Use {
                key: end.key,
                version: INITIAL,
                is_write: true,
            };
            end.unread.iter().map(move |&id| (id, used))
        });
        let filler = Use {
            key: 0,
            version: INITIAL,
            is_write: true,
        };
        Rows::new(self.store.len(), all, filler)
    }

    fn ends(&self, give: &mut impl FnMut(u32, u32, Kinds)) {
        for end in &self.ends {
            if let Some(last) = self.lists.last_writer(end.key) {
                for &writer in &end.unread {
                    give(last, writer, Kinds::WW);
                }
            }
            tail(end.tail, &end.whole, &end.unread, give);
        }
    }
}

impl Edges for ListEdges<'_> {
    fn each(&self, give: &mut impl FnMut(u32, u32, Kinds)) -> u32 {
        let (store, lists) = (self.store, self.lists);
        for key in lists.keys() {
            let mut before = NONE;
            for &writer in lists.writers(key).iter().filter(|&&writer| writer != NONE) {
                if before != NONE {
                    give(before, writer, Kinds::WW);
                }
                before = writer;
            }
        }
        for id in store.ids().filter(|&id| store.is_ok(id)) {
            for &step in store.steps_of(id) {
                let Some(Length::Fits(length)) = lists.first_read(store, step) else {
                    continue;
                };
                let key = step.key();
                if let Some(last) = length.checked_sub(1) {
                    let writer = lists.writers(key)[last as usize];
                    if writer != NONE {
                        give(writer, id, Kinds::WR);
                    }
                }
                if let Some((_, writer)) = lists.writer_from(key, length) {
                    give(id, writer, Kinds::RW);
                }
            }
        }
        self.ends(give);
        self.tails
    }
}
