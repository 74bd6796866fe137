//! How a key and its value lie in `fsm.db`: `user key ‖ BE64(~commit ts)` →
//! `flags ‖ expireAt LE64 ‖ body`. The commit timestamp is the entry's log index.

use std::ops::RangeInclusive;

/// Bytes the inverted timestamp adds to a key.
pub const STAMP: usize = 8;
/// Bytes before a value's body.
pub const VALUE_HEADER: usize = 9;
/// Set in the flags byte of a deleted key's row.
pub const TOMBSTONE: u8 = 0x01;
/// The two bits that say how the body is encoded; only 0 (clear) is known here.
pub const ENCODING: u8 = 0x06;
/// Keys of this prefix are the store's own bookkeeping, without a timestamp.
pub const META_PREFIX: &[u8] = b"_meta_";
/// The last applied log index, LE64.
pub const META_APPLIED: &[u8] = b"_meta_applied_index";

/// No log index reaches this, so a row's stamp always starts with `ff ff`.
const TS_LIMIT: u64 = (1 << 48) - 1;

/// The row key of `user_key` as committed at `ts`.
pub fn row_key(user_key: &[u8], ts: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(user_key.len() + STAMP);
    key.extend_from_slice(user_key);
    key.extend_from_slice(&(!ts).to_be_bytes());
    key
}

/// Where rows of `user_key` lie; rows of other keys may lie there too, with other lengths.
pub fn row_range(user_key: &[u8]) -> RangeInclusive<Vec<u8>> {
    row_key(user_key, TS_LIMIT)..=row_key(user_key, 0)
}

/// The user key of a row, if it is a user's row.
pub fn user_key(row_key: &[u8]) -> Option<&[u8]> {
    if row_key.starts_with(META_PREFIX) {
        return None;
    }
    row_key.len().checked_sub(STAMP).map(|end| &row_key[..end])
}

/// A clear value without expiry.
pub fn value(body: &[u8]) -> Vec<u8> {
    let mut value = vec![0; VALUE_HEADER];
    value.extend_from_slice(body);
    value
}

/// The body of a row's value; `None` for a deleted key.
///
/// # Errors
/// A text when the row is too short or encoded in a way this release does not know.
pub fn body(value: &[u8]) -> Result<Option<&[u8]>, String> {
    if value.len() < VALUE_HEADER {
        return Err(format!(
            "store: value of {} bytes has no header",
            value.len()
        ));
    }
    if value[0] & TOMBSTONE != 0 {
        return Ok(None);
    }
    if value[0] & ENCODING != 0 {
        return Err("store: encrypted value present but no cipher configured".to_owned());
    }
    Ok(Some(&value[VALUE_HEADER..]))
}

/// The user key of a Redis string.
pub fn redis_string(key: &[u8]) -> Vec<u8> {
    [b"!redis|str|", key].concat()
}

/// The user key of a Redis list's length row.
pub fn list_length(key: &[u8]) -> Vec<u8> {
    [b"!lst|meta|", key].concat()
}

/// The user key of a Redis list's item; items of one list sort by position.
pub fn list_item(key: &[u8], position: u64) -> Vec<u8> {
    [b"!lst|itm|", key, &position.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_lie_in_their_range_newest_first() {
        let range = row_range(b"k");
        assert!(range.contains(&row_key(b"k", 1)));
        assert!(row_key(b"k", 2) < row_key(b"k", 1));
        assert!(!range.contains(&row_key(b"k2", 1)));
        assert_eq!(user_key(&row_key(b"k", 9)), Some(&b"k"[..]));
        assert_eq!(user_key(META_APPLIED), None);
    }

    #[test]
    fn values_are_read_by_their_flags() {
        assert_eq!(body(&value(b"v")), Ok(Some(&b"v"[..])));
        assert_eq!(body(&[TOMBSTONE, 0, 0, 0, 0, 0, 0, 0, 0]), Ok(None));
        assert!(body(&[2, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(body(&[0]).is_err());
    }
}
