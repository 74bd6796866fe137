//! What a manifest says of a table, and whether a file is that table. Tables are never changed: a file
//! that is whole and is not what is said of it was put there by somebody else than the engine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::table::Content;

/// Behind a user's key in the engine's bounds: the number of the write, and its kind.
const TRAILER_BYTES: usize = 8;

/// A table, as the manifest has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    /// How long the file is.
    pub(super) bytes: u64,
    /// The smallest and the largest key, as the engine has them; `None` for one of ranges only.
    pub(super) keys: Option<(Vec<u8>, Vec<u8>)>,
    /// The lowest and the highest number of a write in it; `None` if that is not said.
    pub(super) writes: Option<(u64, u64)>,
    /// When it was made, in seconds; 0 if that is not said.
    pub(super) created: u64,
}

impl Listed {
    /// What a whole table is that this does not say of it; `None` if it can be the one.
    pub(super) fn differs(&self, bytes: u64, content: &Content) -> Option<String> {
        if bytes != self.bytes {
            return Some(format!("is {bytes} bytes long, and {} there", self.bytes));
        }
        let user = |key: &[u8]| key[..key.len().saturating_sub(TRAILER_BYTES)].to_vec();
        if let Some((smallest, largest)) = &self.keys {
            let bounds = user(smallest)..=user(largest);
            let outside = content.rows.iter().find(|row| !bounds.contains(&row.key));
            if let Some(row) = outside {
                let key = String::from_utf8_lossy(&row.key).into_owned();
                return Some(format!(
                    "has the key {key:?}, which is outside the bounds there"
                ));
            }
        }
        // A write of which nothing older is left has the number 0, and so have those of a table that was
        // taken in whole.
        let (lowest, highest) = self.writes?;
        let is_outside = |seq: u64| seq != 0 && !(lowest..=highest).contains(&seq);
        let row = content.rows.iter().find(|row| is_outside(row.seq))?;
        Some(format!(
            "has the write {}, and only those from {lowest} to {highest} are in it there",
            row.seq
        ))
    }
}

/// A database's own account of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// The database's folder.
    pub(crate) folder: PathBuf,
    /// The number of the manifest in force; the next file's number, the last write's.
    pub(crate) reached: (u64, u64, u64),
    /// The tables of the state that are whole: number, what is said of each, a digest of its bytes.
    pub(crate) tables: BTreeMap<u64, (Listed, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Row;

    fn content(rows: &[(&str, u64)]) -> Content {
        let row = |(key, seq): &(&str, u64)| Row {
            key: key.as_bytes().to_vec(),
            value: Vec::new(),
            offset: None,
            seq: *seq,
        };
        Content {
            rows: rows.iter().map(row).collect(),
            ..Content::default()
        }
    }

    #[test]
    fn a_table_is_what_is_said_of_it_or_another() {
        let bound = |key: &str| [key.as_bytes(), &[1; 8]].concat();
        let listed = Listed {
            bytes: 100,
            keys: Some((bound("b"), bound("d"))),
            writes: Some((5, 9)),
            created: 1,
        };
        let differs = |bytes, rows: &[(&str, u64)]| listed.differs(bytes, &content(rows));
        assert_eq!(differs(100, &[("b", 5), ("c", 0), ("d", 9)]), None);
        for (bytes, rows, said) in [
            (99, &[("b", 5)][..], "99 bytes long"),
            (100, &[("b", 5), ("dd", 6)], "\"dd\""),
            (100, &[("a", 5)], "outside the bounds"),
            (100, &[("b", 4)], "the write 4"),
            (100, &[("b", 10)], "the write 10"),
        ] {
            let differs = differs(bytes, rows).unwrap();
            assert!(differs.contains(said), "{differs}");
        }
        let unsaid = Listed {
            bytes: 100,
            ..Listed::default()
        };
        assert_eq!(unsaid.differs(100, &content(&[("x", 70)])), None);
    }
}
