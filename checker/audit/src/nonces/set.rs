//! What the audits of one cluster met, in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rustc_hash::FxHashMap;

use super::block::KEPT_MAX;
use super::pair::{KeyPrint, Pair, TAG_BYTES};
use crate::envelope::Nonce;
use crate::finding::{Place, Spot};

/// One thing that a pair sealed, where it was seen first.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) tag: [u8; TAG_BYTES],
    /// Which of the set's sources.
    pub(super) source: u32,
    offset: Option<u64>,
    index: Option<u64>,
}

/// Node, kind of place, path: most envelopes share theirs with many others.
pub(super) type Source = (String, Place, PathBuf);

/// A pair that sealed two different things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetReuse {
    /// Which.
    pub pair: Pair,
    /// Where the first of the things was seen.
    pub first: Spot,
    /// Where another one was.
    pub again: Spot,
}

/// Every pair of key and nonce that the audits of one cluster met. Give the same set to all of
/// them ([`audit_remembering`](crate::audit_remembering)): what a compaction took away between
/// two is still known. At most 8 different things are kept of one pair.
#[derive(Default)]
pub struct NonceSet {
    keys: Vec<(KeyPrint, u32)>,
    key_numbers: FxHashMap<KeyPrint, u32>,
    sources: Vec<Source>,
    source_numbers: FxHashMap<Source, u32>,
    first: FxHashMap<(u32, Nonce), Seen>,
    /// What a pair sealed besides the first: empty in a store that does what it should.
    more: BTreeMap<(u32, Nonce), Vec<Seen>>,
}

impl NonceSet {
    /// How many different pairs there are.
    pub fn len(&self) -> u64 {
        self.first.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The keys that sealed something.
    pub fn keys(&self) -> impl Iterator<Item = KeyPrint> {
        self.keys.iter().map(|(print, _)| *print)
    }

    /// Takes in what a pair sealed. Gives the reuse if the pair is known, and this is none of
    /// the things that it is known to have sealed.
    pub fn see(&mut self, pair: Pair, tag: [u8; TAG_BYTES], spot: &Spot) -> Option<SetReuse> {
        let key = self.key_number(pair.key, pair.key_id);
        let seen = Seen {
            tag,
            source: self.source_number(spot),
            offset: spot.offset,
            index: spot.index,
        };
        let id = (key, pair.nonce());
        let first = *self.first.entry(id).or_insert(seen);
        if first.tag == tag {
            return None;
        }
        let more = self.more.entry(id).or_default();
        if more.iter().any(|known| known.tag == tag) || more.len() + 1 >= KEPT_MAX {
            return None;
        }
        more.push(seen);
        Some(self.reuse(id, first, seen))
    }

    /// Every reuse that is known.
    pub fn reuses(&self) -> Vec<SetReuse> {
        let mut all = Vec::new();
        for (id, more) in &self.more {
            let first = self.first.get(id).into_iter();
            all.extend(first.flat_map(|first| {
                let each = more.iter();
                each.map(|again| self.reuse(*id, *first, *again))
            }));
        }
        all
    }

    /// Whether a pair is known to have sealed two different things.
    pub(super) fn knows_reuse(&self, pair: &Pair) -> bool {
        let number = self.key_numbers.get(&pair.key);
        number.is_some_and(|key| self.more.contains_key(&(*key, pair.nonce())))
    }

    /// The keys and the ids they go by, in the order of the numbers in [`NonceSet::seen`].
    pub(super) fn numbered_keys(&self) -> &[(KeyPrint, u32)] {
        &self.keys
    }

    /// In the order of the numbers in [`Seen`].
    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Every thing that every pair sealed, those of one pair in the order of their coming.
    pub(super) fn seen(&self) -> impl Iterator<Item = (u32, Nonce, Seen)> {
        self.first.iter().flat_map(|(id, first)| {
            let more = self.more.get(id).into_iter().flatten();
            let all = std::iter::once(first).chain(more);
            all.map(|seen| (id.0, id.1, *seen))
        })
    }

    fn key_number(&mut self, print: KeyPrint, id: u32) -> u32 {
        *self.key_numbers.entry(print).or_insert_with(|| {
            self.keys.push((print, id));
            self.keys.len() as u32 - 1
        })
    }

    fn source_number(&mut self, spot: &Spot) -> u32 {
        // Envelopes come place by place: most are where the last one was.
        let is = |source: &Source| {
            source.1 == spot.place && source.0 == spot.node && source.2 == spot.path
        };
        if self.sources.last().is_some_and(is) {
            return self.sources.len() as u32 - 1;
        }
        let source = (spot.node.clone(), spot.place, spot.path.clone());
        let next = self.sources.len() as u32;
        let number = *self.source_numbers.entry(source.clone()).or_insert(next);
        if number == next {
            self.sources.push(source);
        }
        number
    }

    fn reuse(&self, (key, nonce): (u32, Nonce), first: Seen, again: Seen) -> SetReuse {
        let (print, key_id) = self.keys[key as usize];
        SetReuse {
            pair: Pair {
                key: print,
                key_id,
                nonce: nonce.0,
            },
            first: self.spot(first),
            again: self.spot(again),
        }
    }

    fn spot(&self, seen: Seen) -> Spot {
        let (node, place, path) = self.sources[seen.source as usize].clone();
        Spot {
            node,
            place,
            path,
            offset: seen.offset,
            index: seen.index,
        }
    }
}
