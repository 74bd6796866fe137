//! What the numbers in a registry's rows stand for.

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableTable};
use rustc_hash::FxHashMap;

use super::block::{self, Entry, ROW_BYTES};
use super::pair::{KeyPrint, PRINT_BYTES, Pair};
use super::registry::{KEYS, SOURCES, Trouble};
use super::sighting::{Reuse, Sighting};

/// What the numbers stand for.
pub(super) struct Names {
    keys: FxHashMap<u32, (KeyPrint, u32)>,
    sources: BTreeMap<u32, Sighting>,
}

impl Names {
    pub(super) fn of(reading: &ReadTransaction) -> Result<Names, Trouble> {
        let mut keys = FxHashMap::default();
        for key in reading.open_table(KEYS)?.iter()? {
            let (print, numbers) = key?;
            let print = <[u8; PRINT_BYTES]>::try_from(print.value());
            let print = print.map_err(|_| Trouble::Damaged("a key's digest".to_owned()))?;
            let (number, id) = numbers.value();
            keys.insert(number, (KeyPrint(print), id));
        }
        let mut sources = BTreeMap::new();
        for source in reading.open_table(SOURCES)?.iter()? {
            let (number, words) = source?;
            let (run, node, place, path) = words.value();
            let sighting = Sighting {
                run: run.to_owned(),
                node: node.to_owned(),
                place: place.to_owned(),
                path: path.to_owned(),
            };
            sources.insert(number.value(), sighting);
        }
        Ok(Names { keys, sources })
    }

    pub(super) fn reuse(&self, row: &[u8; ROW_BYTES], seen: &[Entry]) -> Result<Reuse, Trouble> {
        let damaged = || Trouble::Damaged("a pair names a key or a place that is not there".into());
        let low = seen.first().ok_or_else(damaged)?.low;
        let (key, nonce) = block::pair_of(row, low);
        let (key, key_id) = *self.keys.get(&key).ok_or_else(damaged)?;
        let sighting = |entry: &Entry| self.sources.get(&entry.source).cloned().ok_or_else(damaged);
        Ok(Reuse {
            pair: Pair { key, key_id, nonce },
            seen: seen.iter().map(sighting).collect::<Result<_, _>>()?,
        })
    }
}
