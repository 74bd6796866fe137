//! How a key and its value lie in `fsm.db`: `user key ‖ BE64(~commit ts)` →
//! `flags ‖ expireAt LE64 ‖ body`. The commit timestamp is the entry's log index.

use std::ops::RangeInclusive;

/// Bytes the inverted timestamp adds to a key.
pub const STAMP: usize = 8;
/// Bytes before a value's body.
pub const VALUE_HEADER: usize = 9;
/// Set in the flags byte of a deleted key's row.
pub const TOMBSTONE: u8 = 0x01;
/// The two bits that say how the body is encoded: 0 clear, 1 sealed, 2 and 3 reserved.
const ENCODING: u8 = 0x06;
const SEALED: u8 = 0x02;
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

/// The header of a sealed value without expiry: part of what its envelope is bound to.
pub const SEALED_HEADER: [u8; VALUE_HEADER] = [SEALED, 0, 0, 0, 0, 0, 0, 0, 0];

/// What lies behind a value's header.
#[derive(Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// The key is deleted.
    Deleted,
    /// The body itself.
    Clear(&'a [u8]),
    /// An envelope, and the header it is bound to.
    Sealed {
        /// The value's header.
        header: &'a [u8],
        /// The envelope.
        envelope: &'a [u8],
    },
}

/// Takes a row's value apart, as releases from 6A on do.
///
/// # Errors
/// A text when the row is too short or encoded in a way no release knows.
pub fn body(value: &[u8]) -> Result<Body<'_>, String> {
    let Some((header, body)) = value.split_at_checked(VALUE_HEADER) else {
        return Err(format!(
            "store: value of {} bytes has no header",
            value.len()
        ));
    };
    if value[0] & TOMBSTONE != 0 {
        return Ok(Body::Deleted);
    }
    match value[0] & ENCODING {
        0 => Ok(Body::Clear(body)),
        SEALED => Ok(Body::Sealed {
            header,
            envelope: body,
        }),
        _ => Err("store: value header carries reserved encryption_state".to_owned()),
    }
}

/// Whether release 5D sees a tombstone here: to it the whole flags byte says only that.
pub fn is_tombstone_to_5d(value: &[u8]) -> bool {
    value.first().is_some_and(|flags| *flags != 0)
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
        assert_eq!(body(&value(b"v")), Ok(Body::Clear(&b"v"[..])));
        assert_eq!(
            body(&[TOMBSTONE, 0, 0, 0, 0, 0, 0, 0, 0]),
            Ok(Body::Deleted)
        );
        let sealed = [&SEALED_HEADER[..], b"e"].concat();
        let (header, envelope) = (&SEALED_HEADER[..], &b"e"[..]);
        assert_eq!(body(&sealed), Ok(Body::Sealed { header, envelope }));
        assert!(is_tombstone_to_5d(&sealed) && !is_tombstone_to_5d(&value(b"v")));
        assert!(body(&[4, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(body(&[0]).is_err());
    }
}
