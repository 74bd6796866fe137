//! The state of a node as one map: of every key the newest version. What a store keeps in one database, or
//! in many tables and logs of them, is the same here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::disk::{Found, Row, Stamps, Table};

use super::tables::{BOOKKEEPING, STAMP_BYTES};

/// The state that a node serves; the others of that name are set aside or half gone.
const STATE_NAME: &str = "fsm.db";
/// The row with the last index whose effects are in the state.
const APPLIED: &[u8] = b"_meta_applied_index";

/// The newest version of a row.
pub(super) struct Newest<'a> {
    /// Its stamp: an index of the log, or a time of the cluster's clock.
    pub(super) stamp: u64,
    pub(super) row: &'a Row,
}

/// What a node would serve.
pub(super) struct State<'a> {
    /// Its folder.
    pub(super) path: PathBuf,
    /// The last index whose effects are in it.
    pub(super) applied: u64,
    /// By user key.
    pub(super) rows: BTreeMap<&'a [u8], Newest<'a>>,
}

impl<'a> State<'a> {
    /// What was read of a node as one state.
    ///
    /// # Errors
    /// Why there is none to speak of, as the end of a sentence that begins with the node's name.
    pub(super) fn of(found: &'a Found) -> Result<State<'a>, &'static str> {
        let live: Vec<&Table> = match found.stamps {
            Stamps::Indexes => {
                let is_state = |t: &&Table| t.path.file_name().is_some_and(|n| n == STATE_NAME);
                found.tables.iter().filter(is_state).collect()
            }
            Stamps::Clock => {
                let all = found.tables.iter().chain(&found.table_logs);
                all.filter(|table| table.live).collect()
            }
        };
        let folder = |table: &&Table| match found.stamps {
            Stamps::Indexes => Some(table.path.clone()),
            Stamps::Clock => table.path.parent().map(Path::to_owned),
        };
        let folders: BTreeSet<_> = live.iter().filter_map(folder).collect();
        let mut folders = folders.into_iter();
        let path = match (folders.next(), folders.next()) {
            (Some(path), None) => path,
            (None, _) => return Err("has no state"),
            // Each group of a node has a state of its own.
            _ => return Err("has several states"),
        };
        let (mut applied, mut rows) = (None, BTreeMap::new());
        for row in live.iter().flat_map(|table| &table.rows) {
            if row.key == APPLIED {
                let newest = applied.get_or_insert(row);
                if row.seq >= newest.seq {
                    *newest = row;
                }
            }
            if BOOKKEEPING.iter().any(|prefix| row.key.starts_with(prefix)) {
                continue;
            }
            let Some((key, stamp)) = row.key.split_last_chunk::<STAMP_BYTES>() else {
                continue;
            };
            let stamp = !u64::from_be_bytes(*stamp);
            let newest = rows.entry(key).or_insert(Newest { stamp, row });
            if (stamp, row.seq) > (newest.stamp, newest.row.seq) {
                *newest = Newest { stamp, row };
            }
        }
        let applied = applied.and_then(|row: &Row| <[u8; 8]>::try_from(&row.value[..]).ok());
        let applied = applied.map(u64::from_le_bytes);
        let applied = applied.ok_or("has a state that does not say how far it is")?;
        Ok(State {
            path,
            applied,
            rows,
        })
    }
}
