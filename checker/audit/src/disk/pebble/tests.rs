//! Tables that Pebble itself wrote (v2.1.6's `sstable.Writer`; two versions each of `key-0000`
//! and on, one deletion, in some a deletion of a range), whole, cut off everywhere, and with
//! every byte flipped.

use super::table::{Content, parse};

const V1_PLAIN: &[u8] = include_bytes!("../../../tests/fixtures/pebble/v1-plain.sst");
const V2_SNAPPY: &[u8] = include_bytes!("../../../tests/fixtures/pebble/v2-snappy.sst");
const V3_VALUES: &[u8] = include_bytes!("../../../tests/fixtures/pebble/v3-values-zstd.sst");
const V4_LEVELS: &[u8] = include_bytes!("../../../tests/fixtures/pebble/v4-two-levels.sst");
const V4_XXHASH: &[u8] = include_bytes!("../../../tests/fixtures/pebble/v4-xxhash.sst");
const V5: &[u8] = include_bytes!("../../../tests/fixtures/pebble/v5-columns.sst");
const V6: &[u8] = include_bytes!("../../../tests/fixtures/pebble/v6-columns.sst");
const V7: &[u8] = include_bytes!("../../../tests/fixtures/pebble/v7-columns.sst");

fn expected(keys: u64) -> Vec<(String, String)> {
    let both = (0..keys).flat_map(|key| [(key, 1), (key, 2)]);
    let row = |(key, version): (u64, u64)| {
        let more = "text ".repeat(key as usize % 7);
        let value = format!("value {version} of {key} {more}");
        (format!("key-{key:04}@{version}"), value)
    };
    both.map(row).collect()
}

fn found(content: &Content) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let rows = content.rows.iter();
    rows.map(|row| (text(&row.key), text(&row.value))).collect()
}

#[test]
fn rows_of_every_version_are_read() {
    for (file, keys, deletions) in [
        (V1_PLAIN, 60, 2),
        (V2_SNAPPY, 60, 2),
        (V3_VALUES, 120, 1),
        (V4_LEVELS, 200, 2),
        (V4_XXHASH, 10, 1),
    ] {
        let content = parse(file).unwrap();
        assert_eq!(content.damage, []);
        assert_eq!(found(&content), expected(keys));
        assert_eq!(content.deletions, deletions);
    }
    let plain = parse(V1_PLAIN).unwrap();
    assert!(plain.inflated.is_empty());
    let row = &plain.rows[5];
    let at = row.offset.unwrap() as usize;
    assert_eq!(V1_PLAIN[at..at + row.value.len()], row.value);
    assert!(!parse(V2_SNAPPY).unwrap().inflated.is_empty());
}

#[test]
fn what_is_not_read_is_said() {
    let unread = |file| parse(file).unwrap().unread.join("; ");
    for (file, version) in [(V5, 5), (V6, 6), (V7, 7)] {
        let said = unread(file);
        assert!(
            said.contains(&format!(
                "table version {version}, whose blocks are in columns"
            )),
            "{said}"
        );
    }
    let said = unread(V4_XXHASH);
    assert!(said.contains("checksums are of kind 3"), "{said}");
    for read in [V1_PLAIN, V2_SNAPPY, V3_VALUES, V4_LEVELS] {
        assert_eq!(unread(read), "");
    }
}

#[test]
fn every_flipped_byte_is_noticed() {
    for (file, step) in [
        (V1_PLAIN, 5),
        (V2_SNAPPY, 1),
        (V3_VALUES, 2),
        (V4_LEVELS, 9),
    ] {
        for at in (0..file.len()).step_by(step) {
            let mut flipped = file.to_vec();
            flipped[at] ^= 0x10;
            let noticed = parse(&flipped).map_or(true, |content| !content.damage.is_empty());
            // A flip in the footer can make it one of another kind, which is not read.
            let unread = || !parse(&flipped).unwrap().unread.is_empty();
            assert!(noticed || unread(), "byte {at} of {}", file.len());
        }
    }
}

#[test]
fn a_table_cut_off_anywhere_is_no_table() {
    for file in [V2_SNAPPY, V3_VALUES, V7] {
        for length in 0..file.len() {
            let cut = parse(&file[..length]);
            assert!(cut.is_err_and(|what| !what.is_empty()), "{length}");
        }
    }
}
