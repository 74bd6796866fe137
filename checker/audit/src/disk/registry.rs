//! The writer registry as it lies among the rows: `!encryption|writers|` ‖ key id BE32 ‖ `|` ‖
//! node id BE16, and under it full id BE64 ‖ first epoch BE16 ‖ last epoch BE16 (section 5.2 of
//! the contract).

use std::collections::BTreeMap;

use super::bytes::{Cursor, Read};
use super::{Row, Table};

const PREFIX: &[u8] = b"!encryption|writers|";

/// Who may seal under a key, and in which of its process loads it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    /// The key.
    pub(crate) key_id: u32,
    /// The 16 bits of the writer that stand in nonces.
    pub(crate) node_id: u16,
    /// All 64 of them.
    pub(crate) full_node_id: u64,
    /// The epoch in which it was registered.
    pub(crate) first_seen: u16,
    /// The last epoch it has registered.
    pub(crate) last_seen: u16,
    /// The engine's count of writes; 0 where it does not say it.
    pub(crate) seq: u64,
}

/// The newest row of every writer, of what the state is made of.
pub(super) fn newest<'a>(tables: impl Iterator<Item = &'a Table>) -> Vec<Registered> {
    let mut newest: BTreeMap<(u32, u16), Registered> = BTreeMap::new();
    let rows = tables
        .filter(|table| table.live)
        .flat_map(|table| &table.rows);
    for row in rows.filter_map(parse) {
        let of = newest.entry((row.key_id, row.node_id)).or_insert(row);
        if row.seq >= of.seq {
            *of = row;
        }
    }
    newest.into_values().collect()
}

/// A row of the registry; `None` if it is another, or of no form that it could have.
fn parse(row: &Row) -> Option<Registered> {
    let read = |key: &[u8]| -> Read<Registered> {
        let mut key = Cursor::new(key);
        let key_id = key.u32_big()?;
        key.byte()?;
        let node_id = key.u16_big()?;
        let mut value = Cursor::new(&row.value);
        Ok(Registered {
            key_id,
            node_id,
            full_node_id: value.u64_big()?,
            first_seen: value.u16_big()?,
            last_seen: value.u16_big()?,
            seq: row.seq,
        })
    };
    row.key.strip_prefix(PREFIX).and_then(|key| read(key).ok())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn row(node: u16, last: u16, seq: u64) -> Row {
        let key = [PREFIX, &7_u32.to_be_bytes(), b"|", &node.to_be_bytes()].concat();
        let value = [&9_u64.to_be_bytes()[..], &[0, 1], &last.to_be_bytes()].concat();
        let offset = None;
        Row {
            key,
            value,
            offset,
            seq,
        }
    }

    #[test]
    fn the_newest_row_of_the_live_state_counts() {
        let table = |live, rows| Table {
            rows,
            ..Table::at(Path::new("t"), live)
        };
        let mut other = row(3, 1, 99);
        other.key[0] = b'?';
        let tables = [
            table(true, vec![row(3, 5, 20), row(4, 1, 0)]),
            table(false, vec![row(3, 9, 90)]),
            table(true, vec![row(3, 4, 10), other]),
        ];
        let found = newest(tables.iter());
        let said: Vec<_> = found
            .iter()
            .map(|row| {
                (
                    row.key_id,
                    row.node_id,
                    row.full_node_id,
                    row.first_seen,
                    row.last_seen,
                )
            })
            .collect();
        assert_eq!(said, [(7, 3, 9, 1, 5), (7, 4, 9, 1, 1)]);
    }
}
