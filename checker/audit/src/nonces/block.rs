//! Neighbouring nonces in one row: what the registry keeps of 32 counts in a row.
//!
//! A node counts upwards, so most of the pairs of a key are neighbours. A row's key names them
//! once (key, node, epoch, count without its last bits); in its value each takes 21 bytes:
//! the last bits of the count, the tag, where it was seen. Counts that are far apart cost a row
//! each and nothing else.

use super::pair::TAG_BYTES;
use crate::envelope::{NONCE_BYTES, Nonce};

/// Last bits of a count that stand in the value.
const LOW_BITS: u32 = 5;
/// Of a row's key: number of the key, node, epoch, count without its last bits.
pub(super) const ROW_BYTES: usize = 16;
const ENTRY_BYTES: usize = 1 + TAG_BYTES + 4;
/// Of different things that one pair sealed, so many are kept: a reuse is proved by two.
pub(super) const KEPT_MAX: usize = 8;

/// One thing that a pair sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// Last bits of the count.
    pub(super) low: u8,
    pub(super) tag: [u8; TAG_BYTES],
    /// Number of the place where it was seen first.
    pub(super) source: u32,
}

/// The row that a pair belongs in, and its place there.
pub(super) fn row_of(key: u32, nonce: Nonce) -> ([u8; ROW_BYTES], u8) {
    let count = nonce.count();
    let mut row = [0; ROW_BYTES];
    row[..4].copy_from_slice(&key.to_be_bytes());
    row[4..8].copy_from_slice(&nonce.0[..4]);
    row[8..].copy_from_slice(&(count >> LOW_BITS).to_be_bytes());
    (row, (count & ((1 << LOW_BITS) - 1)) as u8)
}

/// The pair at a place of a row.
pub(super) fn pair_of(row: &[u8; ROW_BYTES], low: u8) -> (u32, [u8; NONCE_BYTES]) {
    let [k0, k1, k2, k3, n0, n1, n2, n3, high @ ..] = *row;
    let count = u64::from_be_bytes(high) << LOW_BITS | u64::from(low);
    let mut nonce = [0; NONCE_BYTES];
    nonce[..4].copy_from_slice(&[n0, n1, n2, n3]);
    nonce[4..].copy_from_slice(&count.to_be_bytes());
    (u32::from_be_bytes([k0, k1, k2, k3]), nonce)
}

/// The entries in a row's value; `None` if it is none.
pub(super) fn entries(value: &[u8]) -> Option<Vec<Entry>> {
    let chunks = value.chunks_exact(ENTRY_BYTES);
    if !chunks.remainder().is_empty() {
        return None;
    }
    let entry = |chunk: &[u8]| {
        let (low, rest) = chunk.split_first()?;
        let (tag, source) = rest.split_first_chunk()?;
        Some(Entry {
            low: *low,
            tag: *tag,
            source: u32::from_be_bytes(source.try_into().ok()?),
        })
    };
    chunks.map(entry).collect()
}

/// A row's value.
pub(super) fn value(entries: &[Entry]) -> Vec<u8> {
    let mut value = Vec::with_capacity(entries.len() * ENTRY_BYTES);
    for entry in entries {
        value.push(entry.low);
        value.extend_from_slice(&entry.tag);
        value.extend_from_slice(&entry.source.to_be_bytes());
    }
    value
}

/// What taking an entry in came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The pair was not known.
    New,
    /// It was, with the same tag.
    Known,
    /// It was, with other tags only. The new one is kept if there is room.
    Reused {
        /// Whether the row has changed.
        kept: bool,
    },
}

/// Takes an entry into a row's, behind those of the same count: the first stays the first.
pub(super) fn take(entries: &mut Vec<Entry>, entry: Entry) -> Taken {
    let begin = entries.partition_point(|known| known.low < entry.low);
    let same = entries[begin..].partition_point(|known| known.low == entry.low);
    let of_pair = &entries[begin..begin + same];
    if of_pair.iter().any(|known| known.tag == entry.tag) {
        return Taken::Known;
    }
    let kept = same < KEPT_MAX;
    if kept {
        entries.insert(begin + same, entry);
    }
    match same {
        0 => Taken::New,
        _ => Taken::Reused { kept },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_comes_back_from_its_row() {
        for count in [0, 1, 31, 32, 33, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = [0xd4, 0xc0, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0];
            bytes[4..].copy_from_slice(&count.to_be_bytes());
            let (row, low) = row_of(0x0102_0304, Nonce(bytes));
            assert_eq!(pair_of(&row, low), (0x0102_0304, bytes));
        }
        let row = |count: u64| {
            let mut bytes = [0; NONCE_BYTES];
            bytes[4..].copy_from_slice(&count.to_be_bytes());
            row_of(1, Nonce(bytes)).0
        };
        assert_eq!(row(32), row(63));
        assert!(row(31) < row(32) && row(63) < row(64));
    }

    #[test]
    fn entries_stay_in_order_and_the_first_of_a_pair_stays_the_first() {
        let entry = |low, tag, source| Entry {
            low,
            tag: [tag; TAG_BYTES],
            source,
        };
        let mut row = Vec::new();
        assert_eq!(take(&mut row, entry(9, 5, 1)), Taken::New);
        assert_eq!(take(&mut row, entry(3, 5, 1)), Taken::New);
        assert_eq!(take(&mut row, entry(9, 5, 2)), Taken::Known);
        let reused = Taken::Reused { kept: true };
        assert_eq!(take(&mut row, entry(9, 1, 3)), reused);
        assert_eq!(take(&mut row, entry(9, 1, 4)), Taken::Known);
        let expected = [entry(3, 5, 1), entry(9, 5, 1), entry(9, 1, 3)];
        assert_eq!(row, expected);
        assert_eq!(entries(&value(&row)), Some(row.clone()));
        assert_eq!(entries(&value(&row)[1..]), None);
        let more = (10..40).map(|tag| take(&mut row, entry(9, tag, 5)));
        let kept = more.filter(|taken| *taken == reused).count();
        assert_eq!(kept, KEPT_MAX - 2);
        assert_eq!(row.len(), 1 + KEPT_MAX);
    }
}
