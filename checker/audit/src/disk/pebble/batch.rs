//! A record of a table log: `sequence number LE64 ‖ count LE32`, then the writes of a batch.

use std::ops::Range;

use super::table::SET;
use crate::disk::bytes::{Cursor, Read};

const DELETE: u8 = 0;
const MERGE: u8 = 2;
/// Something for the log alone.
const LOG_DATA: u8 = 3;
const SINGLE_DELETE: u8 = 7;
const RANGE_DELETE: u8 = 15;
const RANGE_KEYS: std::ops::RangeInclusive<u8> = 19..=21;
const INGESTED_TABLE: u8 = 22;
const SIZED_DELETE: u8 = 23;
const EXCISED_RANGE: u8 = 24;

/// What a batch did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// What was set: key, where the value stands in the record, sequence number.
    pub(super) sets: Vec<(Vec<u8>, Range<usize>, u64)>,
    /// Writes without a value.
    pub(super) deletions: u64,
    /// Writes of a kind that is not read.
    pub(super) unread: Vec<String>,
}

/// Takes a record apart.
///
/// # Errors
/// What does not fit.
pub(super) fn parse(record: &[u8]) -> Read<Batch> {
    let mut cursor = Cursor::new(record);
    let (first, count) = (cursor.u64_little()?, u64::from(cursor.u32_little()?));
    let mut batch = Batch::default();
    let mut written = 0_u64;
    while !cursor.is_done() {
        let at = cursor.at();
        let kind = cursor.byte()?;
        let key = cursor.prefixed()?;
        // The number of a batch that is damaged may be anything.
        let seq = first.wrapping_add(written);
        written += u64::from(kind != LOG_DATA);
        match kind {
            SET => {
                let length = cursor.length()?;
                let begin = cursor.at();
                cursor.take(length)?;
                batch.sets.push((key.to_vec(), begin..cursor.at(), seq));
            }
            DELETE | SINGLE_DELETE | INGESTED_TABLE => batch.deletions += 1,
            RANGE_DELETE | SIZED_DELETE | EXCISED_RANGE => {
                cursor.prefixed()?;
                batch.deletions += 1;
            }
            LOG_DATA => {}
            kind if kind == MERGE || RANGE_KEYS.contains(&kind) => {
                cursor.prefixed()?;
                let what = format!("a write of kind {kind}, whose value is not read");
                batch.unread.push(what);
            }
            kind => {
                return Err(format!(
                    "the write at byte {at} is of kind {kind}, which is not known"
                ));
            }
        }
    }
    match written == count {
        true => Ok(batch),
        false => Err(format!("a batch of {count} writes has {written}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &[u8] =
        b"\x0a\0\0\0\0\0\0\0\x03\0\0\0\x01\x01a\x02vv\x03\x04note\0\x01b\x0f\x01c\x01d";

    #[test]
    fn writes_are_told_apart() {
        let batch = parse(RECORD).unwrap();
        let [(key, value, seq)] = &batch.sets[..] else {
            panic!("{batch:?}");
        };
        assert_eq!(
            (&key[..], &RECORD[value.clone()], *seq),
            (&b"a"[..], &b"vv"[..], 10)
        );
        assert_eq!((batch.deletions, batch.unread), (2, Vec::new()));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for length in 0..RECORD.len() {
            assert!(parse(&RECORD[..length]).is_err(), "{length}");
        }
        let mut more = RECORD.to_vec();
        more[8] = 4;
        assert!(parse(&more).is_err(), "another count");
        more[8] = 3;
        more[12] = 99;
        assert!(parse(&more).is_err(), "another kind");
    }
}
