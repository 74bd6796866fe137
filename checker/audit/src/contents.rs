//! What a node's disk says, beside what it said before: log, writer registry, values, snapshots.
//!
//! Rows are compared, not files: a storage engine rewrites those by merely being opened. What a
//! start that was refused must leave alone (ROL-REFUSE) is told by it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::disk::{self, Data, DiskError, Found};

/// What the store notes of its own state begins so: no client and no operator wrote it.
const NOTES: &[u8] = b"_meta_";
/// Rows of the writer registry begin so (section 5.1 of the contract).
const REGISTRY: &[u8] = b"!encryption|writers|";

/// A piece of a disk that has a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    /// An entry of a generation of the log.
    Entry(String, u64),
    /// A row of the writer registry.
    Writer(Vec<u8>),
    /// Any other row of the state, with its table's folder.
    Row(String, Vec<u8>),
    /// A snapshot file.
    Snapshot(String),
}

/// Everything that lay on a node's disk at one time. The node has to be down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pieces: BTreeMap<Piece, Vec<u8>>,
    /// The rows of its newest snapshot.
    newest: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Contents {
    /// Reads the data directory of a node of the reference store.
    ///
    /// # Errors
    /// The first piece that can't be read: what is not read can't be compared.
    pub fn of(data_dir: &Path) -> Result<Self, DiskError> {
        let found = disk::read(data_dir);
        let Found {
            tables,
            logs,
            snapshots,
            gaps,
            // Only elastickv's disks have more.
            ..
        } = found;
        if let Some(gap) = gaps.into_iter().next() {
            return Err(gap);
        }
        let mut pieces = BTreeMap::new();
        for log in logs {
            let generation = name(&log.path);
            for entry in log.entries {
                let bytes = match entry.data {
                    Data::Bare => Vec::new(),
                    Data::Payload(payload) => payload,
                };
                pieces.insert(Piece::Entry(generation.clone(), entry.index), bytes);
            }
        }
        for table in tables {
            let folder = name(&table.path);
            for row in table.rows {
                let piece = match row.key.starts_with(REGISTRY) {
                    true => Piece::Writer(row.key),
                    false => Piece::Row(folder.clone(), row.key),
                };
                pieces.insert(piece, row.value);
            }
        }
        let mut newest = (0, BTreeMap::new());
        for snapshot in snapshots {
            if snapshot.index >= newest.0 {
                let rows = snapshot.table.rows.iter();
                let rows = rows.map(|row| (row.key.clone(), row.value.clone()));
                newest = (snapshot.index, rows.collect());
            }
            let path = &snapshot.table.path;
            let bytes = std::fs::read(path).map_err(|source| DiskError::Io {
                path: path.clone(),
                source,
            })?;
            pieces.insert(Piece::Snapshot(name(path)), bytes);
        }
        let newest = newest.1;
        Ok(Self { pieces, newest })
    }

    /// What is otherwise than it was `before`, in words that name the first piece of it; `None` if
    /// nothing is. That a log has got further entries since is no change: all that was there still is.
    /// Nor is a state that was loaded from the newest snapshot, as long as log and snapshots are what
    /// they were: a start that serves comes from there to where it was.
    pub fn changed_since(&self, before: &Contents) -> Option<String> {
        let reloaded = self.is_loaded_from_its_snapshot();
        let counts = |piece: &Piece| !(reloaded && piece.is_of_state());
        let was = before.pieces.iter().filter(|(piece, _)| counts(piece));
        let lost = was.filter_map(|(piece, was)| match self.pieces.get(piece) {
            None => Some(format!("{piece} is gone")),
            Some(is) if is != was => Some(format!("{piece} has other bytes")),
            Some(_) => None,
        });
        let is_new = |piece: &&Piece| {
            let known = before.pieces.contains_key(*piece) || before.is_followed_by(piece);
            counts(piece) && !known
        };
        let come = self.pieces.keys().filter(is_new);
        let mut changes = lost.chain(come.map(|piece| format!("{piece} was not there before")));
        let first = changes.next()?;
        Some(match changes.count() {
            0 => first,
            more => format!("{first}, and {more} more changes"),
        })
    }

    /// Whether the state is what the newest snapshot says, but for the store's own notes.
    fn is_loaded_from_its_snapshot(&self) -> bool {
        let state = self.pieces.iter().filter_map(|(piece, value)| match piece {
            Piece::Writer(key) | Piece::Row(_, key) => Some((key, value)),
            _ => None,
        });
        let is_note = |key: &[u8]| key.starts_with(NOTES);
        let state: BTreeMap<_, _> = state.filter(|(key, _)| !is_note(key)).collect();
        let newest = self.newest.iter().filter(|(key, _)| !is_note(key));
        state == newest.collect()
    }

    /// Whether a piece is an entry behind all that a generation of the log held.
    fn is_followed_by(&self, piece: &Piece) -> bool {
        let Piece::Entry(generation, index) = piece else {
            return false;
        };
        let last = self.pieces.keys().filter_map(|known| match known {
            Piece::Entry(of, last) if of == generation => Some(last),
            _ => None,
        });
        last.max().is_some_and(|last| index > last)
    }

    fn count(&self, kind: impl Fn(&Piece) -> bool) -> usize {
        self.pieces.keys().filter(|piece| kind(piece)).count()
    }
}

impl Piece {
    fn is_of_state(&self) -> bool {
        matches!(self, Piece::Writer(_) | Piece::Row(..))
    }
}

/// How much there is of each kind.
impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} log entries, {} rows of the registry, {} of the state, {} snapshots",
            self.count(|piece| matches!(piece, Piece::Entry(..))),
            self.count(|piece| matches!(piece, Piece::Writer(_))),
            self.count(|piece| matches!(piece, Piece::Row(..))),
            self.count(|piece| matches!(piece, Piece::Snapshot(_))),
        )
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Piece::Entry(generation, index) => write!(f, "entry {index} of the log ({generation})"),
            Piece::Writer(key) => write!(f, "the registry's row {}", key.escape_ascii()),
            Piece::Row(table, key) => write!(f, "the row {} of {table}", key.escape_ascii()),
            Piece::Snapshot(file) => write!(f, "the snapshot {file}"),
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(pieces: &[(Piece, &str)]) -> Contents {
        let owned = |(piece, bytes): &(Piece, &str)| (piece.clone(), bytes.as_bytes().to_vec());
        Contents {
            pieces: pieces.iter().map(owned).collect(),
            newest: BTreeMap::new(),
        }
    }

    fn entry(index: u64) -> Piece {
        Piece::Entry("1".to_owned(), index)
    }

    fn before() -> Vec<(Piece, &'static str)> {
        vec![
            (entry(4), "a"),
            (entry(5), "b"),
            (Piece::Writer(b"w".to_vec()), "1"),
            (Piece::Row("fsm.db".to_owned(), b"k".to_vec()), "v"),
            (Piece::Snapshot("3.fsm".to_owned()), "s"),
        ]
    }

    #[test]
    fn every_kind_of_change_is_named() {
        let all = before();
        assert_eq!(contents(&all).changed_since(&contents(&all)), None);
        for place in 0..all.len() {
            let mut other = all.clone();
            other[place].1 = "?";
            let said = contents(&other).changed_since(&contents(&all)).unwrap();
            assert_eq!(said, format!("{} has other bytes", all[place].0));
            other.remove(place);
            let said = contents(&other).changed_since(&contents(&all)).unwrap();
            assert_eq!(said, format!("{} is gone", all[place].0));
            let said = contents(&all).changed_since(&contents(&other));
            // A log that got its next entry is what it was.
            let expected = format!("{} was not there before", all[place].0);
            assert_eq!(said, (all[place].0 != entry(5)).then_some(expected));
        }
    }

    #[test]
    fn a_state_may_be_loaded_from_its_snapshot() {
        let row = |key: &[u8], value| (Piece::Row("fsm.db".to_owned(), key.to_vec()), value);
        let note = row(b"_meta_applied_index", "7");
        let all = [before(), vec![row(b"l", "later"), note]].concat();
        let mut loaded = contents(&before());
        loaded.newest = [(b"k", "v"), (b"w", "1")]
            .map(|(key, value)| (key.to_vec(), value.as_bytes().to_vec()))
            .into();
        assert_eq!(loaded.changed_since(&contents(&all)), None);
        loaded.newest.insert(b"k".to_vec(), b"x".to_vec());
        assert!(loaded.changed_since(&contents(&all)).is_some());
    }

    #[test]
    fn a_log_may_grow_at_its_end_only() {
        let all = before();
        let with = |piece: Piece| contents(&[&all[..], &[(piece, "c")]].concat());
        assert_eq!(with(entry(6)).changed_since(&contents(&all)), None);
        assert!(with(entry(3)).changed_since(&contents(&all)).is_some());
        let other = Piece::Entry("2".to_owned(), 6);
        assert!(with(other).changed_since(&contents(&all)).is_some());
    }
}
