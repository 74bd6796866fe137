//! The key and values that order two transactions.

use super::lists::Lists;
use crate::graph::{Hop, Kinds};
use crate::txn::store::{NONE, Store};
use crate::txn::words;
use crate::txn::{Evidence, Explain};

pub(super) struct Story<'a> {
    pub store: &'a Store,
    pub lists: &'a Lists,
}

impl Explain for Story<'_> {
    fn store(&self) -> &Store {
        self.store
    }

    fn evidence(&self, hop: &Hop) -> Option<Evidence> {
        let justify = match hop.kind {
            Kinds::WW => Self::appended_behind,
            Kinds::WR => Self::read_from,
            Kinds::RW => Self::missed,
            _ => return None,
        };
        let steps = self.store.steps_of(hop.from).iter();
        steps
            .into_iter()
            .find_map(|step| justify(self, step.key(), hop))
    }
}

impl Story<'_> {
    fn appended_behind(&self, key: u32, hop: &Hop) -> Option<Evidence> {
        let (store, lists) = (self.store, self.lists);
        for append in lists.appends_of(key, hop.from) {
            if append.position == NONE {
                continue;
            }
            let value = store.numbers.value(append.value);
            let name = store.key_told(key);
            match lists.writer_from(key, append.position + 1) {
                Some((position, writer)) if writer == hop.to => {
                    let next = store.numbers.value(lists.order(key)[position as usize]);
                    return Some(Evidence {
                        key,
                        value: Some(value),
                        next: Some(next),
                        rule: "list",
                        why: format!(
                            "{{a}} appended {value} to key {name}, and {{b}} appended {next} right \
                             behind it"
                        ),
                    });
                }
                Some(_) => {}
                None => {
                    let unread = lists.appends_of(key, hop.to).iter();
                    let mut unread = unread.filter(|append| append.position == NONE);
                    if let Some(unread) = unread.next() {
                        let next = store.numbers.value(unread.value);
                        return Some(Evidence {
                            key,
                            value: Some(value),
                            next: Some(next),
                            rule: "unread",
                            why: format!(
                                "{{a}} appended {value} to key {name}, the last element that \
                                 anybody read, and nobody read the {next} that {{b}} appended"
                            ),
                        });
                    }
                }
            }
        }
        None
    }

    fn read_from(&self, key: u32, hop: &Hop) -> Option<Evidence> {
        let (store, lists) = (self.store, self.lists);
        let last = lists.read_of(store, key, hop.to)?.checked_sub(1)? as usize;
        let value = store.numbers.value(lists.order(key)[last]);
        (lists.writers(key)[last] == hop.from).then(|| Evidence {
            key,
            value: Some(value),
            next: None,
            rule: "read",
            why: format!(
                "{{b}} read the {value} that {{a}} appended to key {}",
                store.key_told(key)
            ),
        })
    }

    fn missed(&self, key: u32, hop: &Hop) -> Option<Evidence> {
        let (store, lists) = (self.store, self.lists);
        let length = lists.read_of(store, key, hop.from)?;
        let (next, rule) = match lists.writer_from(key, length) {
            Some((position, writer)) if writer == hop.to => {
                (lists.order(key)[position as usize], "list")
            }
            Some(_) => return None,
            None => {
                let mut unread = lists.appends_of(key, hop.to).iter();
                let unread = unread.find(|append| append.position == NONE)?;
                (unread.value, "unread")
            }
        };
        let next = store.numbers.value(next);
        let read = store.values(&lists.order(key)[..length as usize]);
        Some(Evidence {
            key,
            value: read.last().copied(),
            next: Some(next),
            rule,
            why: format!(
                "{{a}} read key {} as {}, without the {next} that {{b}} appended",
                store.key_told(key),
                words::list(&read)
            ),
        })
    }
}
