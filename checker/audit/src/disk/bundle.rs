//! A snapshot as a bundle of tables, `EKVSSTI1 ‖ length BE64 ‖ SHA-256 ‖ contents as JSON`,
//! then the tables themselves: what elastickv writes under
//! `ELASTICKV_PEBBLE_SST_INGEST_SNAPSHOT`.

use serde::Deserialize;

use super::bytes::{Cursor, Read};
use super::snapshot::Content;
use super::{Row, pebble};

pub(super) const MAGIC: &[u8; 8] = b"EKVSSTI1";
const DIGEST_BYTES: usize = 32;

#[derive(Deserialize)]
struct Contents {
    /// `null` if there is none.
    files: Option<Vec<File>>,
}

#[derive(Deserialize)]
struct File {
    name: String,
    size: u64,
}

/// Reads a bundle from behind its magic up to its end.
///
/// # Errors
/// Where it is cut off, or what does not fit. The tables before that are in `content`.
pub(super) fn parse(cursor: &mut Cursor<'_>, content: &mut Content) -> Read<()> {
    let length = usize::try_from(cursor.u64_big()?).map_err(|error| error.to_string())?;
    cursor.take(DIGEST_BYTES)?;
    let contents: Contents = serde_json::from_slice(cursor.take(length)?)
        .map_err(|error| format!("its list of tables does not decode: {error}"))?;
    for File { name, size } in contents.files.into_iter().flatten() {
        let size = usize::try_from(size).map_err(|error| error.to_string())?;
        let begin = cursor.at() as u64;
        let table = pebble::table::parse(cursor.take(size)?)
            .map_err(|what| format!("its table {name}: {what}"))?;
        content.rows.extend(table.rows.into_iter().map(|row| Row {
            offset: row.offset.map(|offset| begin + offset),
            ..row
        }));
        content.deletions += table.deletions;
        for mut block in table.inflated {
            block.offset += begin;
            content.inflated.push(block);
        }
        for (at, what) in table.damage {
            content.damage.push((begin + at, what));
        }
        content.unread.extend(table.unread);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_one_behind_the_other() {
        let tables: [&[u8]; 2] = [
            include_bytes!("../../tests/fixtures/pebble/v1-plain.sst"),
            include_bytes!("../../tests/fixtures/pebble/v2-snappy.sst"),
        ];
        let list = format!(
            r#"{{"version": 1, "files": [{{"name": "a", "size": {}}}, {{"name": "b", "size": {}}}]}}"#,
            tables[0].len(),
            tables[1].len()
        );
        let length = (list.len() as u64).to_be_bytes();
        let mut bundle = [&length[..], &[0; DIGEST_BYTES], list.as_bytes()].concat();
        tables
            .iter()
            .for_each(|table| bundle.extend_from_slice(table));
        let mut content = Content::default();
        assert_eq!(parse(&mut Cursor::new(&bundle), &mut content), Ok(()));
        assert_eq!((content.rows.len(), content.deletions), (240, 4));
        assert!(content.damage.is_empty() && content.unread.is_empty());
        let row = &content.rows[7];
        let at = row.offset.unwrap_or_default() as usize;
        assert_eq!(bundle[at..at + row.value.len()], row.value);

        let none = [
            &(15_u64).to_be_bytes()[..],
            &[0; DIGEST_BYTES],
            br#"{"files": null}"#,
        ]
        .concat();
        let mut empty = Content::default();
        assert_eq!(parse(&mut Cursor::new(&none), &mut empty), Ok(()));
        assert!(empty.rows.is_empty());
        let last = bundle.len() - 1;
        let mut cut = Content::default();
        let mut cursor = Cursor::new(&bundle[..last]);
        assert!(parse(&mut cursor, &mut cut).is_err());
        assert_eq!(cut.rows.len(), 120, "the first table is whole");
        assert!(parse(&mut Cursor::new(&bundle[..60]), &mut cut).is_err());
    }
}
